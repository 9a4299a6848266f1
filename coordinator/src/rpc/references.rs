//! How clients name jobs and nodes, and what they get when nothing is called that.

use dockmgr_core::cluster::{Cluster, Job};
use dockmgr_core::ids::{JobId, NodeId};
use tonic::Status;

use super::status;
use crate::controller::Handle;

/// Longest reference that is looked up: a resource name with a full uid is shorter.
const MAX_BYTES: usize = 256;

/// The job a client means by `text`.
pub(crate) async fn job(handle: &Handle, text: &str) -> Result<JobId, Status> {
    look_at_job(handle, text, |_, job| job.id).await
}

/// What `look` finds of the job a client means by `text`; both in one look, because each waits for the commit in flight.
pub(crate) async fn look_at_job<T: Send + 'static>(
    handle: &Handle,
    text: &str,
    look: impl FnOnce(&Cluster, &Job) -> T + Send + 'static,
) -> Result<T, Status> {
    let text = checked("job", text)?;
    let asked = text.clone();
    let found = handle.read(move |cluster, _| {
        let job = cluster.job(cluster.resolve(&asked)?)?;
        Some(look(cluster, job))
    });
    found.await.map_err(|error| status::no_answer(&error))?.ok_or_else(|| {
        status::not_found("JOB_NOT_FOUND", "job", &text, &format!("no job '{}'", text.escape_default()))
    })
}

/// The node a client means by `text`.
pub(crate) async fn node(handle: &Handle, text: &str) -> Result<NodeId, Status> {
    let text = checked("node", text)?;
    let asked = text.clone();
    let found = handle.read(move |cluster, _| cluster.resolve_node(&asked)).await;
    found.map_err(|error| status::no_answer(&error))?.ok_or_else(|| {
        status::not_found("NODE_NOT_FOUND", "node", &text, &format!("no node '{}'", text.escape_default()))
    })
}

fn checked(field: &str, text: &str) -> Result<String, Status> {
    if text.is_empty() {
        return Err(status::invalid_field(field, "must be given"));
    }
    if text.len() > MAX_BYTES || text.contains(char::is_control) {
        return Err(status::invalid_field(field, "is no name, number or uid"));
    }
    Ok(text.to_owned())
}
