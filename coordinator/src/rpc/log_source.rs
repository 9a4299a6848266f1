//! Whose attempts a reader follows: those of a job the cluster knows, or what is kept of one that was forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use dockmgr_core::ids::{AttemptId, JobId, NodeId, TaskIndex};
use tokio::sync::watch;

use crate::controller::{self, Handle};
use crate::logs::{self, AttemptDirectory, BegunAttempt, BegunTask, Fate, LogStore};

/// Answers what the log path asks.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The cluster knows the job.
    Cluster(Handle),
    /// The job was forgotten and its output is still kept.
    Kept(Arc<Kept>),
}

/// What is kept of a forgotten job.
#[derive(Debug)]
pub(crate) struct Kept {
    tasks: BTreeMap<TaskIndex, BegunTask>,
    /// Never changes; held so that its receivers do not take it for closed.
    still: watch::Sender<u64>,
}

impl Kept {
    /// Looks at what `store` keeps of `job`; `None` if that is nothing.
    pub(crate) async fn find(store: &LogStore, job: JobId) -> Result<Option<Self>, logs::Error> {
        let mut tasks: BTreeMap<TaskIndex, BegunTask> = BTreeMap::new();
        for attempt in store.attempts_of(job).await? {
            let index = attempt.task.index;
            let fate = store.log(attempt).await?.progress().end.map_or(Fate::Silent, Fate::Ended);
            let begun = BegunAttempt { number: attempt.number, node_name: String::new(), fate };
            let task = tasks.entry(index).or_insert(BegunTask { index, attempts: Vec::new(), ended: true });
            task.attempts.push(begun);
        }
        Ok((!tasks.is_empty()).then(|| Self { tasks, still: watch::Sender::new(0) }))
    }
}

impl AttemptDirectory for Source {
    type Error = controller::Error;

    async fn begun(
        &self,
        job: JobId,
        from: TaskIndex,
        limit: usize,
    ) -> Result<Option<Vec<BegunTask>>, Self::Error> {
        match self {
            Self::Cluster(handle) => handle.begun(job, from, limit).await,
            Self::Kept(kept) => {
                Ok(Some(kept.tasks.range(from..).take(limit).map(|(_, task)| task.clone()).collect()))
            }
        }
    }

    async fn is_over(&self, job: JobId) -> Result<Option<bool>, Self::Error> {
        match self {
            Self::Cluster(handle) => handle.is_over(job).await,
            Self::Kept(_) => Ok(Some(true)),
        }
    }

    fn changes(&self) -> Result<watch::Receiver<u64>, Self::Error> {
        match self {
            Self::Cluster(handle) => handle.changes(),
            Self::Kept(kept) => Ok(kept.still.subscribe()),
        }
    }

    async fn wants(&self, node: NodeId, attempt: AttemptId) -> Result<bool, Self::Error> {
        match self {
            Self::Cluster(handle) => handle.wants(node, attempt).await,
            Self::Kept(_) => Ok(false),
        }
    }
}
