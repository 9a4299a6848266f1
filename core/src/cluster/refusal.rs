//! Why a request was refused. The rpc layer maps each to one gRPC status; the words are for people.

use crate::ids::{JobId, NodeId};

use super::effect::Verdict;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No such job.
    #[error("no job {0}")]
    UnknownJob(JobId),
    /// The job has no such task.
    #[error("job {job} has no task {index}")]
    UnknownTask {
        /// The job.
        job: JobId,
        /// The index asked for.
        index: u32,
    },
    /// No such node.
    #[error("no node {0}")]
    UnknownNode(NodeId),
    /// The key was used for another request.
    #[error("key '{key}' was used for job {job} with another spec (hash {stored}, this one {given})")]
    KeyReused {
        /// The key.
        key: String,
        /// The job it made.
        job: JobId,
        /// Hash of the stored request, hexadecimal.
        stored: String,
        /// Hash of this request, hexadecimal.
        given: String,
    },
    /// No registered worker could ever run it.
    #[error("no node can ever run this job")]
    Unschedulable(Vec<Verdict>),
    /// The job has not ended.
    #[error("job {0} has not ended: stop it, or wait for its end")]
    NotEnded(JobId),
    /// The job is pinned.
    #[error("job {0} is pinned: unpin it first, or delete it with force")]
    Pinned(JobId),
    /// The retried job has nothing to repeat.
    #[error("every task of job {0} succeeded: there is nothing to retry")]
    NothingToRetry(JobId),
    /// The node's worker is connected.
    #[error("node {0} is connected: stop its worker first, or drain it")]
    NodeConnected(NodeId),
    /// The node has attempts that have not ended.
    #[error("node {node} has {attempts} attempts that have not ended: use --declare-lost to give them up")]
    NodeHasAttempts {
        /// The node.
        node: NodeId,
        /// How many.
        attempts: u32,
    },
    /// Too much is queued.
    #[error("{queued} tasks are queued, the limit is {limit}")]
    QueueFull {
        /// Tasks queued.
        queued: u64,
        /// The limit.
        limit: u64,
    },
}
