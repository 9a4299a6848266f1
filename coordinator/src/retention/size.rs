//! Gives up output of which there is more than there may be. The rule is `core::retention`'s; here it gets its facts.
//!
//! ```text
//!   what output takes (log store), whose it is (cluster), who needs it (exporters) -> choose -> stored -> deleted
//! ```
//!
//! Invariant: output of a job that the cluster knows is deleted after it is stored that it is gone and why. So nobody reads
//! it as empty, and what a crash left of it goes at the next look.

use dockmgr_core::cluster::{Cluster, Refusal, Request};
use dockmgr_core::ids::JobId;
use dockmgr_core::retention::{self, Limits, Output};
use dockmgr_core::time::WallTime;
use dockmgr_support::error_chain::Chain;

use super::delete;
use crate::controller::{self, Handle};
use crate::export::Hold;
use crate::logs::LogStore;

/// Jobs that are looked at in one go: the controller does nothing else meanwhile.
const PAGE: usize = 4096;

/// Deletes what is too much now; where this process does not lead, or nothing limits output, nothing.
pub(super) async fn trim(logs: &LogStore, handle: &Handle, limits: Limits, hold: &Hold) {
    if limits == Limits::default() || handle.feed().is_err() {
        return;
    }
    let sizes = match logs.sizes().await {
        Ok(sizes) => sizes.into_iter().collect::<Vec<_>>(),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "what output takes could not be looked at");
            return;
        }
    };
    // Without a leader nobody knows which jobs have ended: the next look will.
    let Ok((outputs, left_over)) = look(handle, &sizes, hold).await else { return };
    for job in left_over {
        delete(logs, job).await;
    }
    for (job, reason) in retention::choose(limits, &outputs) {
        match handle.request(Request::GiveUpOutput { job, reason }).await {
            // One that the cluster has forgotten has no record that could say so.
            Ok(Ok(_) | Err(Refusal::UnknownJob(_))) => {
                tracing::info!(job_id = %job, %reason, "output is given up");
                delete(logs, job).await;
            }
            Ok(Err(refusal)) => tracing::info!(job_id = %job, %refusal, "output stays"),
            Err(_) => return,
        }
    }
}

/// Whose output it is; and the jobs whose output was given up and is not all deleted.
async fn look(
    handle: &Handle,
    sizes: &[(JobId, u64)],
    hold: &Hold,
) -> Result<(Vec<Output>, Vec<JobId>), controller::Error> {
    let (mut outputs, mut left_over) = (Vec::new(), Vec::new());
    for page in sizes.chunks(PAGE) {
        let page = page.to_vec();
        let look = move |cluster: &Cluster, _| {
            page.into_iter().map(|(job, bytes)| output(cluster, job, bytes)).collect::<Vec<_>>()
        };
        for found in handle.read(look).await? {
            match found {
                Ok(output) => {
                    outputs.push(Output { stays: output.stays || hold.needs(output.job), ..output });
                }
                Err(given_up) => left_over.push(given_up),
            }
        }
    }
    Ok((outputs, left_over))
}

/// The output of a job as the cluster sees it; `Err` if it was given up.
fn output(cluster: &Cluster, job: JobId, bytes: u64) -> Result<Output, JobId> {
    match cluster.job(job) {
        Some(known) if known.output_deleted.is_some() => Err(job),
        Some(known) => Ok(Output { job, bytes, ended: known.ended, stays: known.pinned }),
        // Forgotten: it ended before all that is known.
        None => Ok(Output { job, bytes, ended: Some(WallTime(i64::MIN)), stays: false }),
    }
}
