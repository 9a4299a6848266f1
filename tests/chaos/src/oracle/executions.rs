//! What really ran, by evidence from outside the cluster: marks that containers leave, or the record of the fake.

use std::collections::BTreeSet;
use std::path::Path;

use dockmgr_proto::v1;

use super::Verdict;
use crate::faults::{DAEMON_KILL, Done, attempt_of};
use crate::job::Job;

/// One execution of a program. Times are seconds since boot: all members share the clock.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Execution {
    /// Number of the job in the cluster.
    pub(crate) job: u64,
    /// Number of the attempt.
    pub(crate) attempt: u32,
    pub(crate) started: f64,
    /// The last moment at which it is known to have run.
    pub(crate) last: f64,
    /// Whether it ran to an end of its own making.
    pub(crate) whole: bool,
}

impl Verdict {
    /// Judges the executions of one job.
    pub(super) fn runs(&mut self, job: &Job, found: &v1::Job, runs: &[&Execution], done: &Done) {
        let mut runs = runs.to_vec();
        runs.sort_by(|a, b| a.started.total_cmp(&b.started));
        let attempts: Vec<&v1::Attempt> = found.task.iter().flat_map(|task| &task.attempts).collect();
        let name = format!("job {} (id {}, {:?})", job.number, found.id, job.on_lost);
        for (at, run) in runs.iter().enumerate() {
            if runs[..at].iter().any(|earlier| earlier.attempt == run.attempt) {
                self.blame("second starts of an attempt", format!("{name}: {runs:?}"));
            }
            if !attempts.iter().any(|attempt| attempt.number == run.attempt) {
                self.blame("second starts of an attempt", format!("{name}: nobody placed {run:?}"));
            }
        }
        for two in runs.windows(2) {
            let (earlier, later) = (two[0], two[1]);
            let removed = done.removed.contains(&(found.id, earlier.attempt));
            // A daemon killed around an end takes its knowledge of it along. That it ended is proven, how it did is told as unknown.
            let untold = done.counts.contains_key(DAEMON_KILL)
                && attempts.iter().any(|attempt| {
                    attempt.number == earlier.attempt && attempt.end_reason() == v1::EndReason::InfraUnknown
                });
            let overlaps = later.started < earlier.last;
            if job.on_lost == v1::OnLost::Wait && (overlaps || (earlier.whole && !removed && !untold)) {
                self.blame("run twice (wait)", format!("{name}: {earlier:?} and {later:?}: {attempts:?}"));
            } else if overlaps {
                self.overlap(&name, found, earlier, later);
            }
        }
        let ended = |attempt: &&&v1::Attempt| attempt.end_reason() == v1::EndReason::Exited;
        let known = self.executions > 0;
        for attempt in attempts.iter().filter(ended).filter(|_| known) {
            if !runs.iter().any(|run| run.attempt == attempt.number) {
                self.blame(
                    "wrong exit codes",
                    format!("{name}: attempt {} exited and never ran", attempt.number),
                );
            }
        }
    }

    fn overlap(&mut self, name: &str, found: &v1::Job, earlier: &Execution, later: &Execution) {
        if flagged(found) {
            self.flagged += 1;
        } else {
            let attempts = found.task.as_ref().map(|task| &task.attempts);
            self.blame(
                "unflagged overlaps (retry)",
                format!("{name}: {earlier:?} and {later:?}: {attempts:?}"),
            );
        }
    }
}

/// Whether the job says that attempts of it may have overlapped.
fn flagged(found: &v1::Job) -> bool {
    format!("{found:?}").contains("overlap_possible: true")
}

/// Reads the marks that containers left in `folder`: lines of `S`, `T` or `E`, job, attempt and seconds since boot.
pub(crate) fn read_marks(folder: &Path) -> Vec<Execution> {
    let mut executions: Vec<Execution> = Vec::new();
    let texts = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for text in texts.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()) {
        let first = executions.len();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [kind, job, attempt, time] = words[..] else { continue };
            let (Ok(job), Ok(attempt), Ok(time)) = (job.parse(), attempt.parse(), time.parse::<f64>()) else {
                continue;
            };
            if kind == "S" {
                executions.push(Execution { job, attempt, started: time, last: time, whole: false });
            } else if let Some(run) = executions[first..].iter_mut().rev().find(|run| run.attempt == attempt)
            {
                run.last = run.last.max(time);
                run.whole |= kind == "E";
            }
        }
    }
    executions
}

/// Reads what a fake daemon told below `folder`: lines of `C`, `S`, `E` or `R`, container, seconds since boot and code.
pub(crate) fn read_fake(folder: &Path) -> Vec<Execution> {
    let mut executions: Vec<Execution> = Vec::new();
    let text = std::fs::read_to_string(folder.join("executions")).unwrap_or_default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, name, time, code] = words[..] else { continue };
        let (Some((job, attempt)), Ok(time), Ok(code)) = (attempt_of(name), time.parse(), code.parse::<u8>())
        else {
            continue;
        };
        match kind {
            "S" => executions.push(Execution { job, attempt, started: time, last: time, whole: false }),
            "E" => {
                let same = |run: &&mut Execution| (run.job, run.attempt) == (job, attempt);
                // The codes of the jobs are below those of signals.
                let whole = code < 129;
                if let Some(run) = executions.iter_mut().rev().find(same) {
                    (run.last, run.whole) = (time, whole);
                } else {
                    // The fake lives in the worker: one that is killed between a start and its line tells only the end.
                    executions.push(Execution { job, attempt, started: time, last: time, whole });
                }
            }
            _ => {}
        }
    }
    executions
}

/// Containers of the fake daemon of `folder` that were made and not removed.
pub(super) fn left_in_fake(folder: &Path) -> BTreeSet<String> {
    let mut left = BTreeSet::new();
    let text = std::fs::read_to_string(folder.join("executions")).unwrap_or_default();
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["C", name, ..] => drop(left.insert(name.to_owned())),
            ["R", name, ..] => drop(left.remove(name)),
            _ => {}
        }
    }
    left
}
