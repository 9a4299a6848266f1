//! What the log path asks of the cluster, answered by the controller.

use dockmgr_core::cluster::{Job, TaskEntry};
use dockmgr_core::ids::{AttemptId, JobId, NodeId, TaskIndex};
use tokio::sync::watch;

use super::handle::{Error, Handle};
use crate::logs::{AttemptDirectory, BegunTask, Fate, LastAttempt};

/// Most tasks looked at for one answer: of a large array few may have begun.
const MAX_LOOKED_AT: usize = 20_000;

impl AttemptDirectory for Handle {
    type Error = Error;

    async fn begun(&self, job: JobId, from: TaskIndex, limit: usize) -> Result<Option<Vec<BegunTask>>, Error> {
        self.read(move |cluster, _| {
            let job = cluster.job(job)?;
            let begun = job.tasks_from(first_at_or_after(job, from)).take(MAX_LOOKED_AT);
            Some(begun.filter_map(|task| begun_task(job, &task)).take(limit).collect())
        })
        .await
    }

    async fn is_over(&self, job: JobId) -> Result<Option<bool>, Error> {
        self.read(move |cluster, _| cluster.job(job).map(|job| job.state().is_terminal())).await
    }

    fn changes(&self) -> Result<watch::Receiver<u64>, Error> {
        self.feed().map(|feed| feed.revision())
    }

    async fn wants(&self, node: NodeId, attempt: AttemptId) -> Result<bool, Error> {
        self.read(move |cluster, _| {
            let job = cluster.job(attempt.job())?;
            let task = job.task(job.indices.position_of(attempt.task.index)?)?;
            let known = task.attempts.iter().find(|entry| entry.number == attempt.number)?;
            Some(known.node == node)
        })
        .await
        .map(|known| known == Some(true))
    }
}

/// Position of the first task whose index is at least `from`.
fn first_at_or_after(job: &Job, from: TaskIndex) -> u32 {
    let mut before = 0;
    for (first, last) in job.indices.ranges() {
        if from.0 <= last {
            return before + from.0.saturating_sub(first);
        }
        before += last - first + 1;
    }
    before
}

fn begun_task(job: &Job, task: &TaskEntry) -> Option<BegunTask> {
    let ended = task.state.is_terminal();
    let last = task.attempts.last().map(|attempt| LastAttempt {
        number: attempt.number,
        node_name: attempt.node_name.to_string(),
        fate: match attempt.end.as_deref() {
            None => Fate::Live,
            Some(end) => end.log_end.clone().map_or(Fate::Silent, Fate::Ended),
        },
    });
    let index = job.indices.index_of(task.position)?;
    (last.is_some() || ended).then_some(BegunTask { index, last, ended })
}
