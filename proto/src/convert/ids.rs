//! Identities on the wire.

use dockmgr_core::ids::{AttemptId, ClusterId, Incarnation, JobUid, NodeId};

use super::{Error, Problem, parsed, required};
use crate::v1;

/// Reads which attempt a message is about; job and attempt numbers begin at 1.
pub fn attempt_from_wire(field: &str, wire: Option<v1::AttemptRef>) -> Result<AttemptId, Error> {
    let v1::AttemptRef { job_id, task_index, attempt } = required(field, wire)?;
    AttemptId::from_parts(job_id, task_index, attempt)
        .ok_or_else(|| Error::new(field, Problem::Rule("job and attempt numbers begin at 1")))
}

/// Writes which attempt a message is about.
pub fn attempt_to_wire(id: AttemptId) -> v1::AttemptRef {
    v1::AttemptRef { job_id: id.job().get(), task_index: id.task.index.0, attempt: id.number.0 }
}

/// Reads the id of a node.
pub fn node_id(field: &str, text: &str) -> Result<NodeId, Error> {
    hyphenated(field, text)
}

/// Reads the id of one start of a worker.
pub fn incarnation(field: &str, text: &str) -> Result<Incarnation, Error> {
    hyphenated(field, text)
}

/// Reads the id of a cluster.
pub fn cluster_id(field: &str, text: &str) -> Result<ClusterId, Error> {
    hyphenated(field, text)
}

/// Reads the uid of a job.
pub fn job_uid(field: &str, text: &str) -> Result<JobUid, Error> {
    hyphenated(field, text)
}

/// Reads a uuid in its one form on the wire: 36 characters with hyphens.
fn hyphenated<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    const RULE: &str = "it must be a uuid such as 0190d3c4-7e2a-7c5e-8f00-3d2b1a4c5e6f";
    if text.is_empty() {
        return Err(Error::missing(field));
    }
    if text.len() != 36 {
        return Err(Error::new(field, Problem::Rule(RULE)));
    }
    parsed(field, text, str::parse).map_err(|_| Error::new(field, Problem::Rule(RULE)))
}
