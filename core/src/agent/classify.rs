//! What the end of a container is called.
//!
//! Owns the rule from an exit code and its circumstances to an [`EndReason`]. Facts it rests on: with an init process a
//! signal of the command shows as code 128 + n, and a command's own `exit 137` looks the same; the daemon's memory flag
//! may be set although only a child was killed and the command went on (so it says nothing unless the code is 137).

use crate::cluster::StopCause;
use crate::outcome::EndReason;

use super::action::Ending;
use super::observed::{Doubt, Exit, Stopping};
use super::wanted::Stop;

/// SIGKILL as an exit code.
const CODE_KILLED: u8 = 137;
/// What a daemon tells of a container that is gone when it comes up again.
const CODE_UNSEEN: u8 = 255;
/// Codes by signal: 128 + 1 to 128 + 64.
const SIGNAL_CODES: std::ops::RangeInclusive<u8> = 129..=192;
/// Codes that a daemon without live-restore leaves behind when it goes down or comes up again: its stop and its kill
/// (143, 137), what it writes for containers it lost (0 in Docker 24.0.0 to 24.0.2, moby#45788; 255).
const CODES_OF_A_DAEMON_RESTART: [u8; 4] = [0, CODE_KILLED, 143, CODE_UNSEEN];

/// Names the end of a container that has ended.
pub fn classify_exit(exit: Exit, stopping: &Stopping, doubt: Doubt) -> Ending {
    let Some(code) = exit.code else {
        return Ending { oom_seen: exit.oom, ..Ending::infra("the daemon gives no exit code") };
    };
    // Our own signal explains the code, whatever else happened; `None` means that it reached nobody.
    let ours = stopping.stop.filter(|_| stopping.signalled.is_some() || stopping.killed.is_some());
    let ending = match ours {
        _ if stopping.by_guard && code == CODE_KILLED && doubt < Doubt::HostRebooted => fenced(),
        None if is_doubtful(code, doubt) => Ending::infra(doubt_message(doubt)),
        None if exit.oom && code == CODE_KILLED => {
            Ending::because(EndReason::Oom, "the kernel killed the command for memory")
        }
        Some(stop) if exit.oom && code == CODE_KILLED && stopping.killed.is_none() => {
            let ending = Ending::because(EndReason::Oom, "the kernel killed the command for memory");
            note_stop(ending, stop)
        }
        Some(Stop { cause: StopCause::Fenced, .. }) => fenced(),
        Some(stop) => Ending::because(reason_of(stop), stop_message(code, stop, stopping)),
        None => own_end(code, stopping),
    };
    Ending { exit_code: ending_code(&ending, code, stopping, doubt), oom_seen: exit.oom, ..ending }
}

/// A doubtful code is not the command's: it is told in no field that people take for one.
fn ending_code(ending: &Ending, code: u8, stopping: &Stopping, doubt: Doubt) -> Option<u8> {
    let proven = stopping.by_guard || !is_doubtful(code, doubt);
    (ending.reason != EndReason::InfraUnknown && proven).then_some(code)
}

fn is_doubtful(code: u8, doubt: Doubt) -> bool {
    match doubt {
        Doubt::None => false,
        // What it writes for a container whose end it missed.
        Doubt::DaemonWasDown => code == CODE_UNSEEN,
        Doubt::WorkerWasAway | Doubt::ShimDied => code == CODE_KILLED,
        Doubt::DaemonWasLost => CODES_OF_A_DAEMON_RESTART.contains(&code),
        Doubt::HostRebooted => true,
    }
}

fn doubt_message(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::None => "",
        Doubt::WorkerWasAway => {
            "ended by SIGKILL while the worker was away; the daemon may have done it (live-restore is off)"
        }
        Doubt::DaemonWasDown => "ended while the daemon was down, which does not know how",
        Doubt::DaemonWasLost => {
            "ended while the daemon was away; the daemon may have done it (live-restore is off)"
        }
        Doubt::ShimDied => "the process that held its container (the shim) died, and the container with it",
        Doubt::HostRebooted => "the host was booted while it ran",
    }
}

/// The command ended by itself; where a stop was under way, says that the command was first.
fn own_end(code: u8, stopping: &Stopping) -> Ending {
    let reason = if SIGNAL_CODES.contains(&code) { EndReason::Signaled } else { EndReason::Exited };
    let message = if stopping.stop.is_some() { "it had ended before the stop took effect" } else { "" };
    Ending::because(reason, message)
}

/// End reason of a stop that took effect.
pub(super) fn reason_of(stop: Stop) -> EndReason {
    match stop.cause {
        StopCause::Stop => EndReason::Stopped,
        StopCause::Kill => EndReason::Killed,
        StopCause::Timeout => EndReason::Timeout,
        StopCause::Superseded | StopCause::Fenced => EndReason::Lost,
    }
}

/// The end of an attempt that was fenced: another one may replace it.
pub(super) fn fenced() -> Ending {
    Ending { retryable: true, ..Ending::from(EndReason::Lost) }
}

fn stop_message(code: u8, stop: Stop, stopping: &Stopping) -> String {
    if stopping.killed.is_some() && !stop.is_at_once() {
        return format!("{} did not end it within {:?}; SIGKILL did", stop.signal, stop.grace);
    }
    let by_signal = code == CODE_KILLED || SIGNAL_CODES.contains(&code);
    if by_signal {
        String::new()
    } else {
        format!("the command ended with code {code} after {}", stop.signal)
    }
}

fn note_stop(mut ending: Ending, stop: Stop) -> Ending {
    ending.message.push_str(" while it was ending after ");
    ending.message.push_str(&stop.signal.to_string());
    ending
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::spec::Signal;
    use crate::time::BootTime;

    /// What was sent before the end.
    fn sent(cause: StopCause, signalled: bool, killed: bool) -> Stopping {
        Stopping {
            stop: Some(Stop { cause, signal: Signal::TERM, grace: Duration::from_secs(10) }),
            signalled: signalled.then_some(BootTime(1)),
            killed: killed.then_some(BootTime(2)),
            stuck: false,
            by_guard: false,
        }
    }

    /// What happened, exit code, memory kill seen, what we sent, doubt, and what it must be called.
    type Row = (&'static str, u8, bool, Stopping, Doubt, EndReason, Option<u8>);

    #[test]
    #[expect(clippy::too_many_lines, reason = "a flat table")]
    fn each_end_has_its_reason() {
        use EndReason::{Exited, InfraUnknown, Killed, Lost, Oom, Signaled, Stopped, Timeout};
        let nothing = Stopping::default();
        let guarded = Stopping { by_guard: true, ..nothing };
        let rows: Vec<Row> = vec![
            ("success", 0, false, nothing, Doubt::None, Exited, Some(0)),
            ("own code", 7, false, nothing, Doubt::None, Exited, Some(7)),
            ("128 is no signal", 128, false, nothing, Doubt::None, Exited, Some(128)),
            ("killed by itself", 137, false, nothing, Doubt::None, Signaled, Some(137)),
            ("lowest signal", 129, false, nothing, Doubt::None, Signaled, Some(129)),
            ("highest signal", 192, false, nothing, Doubt::None, Signaled, Some(192)),
            ("above signals", 193, false, nothing, Doubt::None, Exited, Some(193)),
            ("memory", 137, true, nothing, Doubt::None, Oom, Some(137)),
            ("only a child ran out of memory", 1, true, nothing, Doubt::None, Exited, Some(1)),
            ("stopped", 143, false, sent(StopCause::Stop, true, false), Doubt::None, Stopped, Some(143)),
            (
                "stopped with a trap",
                0,
                false,
                sent(StopCause::Stop, true, false),
                Doubt::None,
                Stopped,
                Some(0),
            ),
            (
                "stop reached nobody",
                5,
                false,
                sent(StopCause::Stop, false, false),
                Doubt::None,
                Exited,
                Some(5),
            ),
            (
                "stop needed SIGKILL",
                137,
                false,
                sent(StopCause::Stop, true, true),
                Doubt::None,
                Stopped,
                Some(137),
            ),
            ("killed by us", 137, false, sent(StopCause::Kill, false, true), Doubt::None, Killed, Some(137)),
            ("time-out", 143, false, sent(StopCause::Timeout, true, false), Doubt::None, Timeout, Some(143)),
            (
                "memory during a stop",
                137,
                true,
                sent(StopCause::Stop, true, false),
                Doubt::None,
                Oom,
                Some(137),
            ),
            ("booted", 0, false, nothing, Doubt::HostRebooted, InfraUnknown, None),
            ("end that the daemon missed", 255, false, nothing, Doubt::DaemonWasDown, InfraUnknown, None),
            (
                "own code while the daemon was down",
                137,
                false,
                nothing,
                Doubt::DaemonWasDown,
                Signaled,
                Some(137),
            ),
            ("daemon restart", 137, false, nothing, Doubt::DaemonWasLost, InfraUnknown, None),
            ("no success over a daemon restart", 0, false, nothing, Doubt::DaemonWasLost, InfraUnknown, None),
            ("own code over a daemon restart", 7, false, nothing, Doubt::DaemonWasLost, Exited, Some(7)),
            ("fenced", 143, false, sent(StopCause::Fenced, true, false), Doubt::None, Lost, Some(143)),
            (
                "fenced with a trap",
                0,
                false,
                sent(StopCause::Fenced, true, false),
                Doubt::None,
                Lost,
                Some(0),
            ),
            (
                "fenced too late",
                0,
                false,
                sent(StopCause::Fenced, false, false),
                Doubt::None,
                Exited,
                Some(0),
            ),
            ("guard", 137, false, guarded, Doubt::None, Lost, Some(137)),
            ("guard, worker away", 137, false, guarded, Doubt::WorkerWasAway, Lost, Some(137)),
            ("guard came too late", 3, false, guarded, Doubt::None, Exited, Some(3)),
            ("guard, then booted", 137, false, guarded, Doubt::HostRebooted, InfraUnknown, None),
            (
                "booted after a stop",
                0,
                false,
                sent(StopCause::Stop, true, false),
                Doubt::HostRebooted,
                Stopped,
                None,
            ),
            ("worker away", 0, false, nothing, Doubt::WorkerWasAway, Exited, Some(0)),
            ("shim died", 137, false, nothing, Doubt::ShimDied, InfraUnknown, None),
            ("own code although the shim died", 7, false, nothing, Doubt::ShimDied, Exited, Some(7)),
            ("worker away, killed", 137, false, nothing, Doubt::WorkerWasAway, InfraUnknown, None),
        ];
        for (what, code, oom, stopping, doubt, reason, exit_code) in rows {
            let ending = classify_exit(Exit { code: Some(code), oom }, &stopping, doubt);
            assert_eq!((ending.reason, ending.exit_code), (reason, exit_code), "{what}");
            assert_eq!(ending.oom_seen, oom, "{what}");
            assert_eq!(ending.retryable, matches!(reason, InfraUnknown | Lost), "{what}");
        }
    }

    #[test]
    fn a_code_the_daemon_does_not_give_is_unknown_not_success() {
        let ending = classify_exit(Exit { code: None, oom: false }, &Stopping::default(), Doubt::None);
        assert_eq!((ending.reason, ending.exit_code), (EndReason::InfraUnknown, None));
    }
}
