//! The rule row by row, and what it promises over every combination.

use proptest::prelude::*;

use super::*;
use crate::agent::{Contact, Doubt, Exit, Stopping};

const NOW: BootTime = BootTime(1_000_000_000_000);
const GRACE: Duration = Duration::from_secs(10);

fn stop(cause: StopCause) -> Stop {
    Stop { cause, signal: Signal::TERM, grace: GRACE }
}

fn seen(phase: Phase, container: Container) -> Observed {
    Observed { container, ..Observed::from_phase(phase) }
}

fn ask(wanted: Wanted, seen: &Observed) -> Action {
    plan(NOW, wanted, stop(StopCause::Timeout), seen)
}

/// A short word for an action, so that a table stays readable.
fn word(action: &Action) -> String {
    match action {
        Action::End(ending) => format!("end {}", ending.reason),
        Action::Remove { force } => format!("remove{}", if *force { "!" } else { "" }),
        Action::Wait { until } => format!("wait{}", if until.is_some() { " until" } else { "" }),
        Action::Signal(_) => "signal".into(),
        Action::Kill(_) => "kill".into(),
        other => format!("{other:?}"),
    }
}

const EXIT: Container = Container::Exited(Exit { code: Some(0), oom: false });

#[test]
fn an_attempt_of_an_earlier_process_starts_only_once_the_leader_was_in_touch() {
    let created = Observed { capture: Capture::Open, ..seen(Phase::Created, Container::Created) };
    let unconfirmed = Observed { confirmed: false, ..created.clone() };
    assert_eq!(ask(Wanted::Run, &unconfirmed), Action::Wait { until: None });
    assert_eq!(ask(Wanted::Run, &created), Action::JournalStartIntent);
}

#[test]
fn every_phase_and_container_has_its_next_action() {
    use Container::{Absent, Created, Elsewhere, Foreign, Removing, Running, Unknown};
    // phase, container, then what follows when it is to run, to stop, to be forgotten
    let rows: Vec<(Phase, Container, &str, &str, &str)> = vec![
        (Phase::Intent, Unknown, "Inspect", "Inspect", "Inspect"),
        (Phase::Intent, Absent, "PullImage", "end stopped", "Forget"),
        (Phase::Intent, Foreign, "end start_failed", "end stopped", "Forget"),
        (Phase::Intent, Created, "JournalCreated", "remove", "remove!"),
        (Phase::Intent, Running, "end infra_unknown", "end infra_unknown", "remove!"),
        (Phase::Intent, EXIT, "end infra_unknown", "end infra_unknown", "remove!"),
        (Phase::Intent, Removing, "wait", "wait", "wait"),
        (Phase::Created, Unknown, "Inspect", "Inspect", "Inspect"),
        (Phase::Created, Absent, "end infra_unknown", "end stopped", "Forget"),
        (Phase::Created, Foreign, "end infra_unknown", "end stopped", "Forget"),
        (Phase::Created, Created, "Attach", "remove", "remove!"),
        (Phase::Created, Running, "end infra_unknown", "end infra_unknown", "remove!"),
        (Phase::Created, Removing, "wait", "wait", "wait"),
        // Found in the journal: the start may have been sent.
        (Phase::StartIntent, Unknown, "Inspect", "Inspect", "Inspect"),
        (Phase::StartIntent, Absent, "end infra_unknown", "end stopped", "Forget"),
        (Phase::StartIntent, Created, "remove", "remove", "remove!"),
        (Phase::StartIntent, Running, "JournalStarted", "JournalStarted", "remove!"),
        (Phase::StartIntent, EXIT, "JournalStarted", "JournalStarted", "remove!"),
        (Phase::StartIntent, Removing, "wait", "wait", "wait"),
        (Phase::Started, Unknown, "Inspect", "Inspect", "Inspect"),
        (Phase::Started, Running, "Recover", "Recover", "remove!"),
        (Phase::Started, EXIT, "Recover", "Recover", "remove!"),
        (Phase::Ended, Unknown, "wait", "wait", "Inspect"),
        (Phase::Ended, EXIT, "wait", "wait", "remove!"),
        (Phase::Ended, Absent, "wait", "wait", "Forget"),
        // On another daemon than the one that answers.
        (Phase::Created, Elsewhere, "end infra_unknown", "end stopped", "Forget"),
        (Phase::StartIntent, Elsewhere, "end infra_unknown", "end infra_unknown", "Forget"),
        (Phase::Started, Elsewhere, "end infra_unknown", "end infra_unknown", "Forget"),
        (Phase::Ended, Elsewhere, "wait", "wait", "Forget"),
    ];
    for (phase, container, run, stopped, forget) in rows {
        let seen = seen(phase, container);
        let case = format!("{phase:?} {container:?}");
        assert_eq!(word(&ask(Wanted::Run, &seen)), run, "{case}, run");
        assert_eq!(word(&ask(Wanted::Stop(stop(StopCause::Stop)), &seen)), stopped, "{case}, stop");
        assert_eq!(word(&ask(Wanted::Forget, &seen)), forget, "{case}, forget");
    }
}

#[test]
fn create_comes_after_the_image_and_start_after_attach_and_its_intent() {
    let mut seen = seen(Phase::Intent, Container::Absent);
    seen.image = Image::Ready;
    assert_eq!(ask(Wanted::Run, &seen), Action::Create);
    seen.phase = Phase::Created;
    seen.container = Container::Created;
    assert_eq!(ask(Wanted::Run, &seen), Action::Attach);
    seen.capture = Capture::Open;
    assert_eq!(ask(Wanted::Run, &seen), Action::JournalStartIntent);
    seen.phase = Phase::StartIntent;
    assert_eq!(ask(Wanted::Run, &seen), Action::Start);
    assert_eq!(ask(Wanted::Stop(stop(StopCause::Stop)), &seen), Action::Remove { force: false });
    seen.start = StartRequest::Sent;
    seen.container = Container::Unknown;
    assert_eq!(ask(Wanted::Run, &seen), Action::Inspect);
}

#[test]
fn a_stop_signals_waits_its_grace_kills_and_calls_the_survivor_stuck() {
    let wanted = Wanted::Stop(stop(StopCause::Stop));
    let mut seen = Observed { capture: Capture::Open, ..seen(Phase::Started, Container::Running) };
    assert_eq!(word(&ask(wanted, &seen)), "signal");
    seen.stopping.signalled = Some(NOW);
    assert_eq!(ask(wanted, &seen), Action::Wait { until: Some(NOW + GRACE) });
    seen.stopping.signalled = Some(NOW - GRACE);
    assert_eq!(word(&ask(wanted, &seen)), "kill");
    seen.stopping.killed = Some(NOW);
    assert_eq!(ask(wanted, &seen), Action::Wait { until: Some(NOW + KILL_RETRY) });
    seen.stopping.killed = Some(NOW - KILL_RETRY);
    assert_eq!(ask(wanted, &seen), Action::ReportStuck);
    seen.stopping.stuck = true;
    assert_eq!(word(&ask(wanted, &seen)), "kill");
    let at_once = Stop { grace: Duration::ZERO, ..stop(StopCause::Kill) };
    seen.stopping = Stopping { signalled: Some(NOW), ..Stopping::default() };
    assert_eq!(word(&ask(Wanted::Stop(at_once), &seen)), "kill", "a kill does not wait for an older grace");
}

#[test]
fn a_run_time_out_ends_only_what_nobody_else_ends() {
    let mut seen = Observed { capture: Capture::Open, ..seen(Phase::Started, Container::Running) };
    seen.time_limit = Some(NOW + Duration::from_secs(1));
    assert_eq!(ask(Wanted::Run, &seen), Action::Wait { until: seen.time_limit });
    seen.time_limit = Some(NOW);
    let Action::Signal(sent) = ask(Wanted::Run, &seen) else { panic!("a signal is due") };
    assert_eq!(sent.cause, StopCause::Timeout);
    let Action::Signal(sent) = ask(Wanted::Stop(stop(StopCause::Stop)), &seen) else { panic!("due") };
    assert_eq!(sent.cause, StopCause::Stop);
}

#[test]
fn a_result_waits_for_the_end_of_the_output() {
    let mut seen = Observed { capture: Capture::Open, ..seen(Phase::Started, EXIT) };
    assert_eq!(ask(Wanted::Run, &seen), Action::FinishCapture);
    seen.capture = Capture::Done;
    assert_eq!(word(&ask(Wanted::Run, &seen)), "end exited");
}

#[test]
fn d23_what_waits_for_its_end_stays_unknown_while_another_daemon_answers() {
    for phase in [Phase::StartIntent, Phase::Started] {
        let mut seen = Observed { strict: true, ..seen(phase, Container::Elsewhere) };
        for wanted in [Wanted::Run, Wanted::Stop(stop(StopCause::Kill))] {
            assert_eq!(ask(wanted, &seen), Action::Wait { until: None }, "{phase:?}");
        }
        seen.doubt = Doubt::HostRebooted;
        assert_eq!(word(&ask(Wanted::Run, &seen)), "end infra_unknown", "a boot of the host is a proof");
    }
}

#[test]
fn d11_a_run_that_somebody_else_began_is_killed_and_never_taken_for_the_attempts_own() {
    let mut seen =
        Observed { capture: Capture::Open, second_run: true, ..seen(Phase::Started, Container::Running) };
    assert_eq!(word(&ask(Wanted::Run, &seen)), "kill");
    seen.container = EXIT;
    seen.capture = Capture::Done;
    assert_eq!(word(&ask(Wanted::Run, &seen)), "end infra_unknown");
}

fn any_container() -> impl Strategy<Value = Container> {
    prop_oneof![
        Just(Container::Unknown),
        Just(Container::Absent),
        Just(Container::Foreign),
        Just(Container::Created),
        Just(Container::Running),
        Just(Container::Removing),
        Just(Container::Elsewhere),
        (any::<Option<u8>>(), any::<bool>()).prop_map(|(code, oom)| Container::Exited(Exit { code, oom })),
    ]
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        Just(Wanted::Run),
        Just(Wanted::Forget),
        Just(Wanted::Stop(stop(StopCause::Stop))),
        Just(Wanted::Stop(Stop { grace: Duration::ZERO, ..stop(StopCause::Kill) })),
    ]
}

prop_compose! {
    fn any_observed()(
        phase in prop::sample::select(vec![
            Phase::Intent, Phase::Created, Phase::StartIntent, Phase::Started, Phase::Ended,
        ]),
        container in any_container(),
        image in prop::sample::select(vec![Image::Wanted, Image::Ready]),
        start in prop::sample::select(vec![StartRequest::NotSent, StartRequest::Sent]),
        capture in prop::sample::select(vec![Capture::Idle, Capture::Open, Capture::Done]),
        signalled in prop::option::of(0..2 * NOW.0),
        killed in prop::option::of(0..2 * NOW.0),
        stuck in any::<bool>(),
        time_limit in prop::option::of(0..2 * NOW.0),
        doubt in prop::sample::select(vec![Doubt::None, Doubt::DaemonWasLost, Doubt::HostRebooted]),
        second_run in any::<bool>(),
        strict in any::<bool>(),
        log_end_durable in any::<bool>(),
        result_acknowledged in any::<bool>(),
        by_guard in any::<bool>(),
        contact in prop::option::of(prop::option::of(0..2 * NOW.0)),
    ) -> Observed {
        Observed {
            phase, container, image, start, failure: None, capture,
            stopping: Stopping {
                stop: signalled.or(killed).map(|_| stop(StopCause::Stop)),
                signalled: signalled.map(BootTime), killed: killed.map(BootTime), stuck, by_guard,
            },
            contact: contact.map(|last| Contact {
                last: last.map(BootTime), fence_after: Duration::from_secs(240),
            }),
            confirmed: true, time_limit: time_limit.map(BootTime), doubt, second_run, strict, log_end_durable,
            result_acknowledged,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_combination_breaks_a_promise(wanted in any_wanted(), seen in any_observed()) {
        let action = ask(wanted, &seen);
        prop_assert_eq!(&action, &ask(wanted, &seen), "asking twice changes nothing");
        match action {
            Action::Start => {
                prop_assert!(seen.phase == Phase::StartIntent && seen.start == StartRequest::NotSent);
                prop_assert_eq!(wanted, Wanted::Run, "nothing starts after a stop");
                prop_assert!(seen.contact.is_none_or(|contact| contact.fence(NOW) == Fence::Free));
                prop_assert!(seen.container != Container::Elsewhere, "nothing goes to another daemon");
            }
            Action::Create => prop_assert!(seen.phase == Phase::Intent && seen.container == Container::Absent),
            Action::Remove { force } => {
                let durable = seen.log_end_durable && seen.result_acknowledged && seen.phase == Phase::Ended;
                let never_ran = seen.container == Container::Created && !force;
                prop_assert!(never_ran || durable || wanted == Wanted::Forget);
                prop_assert!(seen.container != Container::Foreign, "foreign containers are never touched");
            }
            Action::End(ending) => {
                prop_assert!(seen.phase != Phase::Ended, "a result is written once");
                prop_assert!(seen.container != Container::Unknown);
                if ending.reason == EndReason::Exited && ending.exit_code == Some(0) {
                    let exited = Container::Exited(Exit { code: Some(0), oom: ending.oom_seen });
                    prop_assert!(seen.phase == Phase::Started && seen.container == exited);
                    prop_assert!(seen.doubt == Doubt::None && seen.capture == Capture::Done && !seen.second_run);
                }
            }
            Action::Forget => prop_assert!(matches!(
                seen.container,
                Container::Absent | Container::Foreign | Container::Elsewhere
            )),
            Action::Signal(_) | Action::Kill(_) | Action::Attach | Action::Recover => {
                prop_assert!(seen.container != Container::Elsewhere, "nothing goes to another daemon");
            }
            Action::PullImage | Action::Inspect | Action::JournalCreated
            | Action::JournalStartIntent | Action::JournalStarted
            | Action::ReportStuck | Action::FinishCapture | Action::Wait { .. } => {}
        }
    }
}

/// A fence that fell `ago` before [`NOW`].
fn fenced_since(ago: Duration) -> Contact {
    let fence_after = Duration::from_secs(240);
    Contact { last: Some(NOW - ago - fence_after), fence_after }
}

fn words(action: Action) -> String {
    match action {
        Action::End(ending) => format!("{}: {} ({})", ending.reason, ending.message, ending.retryable),
        other => word(&other),
    }
}

#[test]
fn without_contact_nothing_starts_and_what_has_not_started_ends_as_lost() {
    let lost = "lost: fenced: no contact with the leader for 240 s (true)";
    let contact = Some(fenced_since(Duration::ZERO));
    for (phase, container, due) in [
        (Phase::Intent, Container::Unknown, "Inspect"),
        (Phase::Intent, Container::Absent, lost),
        (Phase::Intent, Container::Created, "remove"),
        (Phase::Created, Container::Created, "remove"),
        (Phase::Created, Container::Absent, lost),
        (Phase::StartIntent, Container::Created, "remove"),
        (Phase::StartIntent, Container::Absent, lost),
        (Phase::StartIntent, Container::Running, "JournalStarted"),
    ] {
        let seen = Observed { contact, ..seen(phase, container) };
        assert_eq!(words(ask(Wanted::Run, &seen)), due, "{phase:?} {container:?}");
    }
    let unsent =
        Observed { contact, start: StartRequest::NotSent, ..seen(Phase::StartIntent, Container::Created) };
    assert_eq!(words(ask(Wanted::Run, &unsent)), "remove", "a start that was about to be sent is not");
}

#[test]
fn a_fence_stops_waits_at_most_its_own_grace_and_kills() {
    let running = Observed { capture: Capture::Open, ..seen(Phase::Started, Container::Running) };
    let mut seen = Observed { contact: Some(fenced_since(Duration::ZERO)), ..running.clone() };
    let Action::Signal(stop) = ask(Wanted::Run, &seen) else { panic!("a fence begins with the stop signal") };
    assert_eq!((stop.cause, stop.signal, stop.grace), (StopCause::Fenced, Signal::TERM, FENCE_GRACE));
    seen.stopping.signalled = Some(NOW);
    assert_eq!(ask(Wanted::Run, &seen), Action::Wait { until: Some(NOW + FENCE_GRACE) });
    seen.contact = Some(fenced_since(FENCE_GRACE));
    seen.stopping.signalled = Some(NOW - FENCE_GRACE);
    assert_eq!(word(&ask(Wanted::Run, &seen)), "kill");
    let late = Observed { contact: Some(fenced_since(Duration::from_secs(600))), ..running };
    assert_eq!(word(&ask(Wanted::Run, &late)), "kill", "the guard kills at this moment: no time for a grace");
}

#[test]
fn a_fence_cuts_the_long_grace_of_another_stop_and_keeps_its_cause() {
    let day = Stop { grace: Duration::from_secs(86_400), ..stop(StopCause::Stop) };
    let mut seen = Observed {
        contact: Some(fenced_since(Duration::from_secs(1))),
        capture: Capture::Open,
        ..seen(Phase::Started, Container::Running)
    };
    seen.stopping.signalled = Some(NOW - Duration::from_secs(60));
    let due = NOW + Duration::from_secs(4);
    assert_eq!(ask(Wanted::Stop(day), &seen), Action::Wait { until: Some(due) });
    seen.contact = Some(fenced_since(FENCE_GRACE));
    let Action::Kill(stop) = ask(Wanted::Stop(day), &seen) else { panic!("the fence's grace is over") };
    assert_eq!(stop.cause, StopCause::Stop);
}

#[test]
fn with_contact_or_with_a_job_that_waits_a_fence_changes_nothing() {
    let running = Observed { capture: Capture::Open, ..seen(Phase::Started, Container::Running) };
    assert_eq!(ask(Wanted::Run, &running), Action::Wait { until: None }, "it waits");
    let contact = Contact { last: Some(NOW), fence_after: Duration::from_secs(240) };
    let touched = Observed { contact: Some(contact), ..running };
    assert_eq!(ask(Wanted::Run, &touched), Action::Wait { until: Some(contact.deadline()) });
}

#[test]
fn an_end_of_its_own_before_the_fence_stays_its_own() {
    let exited = Container::Exited(Exit { code: Some(3), oom: false });
    let contact = Some(fenced_since(Duration::from_secs(60)));
    let mut seen = Observed { contact, capture: Capture::Done, ..seen(Phase::Started, exited) };
    assert_eq!(words(ask(Wanted::Run, &seen)), "exited:  (false)");
    seen.stopping = Stopping { by_guard: true, ..Stopping::default() };
    assert_eq!(words(ask(Wanted::Run, &seen)), "exited:  (false)");
    seen.container = Container::Exited(Exit { code: Some(137), oom: false });
    assert_eq!(words(ask(Wanted::Run, &seen)), "lost: fenced: no contact with the leader for 240 s (true)");
}
