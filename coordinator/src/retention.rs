//! Deletes kept output: at once where a person asked for it, after the retention time where its job is gone.
//!
//! Owns when; the log store knows how. Output of jobs that the cluster still knows is never touched here.

use std::time::Duration;

use dockmgr_core::ids::JobId;
use dockmgr_support::error_chain::Chain;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::controller::Handle;
use crate::logs::LogStore;

/// Jobs whose output may wait to be deleted; whoever announces one more waits.
pub(crate) const DOOMED_BOUND: usize = 1024;
/// How often old output is looked for: retention has a grain of days.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// Deletes output until `stop` is cancelled.
pub(crate) async fn run(
    logs: LogStore,
    handle: Handle,
    keep: Duration,
    mut doomed: mpsc::Receiver<JobId>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            // The program ends.
            () = stop.cancelled() => return,
            // A person asked for it.
            Some(job) = doomed.recv() => delete(&logs, job).await,
            // Time to look for old output.
            () = tokio::time::sleep(SWEEP_INTERVAL) => sweep(&logs, &handle, keep).await,
        }
    }
}

async fn sweep(logs: &LogStore, handle: &Handle, keep: Duration) {
    let old = match logs.jobs_older_than(keep).await {
        Ok(old) => old,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "old output could not be looked for");
            return;
        }
    };
    let gone = handle
        .read(move |cluster, _| old.into_iter().filter(|id| cluster.job(*id).is_none()).collect::<Vec<_>>());
    // Without a leader nobody knows which jobs are gone: the next sweep will.
    for job in gone.await.unwrap_or_default() {
        delete(logs, job).await;
    }
}

async fn delete(logs: &LogStore, job: JobId) {
    match logs.delete_job(job).await {
        Ok(()) => tracing::info!(job_id = %job, "output deleted"),
        Err(error) => tracing::warn!(job_id = %job, error = %Chain(&error), "output could not be deleted"),
    }
}
