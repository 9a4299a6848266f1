//! The attempts whose output a search looks at, newest job first, found a page at a time.
//!
//! ```text
//!   what is kept on disk of jobs the cluster has forgotten (listed first, so that no attempt comes twice)
//!   the jobs of the cluster --name, label, number--> their touched tasks --state, reason, node--> attempts
//! ```

use std::collections::{BTreeMap, VecDeque};

use dockmgr_core::cluster::{CHUNK_TASKS, Cluster, Job, TaskEntry};
use dockmgr_core::ids::{AttemptId, AttemptNumber, JobId, TaskId, TaskIndex};
use dockmgr_core::search::{AttemptFacts, JobFacts, Query};
use dockmgr_support::error_chain::Chain;
use tonic::Status;

use crate::controller::Handle;
use crate::logs::LogStore;
use crate::rpc::status;

/// Most attempts of a page.
const PAGE: usize = 256;
/// Most jobs and tasks looked at for a page: a query that leaves little must not hold the controller for long.
const LOOKED_AT: usize = 10_000;

/// An attempt to look through.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) id: AttemptId,
    /// What is left to ask of its lines.
    pub(super) query: Query,
    /// Empty if nobody knows any more.
    pub(super) node_name: String,
    /// Empty if there is none or nobody knows any more.
    pub(super) job_name: String,
}

/// The attempts that are left to look through.
#[derive(Debug)]
pub(super) struct Candidates {
    handle: Handle,
    store: LogStore,
    query: Query,
    ready: VecDeque<Candidate>,
    /// Forgotten jobs that are kept.
    forgotten: VecDeque<JobId>,
    next: Next,
}

/// Where to go on in the cluster.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// With the newest job.
    Newest,
    /// With this job, from this position among its tasks.
    At(JobId, u32),
    /// With the newest job that is older than this one.
    Before(JobId),
    /// All were seen.
    Over,
}

impl Candidates {
    /// Begins; looks which forgotten jobs are kept.
    pub(super) async fn new(handle: Handle, store: LogStore, query: Query) -> Result<Self, Status> {
        let mut forgotten = Vec::new();
        let mut next = Next::Newest;
        let kept = match query.only_job() {
            Some(only) => {
                next = Next::At(only, 0);
                vec![only]
            }
            None => store.jobs().await.map_err(|error| super::super::logs::unreadable(&error))?,
        };
        for page in kept.chunks(LOOKED_AT) {
            let page = page.to_vec();
            let unknown = handle.read(move |cluster, _| {
                page.into_iter().filter(|job| cluster.job(*job).is_none()).collect::<Vec<_>>()
            });
            forgotten.extend(unknown.await.map_err(|error| status::no_answer(&error))?);
        }
        Ok(Self { handle, store, query, ready: VecDeque::new(), forgotten: forgotten.into(), next })
    }

    /// The next attempt; `None` after the last. Not cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Candidate>, Status> {
        loop {
            if let Some(candidate) = self.ready.pop_front() {
                return Ok(Some(candidate));
            }
            if let Some(job) = self.forgotten.pop_front() {
                self.add_forgotten(job).await;
            } else if !self.add_page().await? {
                return Ok(None);
            }
        }
    }

    /// Adds the attempts that are kept of a forgotten job.
    async fn add_forgotten(&mut self, id: JobId) {
        let labels = BTreeMap::new();
        let job = JobFacts { id, name: "", labels: &labels };
        if self.query.within(&job, None).is_never() {
            return;
        }
        let attempts = self.store.attempts_of(id).await.unwrap_or_else(|error| {
            tracing::warn!(job = %id, error = %Chain(&error), "kept output could not be listed");
            Vec::new()
        });
        self.ready.extend(attempts.into_iter().filter_map(|id| unknown(&self.query, &job, id)));
    }

    /// Adds a page of the cluster's attempts; false if there are no more.
    async fn add_page(&mut self) -> Result<bool, Status> {
        if let Next::Over = self.next {
            return Ok(false);
        }
        let (query, next) = (self.query.clone(), self.next);
        let page = self.handle.read(move |cluster, _| {
            let mut page = Page { query, found: VecDeque::new(), left: LOOKED_AT };
            let next = page.fill(cluster, next);
            (page.found, next)
        });
        (self.ready, self.next) = page.await.map_err(|error| status::no_answer(&error))?;
        if self.query.only_job().is_some() && !matches!(self.next, Next::At(..)) {
            self.next = Next::Over;
        }
        Ok(true)
    }
}

/// One look at the cluster.
struct Page {
    query: Query,
    found: VecDeque<Candidate>,
    left: usize,
}

impl Page {
    /// Fills the page; where to go on.
    fn fill(&mut self, cluster: &Cluster, next: Next) -> Next {
        let (first, older) = match next {
            Next::Newest => (None, cluster.jobs_newest_first(None)),
            Next::At(id, position) => {
                (cluster.job(id).map(|job| (job, position)), cluster.jobs_newest_first(Some(id)))
            }
            Next::Before(id) => (None, cluster.jobs_newest_first(Some(id))),
            Next::Over => return Next::Over,
        };
        let only = self.query.only_job().is_some();
        let older = older.take_while(|_| !only).map(|job| (job, 0));
        let mut last = None;
        for (job, position) in first.into_iter().chain(older) {
            if self.is_full() {
                return last.map_or(next, Next::Before);
            }
            if let Some(position) = self.add(job, position) {
                return Next::At(job.id, position);
            }
            last = Some(job.id);
        }
        Next::Over
    }

    /// Adds the attempts of a job; where to go on if the page is full before its end.
    fn add(&mut self, job: &Job, from: u32) -> Option<u32> {
        self.left = self.left.saturating_sub(1);
        let name = job.spec.name.as_ref().map_or("", |name| name.as_str());
        let facts = JobFacts { id: job.id, name, labels: &job.spec.labels };
        let query = self.query.within(&facts, None);
        if query.is_never() {
            return None;
        }
        let chunks = job.chunks().skip_while(|number| *number < from / CHUNK_TASKS);
        for task in chunks.flat_map(|number| job.chunk(number)).filter(|task| task.position >= from) {
            if self.is_full() {
                return Some(task.position);
            }
            self.left = self.left.saturating_sub(1);
            self.add_task(job, &facts, &query, task);
        }
        None
    }

    fn add_task(&mut self, job: &Job, facts: &JobFacts<'_>, query: &Query, task: &TaskEntry) {
        let index = job.indices.index_of(task.position).unwrap_or(TaskIndex(task.position));
        let id = |number| AttemptId { task: TaskId { job: job.id, index }, number };
        // The records of old attempts may have been dropped; their output is kept all the same.
        let oldest = task.attempts.first().map_or(task.last_attempt + 1, |attempt| attempt.number.0);
        let dropped = (1..oldest).filter_map(|number| unknown(query, facts, id(AttemptNumber(number))));
        self.found.extend(dropped);
        for attempt in &task.attempts {
            let node_id = attempt.node.to_string();
            let about = AttemptFacts {
                id: id(attempt.number),
                state: Some(attempt.state),
                reason: attempt.end.as_deref().map(|end| end.reason),
                node: &attempt.node_name,
                node_id: &node_id,
            };
            let query = query.within(facts, Some(&about));
            if !query.is_never() {
                let (node_name, job_name) = (attempt.node_name.to_string(), facts.name.to_owned());
                self.found.push_back(Candidate { id: about.id, query, node_name, job_name });
            }
        }
    }

    fn is_full(&self) -> bool {
        self.left == 0 || self.found.len() >= PAGE
    }
}

/// An attempt of which only the number is known; `None` if the query rules it out.
fn unknown(query: &Query, job: &JobFacts<'_>, id: AttemptId) -> Option<Candidate> {
    let about = AttemptFacts { id, state: None, reason: None, node: "", node_id: "" };
    let query = query.within(job, Some(&about));
    let job_name = job.name.to_owned();
    (!query.is_never()).then_some(Candidate { id, query, node_name: String::new(), job_name })
}
