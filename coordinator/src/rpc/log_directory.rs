//! What the log path asks of the cluster, answered by the controller.

use dockmgr_core::cluster::{AttemptEntry, CHUNK_TASKS, Job, TaskEntry};
use dockmgr_core::ids::{AttemptId, JobId, NodeId, TaskIndex};
use tokio::sync::watch;

use crate::controller::{self, Handle};
use crate::logs::{AttemptDirectory, BegunAttempt, BegunTask, Fate};

impl AttemptDirectory for Handle {
    type Error = controller::Error;

    async fn begun(
        &self,
        job: JobId,
        from: TaskIndex,
        limit: usize,
    ) -> Result<Option<Vec<BegunTask>>, Self::Error> {
        self.read(move |cluster, _| {
            let job = cluster.job(job)?;
            Some(begun_tasks(job, from, limit))
        })
        .await
    }

    async fn is_over(&self, job: JobId) -> Result<Option<bool>, Self::Error> {
        self.read(move |cluster, _| cluster.job(job).map(|job| job.state().is_terminal())).await
    }

    fn changes(&self) -> Result<watch::Receiver<u64>, Self::Error> {
        self.feed().map(|feed| feed.revision())
    }

    async fn wants(&self, node: NodeId, attempt: AttemptId) -> Result<bool, Self::Error> {
        self.read(move |cluster, _| {
            let job = cluster.job(attempt.job())?;
            let task = job.task(job.indices.position_of(attempt.task.index)?)?;
            let known = task.attempts.iter().find(|known| known.number == attempt.number)?;
            Some(known.node == node && job.output_deleted.is_none())
        })
        .await
        .map(|known| known.unwrap_or(false))
    }
}

/// Tasks of `job` that had an attempt or have ended, from index `from` on in order, at most `limit`.
pub(crate) fn begun_tasks(job: &Job, from: TaskIndex, limit: usize) -> Vec<BegunTask> {
    // Positions are in the order of the indices; the first one at or behind `from` may lie in a later range.
    let first = job.indices.position_of(from).or_else(|| first_behind(job, from));
    let Some(first) = first else { return Vec::new() };
    // A task that was never touched has no output, whatever became of it.
    let chunks = job.chunks().skip_while(|number| *number < first / CHUNK_TASKS);
    let tasks = chunks.flat_map(|number| job.chunk(number)).filter(|task| task.position >= first);
    tasks.filter(|task| has_begun(task)).take(limit).map(|task| begun(job, task)).collect()
}

fn first_behind(job: &Job, from: TaskIndex) -> Option<u32> {
    let start = job.indices.ranges().map(|(first, _)| first).find(|first| *first >= from.0)?;
    job.indices.position_of(TaskIndex(start))
}

fn has_begun(task: &TaskEntry) -> bool {
    !task.attempts.is_empty() || task.state.is_terminal()
}

fn begun(job: &Job, task: &TaskEntry) -> BegunTask {
    BegunTask {
        index: job.indices.index_of(task.position).unwrap_or(TaskIndex(task.position)),
        attempts: task.attempts.iter().map(attempt).collect(),
        ended: task.state.is_terminal(),
    }
}

fn attempt(attempt: &AttemptEntry) -> BegunAttempt {
    let fate = match attempt.end.as_deref() {
        None => Fate::Live,
        Some(end) => end.log_end.clone().map_or(Fate::Silent, Fate::Ended),
    };
    BegunAttempt { number: attempt.number, node_name: attempt.node_name.to_string(), fate }
}
