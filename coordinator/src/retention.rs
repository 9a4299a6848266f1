//! Deletes kept output: at once where a person asked for it, after the retention time where its job is gone, and where there
//! is more than there may be (`size`).
//!
//! Owns when; the log store knows how. Output of jobs that the cluster still knows goes only by its size.

mod size;

use std::collections::BTreeSet;
use std::time::Duration;

use dockmgr_core::ids::JobId;
use dockmgr_core::retention::Limits;
use dockmgr_support::error_chain::Chain;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::controller::Handle;
use crate::export::Hold;
use crate::logs::LogStore;
use crate::metrics::export::ExportMeter;

/// Jobs whose output may wait to be deleted; whoever announces one more waits.
pub(crate) const DOOMED_BOUND: usize = 1024;
/// How often old output is looked for: retention has a grain of days.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);
/// How often a deletion that failed is tried again: storage is away for minutes, and somebody asked for it.
const RETRY_INTERVAL: Duration = Duration::from_mins(1);
/// How often it is looked what output takes: a job that runs wild fills a disk within minutes.
const SIZE_INTERVAL: Duration = Duration::from_mins(1);
/// How much longer old output is kept that an exporter still needs: a server that is away for a week is missed by somebody.
const HOLD: Duration = Duration::from_hours(7 * 24);

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Output of forgotten jobs, so long.
    pub(crate) keep: Duration,
    /// Output of all jobs, so much.
    pub(crate) limits: Limits,
}

/// Who else needs old output, and what is counted when they do not get it.
#[derive(Debug)]
pub(crate) struct Needs {
    /// What exporters have not shipped.
    pub(crate) hold: Hold,
    /// Counts what they lose.
    pub(crate) meter: ExportMeter,
}

/// Deletes output until `stop` is cancelled.
pub(crate) async fn run(
    logs: LogStore,
    handle: Handle,
    rules: Rules,
    needs: Needs,
    mut doomed: mpsc::Receiver<JobId>,
    stop: CancellationToken,
) {
    // Not a sleep inside the loop: deletions that keep coming would put the next look off for ever.
    let mut sweeps = tokio::time::interval_at(Instant::now() + SWEEP_INTERVAL, SWEEP_INTERVAL);
    let mut looks = tokio::time::interval_at(Instant::now() + SIZE_INTERVAL, SIZE_INTERVAL);
    let mut retries = tokio::time::interval(RETRY_INTERVAL);
    let mut failed = BTreeSet::new();
    loop {
        tokio::select! {
            // The program ends.
            () = stop.cancelled() => return,
            // A person asked for it.
            Some(job) = doomed.recv() => {
                if !delete(&logs, job).await && failed.len() < DOOMED_BOUND {
                    failed.insert(job);
                }
            }
            // The place of output may answer again.
            _ = retries.tick(), if !failed.is_empty() => {
                for job in std::mem::take(&mut failed) {
                    if !delete(&logs, job).await {
                        failed.insert(job);
                    }
                }
            }
            // Time to look for old output.
            _ = sweeps.tick() => sweep(&logs, &handle, rules.keep, &needs).await,
            // Time to look what it takes.
            _ = looks.tick() => size::trim(&logs, &handle, rules.limits, &needs.hold).await,
        }
    }
}

async fn sweep(logs: &LogStore, handle: &Handle, keep: Duration, needs: &Needs) {
    let overdue = logs.jobs_older_than(keep.saturating_add(HOLD));
    let (old, overdue) = match tokio::try_join!(logs.jobs_older_than(keep), overdue) {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "old output could not be looked for");
            return;
        }
    };
    let gone = handle.read(move |cluster, _| {
        // Or given up, and a limit that was lifted since does not look for what is left of it.
        let is_gone = |id: &JobId| cluster.job(*id).is_none_or(|job| job.output_deleted.is_some());
        old.into_iter().filter(is_gone).collect::<Vec<_>>()
    });
    // Without a leader nobody knows which jobs are gone: the next sweep will.
    for job in due(gone.await.unwrap_or_default(), &overdue.into_iter().collect(), needs) {
        delete(logs, job).await;
    }
}

/// Which of the jobs with old output lose it now: those that no exporter needs, and those that waited for one too long.
fn due(old: Vec<JobId>, overdue: &BTreeSet<JobId>, needs: &Needs) -> Vec<JobId> {
    let is_due = |job: &JobId| {
        if !needs.hold.needs(*job) {
            return true;
        }
        let is_overdue = overdue.contains(job);
        if is_overdue {
            tracing::warn!(job_id = %job, "output is deleted that was not shipped everywhere");
            needs.meter.lost();
        }
        is_overdue
    };
    old.into_iter().filter(is_due).collect()
}

/// Deletes the output of a job; false if it is still there.
async fn delete(logs: &LogStore, job: JobId) -> bool {
    match logs.delete_job(job).await {
        Ok(()) => tracing::info!(job_id = %job, "output deleted"),
        Err(error) => {
            tracing::warn!(job_id = %job, error = %Chain(&error), "output could not be deleted");
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn old_output_that_was_not_shipped_waits_and_goes_in_the_end() {
        let [shipped, waiting, overdue] = [1, 2, 3].map(|id| JobId::new(id).expect("not 0"));
        let needs = Needs { hold: Hold::default(), meter: Metrics::default().export };
        let all = vec![shipped, waiting, overdue];
        assert_eq!(due(all.clone(), &BTreeSet::from([overdue]), &needs), all, "nobody ships");
        needs.hold.tell("main", &"1".parse().expect("a set"));
        assert_eq!(due(all, &BTreeSet::from([overdue]), &needs), [shipped, overdue]);
    }
}
