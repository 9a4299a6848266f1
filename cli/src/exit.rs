//! What the program exits with.
//!
//! Owns the table of exit codes and the way from a failure to one of them. `run`, `wait` and `submit --wait` speak for a
//! job, so everything that is ours becomes 125 there; the other commands use the small numbers.
//!
//! ```text
//!            run, wait, submit --wait          other commands
//!   0-255    the job's own code                0 done, 1 failed or not found, 2 usage,
//!   124      a limit ran out                   3 no node can ever run it, 4 not authenticated
//!   125      ours, usage included
//!   126/127  cannot be invoked / not found
//!   130      Ctrl-C                            130 Ctrl-C
//!   141      nobody reads our output any more (run; the others exit 0)
//! ```

use dockmgr_proto::v1::{EndReason, Job};

use crate::failure::{Failure, Kind};

/// A limit ran out.
pub(crate) const LIMIT: u8 = 124;
/// Our side failed.
pub(crate) const OURS: u8 = 125;
/// Left by Ctrl-C or SIGTERM.
pub(crate) const INTERRUPTED: u8 = 130;
/// The reader of our output went away, as a shell reports SIGPIPE.
const OUTPUT_CLOSED: u8 = 141;

/// Whose exit code a command gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// A job's.
    ForJob,
    /// Its own.
    ForItself,
}

/// The code for a failure.
pub(crate) fn of_failure(failure: &Failure, speaks: Speaks) -> u8 {
    match (speaks, failure.kind) {
        (_, Kind::Interrupted) => INTERRUPTED,
        (_, Kind::LimitRanOut) => LIMIT,
        (Speaks::ForJob, Kind::OutputClosed) => OUTPUT_CLOSED,
        (Speaks::ForItself, Kind::OutputClosed) => 0,
        (Speaks::ForJob, Kind::Usage | Kind::Failed | Kind::Impossible | Kind::Unauthenticated) => OURS,
        (Speaks::ForItself, Kind::Failed) => 1,
        (Speaks::ForItself, Kind::Usage) => 2,
        (Speaks::ForItself, Kind::Impossible) => 3,
        (Speaks::ForItself, Kind::Unauthenticated) => 4,
    }
}

/// The code of an ended job. What the coordinator recorded wins; the reason decides where it recorded none.
pub(crate) fn of_job(job: &Job) -> u8 {
    if let Some(code) = job.exit_code {
        return u8::try_from(code).unwrap_or(OURS);
    }
    match job.end_reason() {
        EndReason::Timeout => LIMIT,
        EndReason::Stopped => 143,
        EndReason::Killed | EndReason::Oom => 137,
        EndReason::Exited if job.state() == dockmgr_proto::v1::job::State::Succeeded => 0,
        EndReason::Exited | EndReason::Signaled => 1,
        EndReason::Unspecified
        | EndReason::StartFailed
        | EndReason::ImageFailed
        | EndReason::InfraUnknown
        | EndReason::Lost
        | EndReason::Rejected => OURS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_125_for_a_job_and_small_otherwise() {
        for (kind, for_job, for_itself) in [
            (Kind::Usage, 125, 2),
            (Kind::Failed, 125, 1),
            (Kind::Impossible, 125, 3),
            (Kind::Unauthenticated, 125, 4),
            (Kind::LimitRanOut, 124, 124),
            (Kind::Interrupted, 130, 130),
            (Kind::OutputClosed, 141, 0),
        ] {
            let failure = Failure { kind, what: String::new(), hints: Vec::new() };
            assert_eq!(of_failure(&failure, Speaks::ForJob), for_job, "{kind:?}");
            assert_eq!(of_failure(&failure, Speaks::ForItself), for_itself, "{kind:?}");
        }
    }

    #[test]
    fn a_job_without_a_code_exits_by_its_reason() {
        let job =
            |code, reason: EndReason| Job { exit_code: code, end_reason: reason.into(), ..Job::default() };
        for (code, reason, expected) in [
            (Some(7), EndReason::Exited, 7),
            (Some(0), EndReason::Exited, 0),
            (Some(300), EndReason::Exited, 125),
            (None, EndReason::Timeout, 124),
            (None, EndReason::Stopped, 143),
            (None, EndReason::Killed, 137),
            (None, EndReason::ImageFailed, 125),
            (Some(127), EndReason::StartFailed, 127),
            (None, EndReason::Lost, 125),
        ] {
            assert_eq!(of_job(&job(code, reason)), expected, "{code:?} {reason:?}");
        }
    }
}
