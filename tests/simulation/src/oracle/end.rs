//! The end of a run: when nothing goes wrong any more, everything must settle.

use std::time::Duration;

use dockmgr_core::cluster::TaskEntry;
use dockmgr_core::ids::{AttemptId, TaskId};
use dockmgr_core::outcome::EndReason;
use dockmgr_core::spec::OnLost;

use crate::output::{Streams, slot};
use crate::world::{Event, World};

/// Time everything has to settle: more than the longest program, all its retries with back-off, and losing a worker.
const PATIENCE: Duration = Duration::from_secs(3600);

impl World {
    /// Looks whether everything has settled.
    pub(crate) fn check_settled(&mut self) {
        match self.unsettled() {
            None => {
                self.check_all_output();
                self.oracle.check_histories();
                self.done = true;
            }
            Some((invariant, words)) => {
                if self.now.since(self.calm_since) > PATIENCE {
                    self.oracle.violate(invariant, words);
                }
                self.after(Duration::from_secs(10), Event::Check);
            }
        }
    }

    /// The first thing that has not settled.
    fn unsettled(&mut self) -> Option<(&'static str, String)> {
        if let Some(at) = self.clients.iter().position(|client| !client.is_done()) {
            return Some(("V1", format!("client {at} still waits for an answer")));
        }
        let Some(cluster) = self.leading_cluster() else { return Some(("V4", "nobody leads".to_owned())) };
        if !self.still_drained().is_empty() {
            return Some(("V1", "a node is still drained".to_owned()));
        }
        let nobody_works = self.workers.iter().all(|worker| !worker.alive);
        for job in cluster.jobs_oldest_first(None).filter(|job| job.ended.is_none()) {
            let waits = job.tasks_from(0).all(|task| {
                task.state.is_terminal() || nobody_works || self.may_wait(&task, job.spec.on_lost)
            });
            if !waits {
                return Some(("V1", format!("job {} has not ended: {:?}", job.id, job.counts)));
            }
        }
        // Only a worker that comes back can tell.
        let unflagged = self.oracle.unflagged(cluster).filter(|_| self.weather.gone.is_none());
        if let Some(job) = unflagged {
            return Some(("I4", format!("attempts of job {job} overlapped, and the job does not say so")));
        }
        if let Some(at) = self.watchers.iter().position(|watcher| !watcher.is_up_to_date(cluster)) {
            return Some(("I15", format!("watcher {at} was not shown everything")));
        }
        self.left_behind().or_else(|| self.output_without_end())
    }

    /// Whether a task's attempt is on the worker that stays away, and must wait for it.
    fn may_wait(&self, task: &TaskEntry, policy: OnLost) -> bool {
        let gone = self.weather.gone.map(|gone| self.workers[gone].node);
        policy == OnLost::Wait && task.current().is_some_and(|attempt| Some(attempt.node) == gone)
    }

    /// Containers of attempts that are over (V2).
    fn left_behind(&self) -> Option<(&'static str, String)> {
        let cluster = self.leading_cluster()?;
        for host in (0..self.hosts.len()).filter(|host| self.workers[*host].alive) {
            for (_, attempt, _) in self.our_containers(host) {
                let current = cluster.job(attempt.job()).and_then(|job| {
                    let task = job.task(job.indices.position_of(attempt.task.index)?)?;
                    task.current().map(|current| current.number == attempt.number)
                });
                if current != Some(true) {
                    return Some(("V2", format!("the container of {attempt} is left on host {host}")));
                }
            }
            if let Some((attempt, _)) = self.workers[host].disk.spool.iter().next()
                && cluster.job(attempt.job()).is_none_or(|job| job.ended.is_some())
            {
                return Some(("V2", format!("the spool of {attempt} is left on host {host}")));
            }
        }
        None
    }

    /// Attempts that ran to a known end whose output has none (V3).
    fn output_without_end(&self) -> Option<(&'static str, String)> {
        let cluster = self.leading_cluster()?;
        for job in cluster.jobs_oldest_first(None) {
            for task in job.tasks_from(0) {
                for entry in &task.attempts {
                    let index = job.indices.index_of(task.position).unwrap_or_default();
                    let attempt = AttemptId { task: TaskId { job: job.id, index }, number: entry.number };
                    let told = entry
                        .end
                        .as_ref()
                        .is_some_and(|end| !matches!(end.reason, EndReason::Lost | EndReason::InfraUnknown));
                    let away = self.workers.iter().any(|worker| worker.node == entry.node && !worker.alive);
                    let kept = self.logs.get(&attempt).is_some_and(|kept| kept.end.is_some());
                    if told
                        && self.oracle.ran(attempt)
                        && !kept
                        && !away
                        && !self.oracle.is_forgotten(attempt)
                    {
                        return Some(("V3", format!("the output of {attempt} has no end")));
                    }
                }
            }
        }
        None
    }

    /// Compares all kept output with what was written (I12).
    fn check_all_output(&mut self) {
        let logs = std::mem::take(&mut self.logs);
        for (attempt, kept) in &logs {
            let written = self.written_by(*attempt);
            self.oracle.check_output(*attempt, kept, written);
        }
        self.logs = logs;
    }

    fn written_by(&self, attempt: AttemptId) -> Option<Streams> {
        for host in 0..self.hosts.len() {
            let ours = self.our_containers(host);
            let found = ours.iter().find(|(_, of, _)| *of == attempt);
            if let Some(container) = found.and_then(|(id, ..)| self.hosts[host].daemon.peek(*id)) {
                let mut streams = Streams::default();
                for (stream, bytes) in container.output() {
                    streams[slot(*stream)].extend_from_slice(bytes);
                }
                return Some(streams);
            }
        }
        None
    }
}
