//! What the log path must know of the cluster: which attempts there are, and whose output is wanted.

use std::future::Future;

use dockmgr_core::ids::{AttemptId, AttemptNumber, JobId, NodeId, TaskIndex};
use dockmgr_core::log::End;
use tokio::sync::watch;

/// The cluster as the log path sees it; implemented by the controller's handle.
pub(crate) trait AttemptDirectory: Clone + Send + Sync + 'static {
    /// Why there is no answer, for example because nobody leads.
    type Error: Send + 'static;

    /// Tasks of `job` that had an attempt or have ended, from index `from` on in order, at most `limit`; `None` if there
    /// is no such job.
    fn begun(
        &self,
        job: JobId,
        from: TaskIndex,
        limit: usize,
    ) -> impl Future<Output = Result<Option<Vec<BegunTask>>, Self::Error>> + Send;

    /// Whether every task of `job` has ended; `None` if there is no such job.
    fn is_over(&self, job: JobId) -> impl Future<Output = Result<Option<bool>, Self::Error>> + Send;

    /// Changes whenever an answer of this trait may have changed; closed when the leadership is over.
    fn changes(&self) -> Result<watch::Receiver<u64>, Self::Error>;

    /// Whether the output of `attempt` is wanted from `node`: the cluster knows it and placed it there.
    fn wants(
        &self,
        node: NodeId,
        attempt: AttemptId,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// A task that had an attempt or has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BegunTask {
    /// Which.
    pub(crate) index: TaskIndex,
    /// Its newest attempts, oldest first; empty if it ended without one.
    pub(crate) attempts: Vec<BegunAttempt>,
    /// Whether no further attempt comes.
    pub(crate) ended: bool,
}

/// One attempt of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BegunAttempt {
    /// Its number.
    pub(crate) number: AttemptNumber,
    /// Name of its node.
    pub(crate) node_name: String,
    /// What its result says of its output.
    pub(crate) fate: Fate,
}

/// What the record of an attempt says of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has not ended.
    Live,
    /// Its output ends like this and is kept or on its way.
    Ended(End),
    /// It ended without a word on its output: it never started, or its worker was given up.
    Silent,
}
