//! New jobs: submitted ones, and repetitions of ended ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{JobId, JobUid};
use crate::outcome::TaskState;
use crate::scheduler::Shape;
use crate::spec::JobSpec;

use super::counts::Counts;
use super::effect::{NoteKind, Record, Reply};
use super::event::{Key, Submission};
use super::indices::Indices;
use super::job::Job;
use super::refusal::Refusal;
use super::request::reused;
use super::state::Cluster;
use super::timers::Timer;

/// Most nodes a refusal speaks about; a person reads no more, and the answer stays small.
const REFUSAL_VERDICTS: usize = 100;

/// What becomes of one submission of a batch.
enum Plan {
    /// Its key has made this job before.
    Known(JobId),
    /// Its key is that of an earlier submission of the same batch.
    SameAs(usize),
    /// A new job.
    New,
}

/// A job about to be stored.
pub(super) struct NewJob {
    pub(super) spec: Arc<JobSpec>,
    pub(super) uid: JobUid,
    pub(super) indices: Indices,
    pub(super) retry_of: Option<JobId>,
    pub(super) key: Option<Key>,
}

impl Cluster {
    /// Stores all jobs or none.
    pub(super) fn submit(&mut self, submissions: Vec<Submission>) -> Result<Reply, Refusal> {
        let plans = self.plan(&submissions)?;
        let mut ids: Vec<JobId> = Vec::with_capacity(plans.len());
        for (plan, submission) in plans.into_iter().zip(submissions) {
            let id = match plan {
                Plan::Known(id) => id,
                Plan::SameAs(earlier) => ids[earlier],
                Plan::New => {
                    let Submission { spec, uid, key } = submission;
                    let indices = Indices::of(&spec);
                    self.store_job(NewJob { spec: Arc::new(spec), uid, indices, retry_of: None, key })
                }
            };
            ids.push(id);
        }
        Ok(Reply::Submitted(ids))
    }

    fn plan(&self, submissions: &[Submission]) -> Result<Vec<Plan>, Refusal> {
        let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
        let mut plans = Vec::with_capacity(submissions.len());
        let mut tasks = 0;
        for (at, submission) in submissions.iter().enumerate() {
            if let Some(known) = self.known_request(submission.key.as_ref())? {
                plans.push(Plan::Known(known));
                continue;
            }
            if let Some(key) = &submission.key {
                if let Some(earlier) = keys.get(key.text.as_str()).copied() {
                    let first = submissions[earlier].key.as_ref().expect("only keyed ones are in the map");
                    if first.fingerprint != key.fingerprint {
                        let next = JobId::new(self.next_job_id).expect("job numbers begin at 1");
                        return Err(reused(key, next, &first.fingerprint));
                    }
                    plans.push(Plan::SameAs(earlier));
                    continue;
                }
                keys.insert(&key.text, at);
            }
            self.check_schedulable(&submission.spec)?;
            tasks += u64::from(submission.spec.task_count());
            plans.push(Plan::New);
        }
        self.check_queue(tasks)?;
        Ok(plans)
    }

    /// A new job from an ended one; of an array only the tasks that did not succeed.
    pub(super) fn retry(&mut self, id: JobId, uid: JobUid, key: Option<Key>) -> Result<Reply, Refusal> {
        if let Some(known) = self.known_request(key.as_ref())? {
            return Ok(Reply::Submitted(vec![known]));
        }
        let job = self.jobs.get(&id).ok_or(Refusal::UnknownJob(id))?;
        if job.ended.is_none() {
            return Err(Refusal::NotEnded(id));
        }
        let failed = job.tasks_from(0).filter(|task| task.state != TaskState::Succeeded);
        let failed = failed.filter_map(|task| job.indices.index_of(task.position)).map(|index| index.0);
        let indices = Indices::from_growing(failed).ok_or(Refusal::NothingToRetry(id))?;
        let spec = Arc::clone(&job.spec);
        self.check_schedulable(&spec)?;
        self.check_queue(u64::from(indices.count()))?;
        let new = self.store_job(NewJob { spec, uid, indices, retry_of: Some(id), key });
        Ok(Reply::Submitted(vec![new]))
    }

    /// Refuses a job that no registered node could run even when idle. Before any has registered, or with a queue
    /// time-out, the job waits instead.
    fn check_schedulable(&self, spec: &JobSpec) -> Result<(), Refusal> {
        let shape = Shape::of(spec);
        let waits = spec.queue_timeout.is_some() || self.nodes.is_empty();
        if waits || self.nodes.values().any(|node| shape.fits_idle(&node.host)) {
            return Ok(());
        }
        Err(Refusal::Unschedulable(self.verdicts_of(&shape).take(REFUSAL_VERDICTS).collect()))
    }

    fn check_queue(&self, tasks: u64) -> Result<(), Refusal> {
        let queued = self.totals.queued_tasks;
        let limit = self.config.queue_limit;
        if queued.saturating_add(tasks) > limit {
            return Err(Refusal::QueueFull { queued, limit });
        }
        Ok(())
    }

    fn store_job(&mut self, new: NewJob) -> JobId {
        let NewJob { spec, uid, indices, retry_of, key } = new;
        let id = JobId::new(self.next_job_id).expect("job numbers begin at 1 and grow");
        self.next_job_id += 1;
        let mut job = Job::new(id, uid, spec, indices);
        job.created = self.now.wall;
        job.retry_of = retry_of;
        if let Some(timeout) = job.spec.queue_timeout {
            self.timers.set(self.now.boot + timeout, Timer::QueueTimeout(id));
        }
        let tasks = job.task_count();
        let text = if tasks == 1 { "queued".to_owned() } else { format!("queued with {tasks} tasks") };
        self.insert_job(job);
        self.out.dirty.insert(Record::Cluster);
        self.dirty_job(id);
        self.note_job(NoteKind::JobCreated, id, text);
        if let Some(key) = key {
            self.keep_request(key, id);
        }
        id
    }

    /// Puts a job that has not ended into every index but the queue, which follows when it settles.
    pub(super) fn insert_job(&mut self, mut job: Job) {
        let id = job.id;
        job.spec = self.specs.share(job.spec);
        self.uids.insert(job.uid, id);
        if let Some(name) = &job.spec.name {
            self.names.entry(name.to_string()).or_default().insert(id);
        }
        if let Some(ended) = job.ended {
            *self.totals.jobs(job.state()) += 1;
            self.ended.insert((ended, id));
        } else {
            self.totals.active_jobs += 1;
            job.shape = Some(self.queue.hold(Shape::of(&job.spec)));
        }
        self.jobs.insert(id, Box::new(job));
    }
}

impl Job {
    /// A job of which no task was touched.
    pub(super) fn new(id: JobId, uid: JobUid, spec: Arc<JobSpec>, indices: Indices) -> Self {
        let counts = Counts { queued: indices.count(), ..Counts::default() };
        Self {
            id,
            uid,
            spec,
            created: crate::time::WallTime::default(),
            started: None,
            ended: None,
            retry_of: None,
            stop: None,
            rest: None,
            pinned_digest: None,
            indices,
            revision: 0,
            counts,
            overlap_possible: false,
            pinned: false,
            output_deleted: None,
            outcome: None,
            tasks: BTreeMap::new(),
            cursor: 0,
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            live: BTreeSet::new(),
            shape: None,
            tallied: Counts::default(),
        }
    }
}
