//! Which jobs have something to ship, as the cluster and the log folder tell.
//!
//! ```text
//!   start, or news were missed --list--> told --news of a job--> looked at again
//!   too many jobs: no more are taken in until some are done, then listed anew
//! ```

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::cluster::{Job, JobNews};
use dockmgr_core::export::{About, Cursor, Ended};
use dockmgr_core::ids::{AttemptNumber, JobId, TaskIndex};
use dockmgr_core::outcome::JobState;

use super::Error;
use crate::controller::Handle;
use crate::logs::{AttemptDirectory as _, BegunTask, LogStore};
use crate::rpc::{Kept, Source, begun_tasks};

/// Jobs that are held in memory; what comes beyond waits in the cluster and in the log folder.
const MOST_JOBS: usize = 8192;
/// Jobs asked for at a time: the leader answers this within a millisecond.
const PAGE: usize = 256;
/// Tasks of one job that are looked at together.
const TASKS: usize = 256;

/// The jobs with something to ship.
#[derive(Debug)]
pub(super) struct Agenda {
    handle: Handle,
    logs: LogStore,
    /// `None` for a job that must be looked at.
    jobs: BTreeMap<JobId, Option<Arc<Look>>>,
    /// Up to which revision news were heard; `None` before the first listing and after news were missed.
    told: Option<u64>,
    /// Whether jobs were left out for want of room.
    is_cut: bool,
    /// The job whose turn was last.
    last: Option<JobId>,
}

/// A job as it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Tasks that begun, from the first one on of which something is to be shipped.
    pub(super) tasks: Vec<BegunTask>,
    /// Whether these are all that begun.
    pub(super) is_whole: bool,
    /// Whether the job has ended: no further task begins.
    pub(super) is_over: bool,
    /// Whether the cluster has forgotten it, or that its output is deleted: nothing more comes from workers.
    pub(super) is_forgotten: bool,
    /// What is known of every attempt of it.
    pub(super) about: About,
    /// How attempts of these tasks ended; those that the cluster still remembers.
    pub(super) ends: BTreeMap<(TaskIndex, AttemptNumber), Ended>,
    /// How the job ended.
    pub(super) end: Option<Ended>,
}

impl Agenda {
    /// An agenda that must be refreshed first.
    pub(super) fn new(handle: Handle, logs: LogStore) -> Self {
        Self { handle, logs, jobs: BTreeMap::new(), told: None, is_cut: false, last: None }
    }

    /// Brings it up to date. Jobs of which there is nothing to ship are finished in `cursor`.
    pub(super) async fn refresh(&mut self, cursor: &mut Cursor) -> Result<(), Error> {
        if self.is_cut && self.jobs.len() < MOST_JOBS / 2 {
            (self.told, self.is_cut) = (None, false);
        }
        match self.told {
            None => self.list(cursor).await?,
            Some(told) => self.hear(told, cursor)?,
        }
        loop {
            let unseen = |(job, look): (&JobId, &Option<Arc<Look>>)| look.is_none().then_some(*job);
            let stale: Vec<JobId> = self.jobs.iter().filter_map(unseen).take(PAGE).collect();
            if stale.is_empty() {
                return Ok(());
            }
            self.look_at(&stale, cursor).await?;
        }
    }

    /// The jobs and how they look, each once, beginning with the one whose turn is next.
    pub(super) fn round(&self) -> Vec<(JobId, Arc<Look>)> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let until = self.last.map_or(Bound::Excluded(JobId::FIRST), Bound::Included);
        let jobs =
            self.jobs.range((after, Bound::Unbounded)).chain(self.jobs.range((Bound::Unbounded, until)));
        jobs.filter_map(|(job, look)| Some((*job, Arc::clone(look.as_ref()?)))).collect()
    }

    /// It was this job's turn.
    pub(super) fn had_turn(&mut self, job: JobId) {
        self.last = Some(job);
    }

    /// The job must be looked at again.
    pub(super) fn look_again(&mut self, job: JobId) {
        if let Some(look) = self.jobs.get_mut(&job) {
            *look = None;
        }
    }

    /// Nothing more is to be shipped of the job.
    pub(super) fn forget(&mut self, job: JobId) {
        self.jobs.remove(&job);
    }

    /// Takes in every job that may have something to ship.
    async fn list(&mut self, cursor: &mut Cursor) -> Result<(), Error> {
        // What happens during the listing is heard again afterwards.
        let told = *self.handle.feed()?.revision().borrow();
        let kept = self.logs.jobs_older_than(Duration::ZERO).await?;
        let mut next = cursor.done().first_missing();
        let mut wanted: Vec<JobId> = kept.into_iter().chain(cursor.open()).collect();
        loop {
            let after = JobId::new(next.get() - 1);
            let read = move |cluster: &dockmgr_core::cluster::Cluster, _| {
                let jobs = cluster.jobs_oldest_first(after).take(PAGE);
                jobs.map(|job| (job.id, has_begun(job))).collect::<Vec<_>>()
            };
            let page = self.handle.read(read).await?;
            let Some((last, _)) = page.last().copied() else { break };
            wanted.extend(page.into_iter().filter_map(|(job, begun)| begun.then_some(job)));
            next = JobId::new(last.get() + 1).unwrap_or(last);
        }
        wanted.sort_unstable();
        for job in wanted {
            self.take_in(job, cursor);
        }
        self.told = Some(told);
        Ok(())
    }

    /// Takes in what the feed tells since `told`.
    fn hear(&mut self, told: u64, cursor: &Cursor) -> Result<(), Error> {
        let feed = self.handle.feed()?;
        let mut told = told;
        while !self.is_cut {
            let Ok(news) = feed.jobs_after(told, PAGE) else {
                self.told = None;
                return Ok(());
            };
            let Some((newest, _)) = news.last() else { break };
            told = *newest;
            for (_, news) in news {
                match news {
                    JobNews::Changed(job) | JobNews::Deleted(job) => self.take_in(job, cursor),
                }
            }
        }
        self.told = Some(told);
        Ok(())
    }

    fn take_in(&mut self, job: JobId, cursor: &Cursor) {
        if cursor.is_done(job) {
            return;
        }
        if self.jobs.len() < MOST_JOBS || self.jobs.contains_key(&job) {
            self.jobs.insert(job, None);
        } else {
            self.is_cut = true;
        }
    }

    async fn look_at(&mut self, jobs: &[JobId], cursor: &mut Cursor) -> Result<(), Error> {
        let first = |job: &JobId| (*job, cursor.first_task(*job).unwrap_or(TaskIndex(u32::MAX)));
        let wanted: Vec<(JobId, TaskIndex)> = jobs.iter().map(first).collect();
        let read = move |cluster: &dockmgr_core::cluster::Cluster, _| {
            let look = |(job, from)| (job, from, cluster.job(job).map(|found| look(found, from)));
            wanted.into_iter().map(look).collect::<Vec<_>>()
        };
        for (job, from, look) in self.handle.read(read).await? {
            let look = match look {
                Some(look) => Some(look),
                None => self.look_at_kept(job, from).await?,
            };
            match look {
                // Deleted with its output, or before it had any.
                None => {
                    cursor.finish_job(job);
                    self.jobs.remove(&job);
                }
                // It waits to be placed: the feed tells when that changes.
                Some(look) if look.tasks.is_empty() && !look.is_over => {
                    self.jobs.remove(&job);
                }
                Some(look) => {
                    self.jobs.insert(job, Some(Arc::new(look)));
                }
            }
        }
        Ok(())
    }

    /// What is kept of a job that the cluster has forgotten.
    async fn look_at_kept(&self, job: JobId, from: TaskIndex) -> Result<Option<Look>, Error> {
        let Some(kept) = Kept::find(&self.logs, job).await? else { return Ok(None) };
        let tasks = Source::Kept(Arc::new(kept)).begun(job, from, TASKS).await?.unwrap_or_default();
        let is_whole = tasks.len() < TASKS;
        Ok(Some(Look { tasks, is_whole, is_over: true, is_forgotten: true, ..Look::default() }))
    }
}

fn has_begun(job: &Job) -> bool {
    job.state().is_terminal() || job.chunks().next().is_some()
}

fn look(job: &Job, from: TaskIndex) -> Look {
    let tasks = begun_tasks(job, from, TASKS);
    let labels = job.spec.labels.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let about = About {
        job_name: job.spec.name.as_ref().map(ToString::to_string),
        labels: labels.collect(),
        image: Some(job.spec.image.to_string()),
        node: None,
    };
    let is_whole = tasks.len() < TASKS;
    let ends = ends(job, &tasks);
    Look {
        tasks,
        is_whole,
        is_over: job.state().is_terminal(),
        is_forgotten: job.output_deleted.is_some(),
        about,
        ends,
        end: end(job),
    }
}

fn ends(job: &Job, tasks: &[BegunTask]) -> BTreeMap<(TaskIndex, AttemptNumber), Ended> {
    let mut ends = BTreeMap::new();
    for index in tasks.iter().map(|task| task.index) {
        let Some(task) = job.indices.position_of(index).and_then(|position| job.task(position)) else {
            continue;
        };
        for attempt in &task.attempts {
            let Some(end) = &attempt.end else { continue };
            let ended = Ended {
                at: end.ended.unwrap_or(attempt.placed),
                reason: end.reason,
                exit_code: end.exit_code,
                is_success: end.is_success(),
                message: end.message.clone(),
            };
            ends.insert((index, attempt.number), ended);
        }
    }
    ends
}

fn end(job: &Job) -> Option<Ended> {
    let outcome = job.outcome.as_ref()?;
    Some(Ended {
        at: job.ended?,
        reason: outcome.reason,
        exit_code: Some(outcome.exit_code),
        is_success: job.state() == JobState::Succeeded,
        message: outcome.message.clone(),
    })
}
