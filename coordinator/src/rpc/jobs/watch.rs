//! Watching jobs: a snapshot, then every change with its revision, a bookmark now and then.
//!
//! ```text
//! snapshot pages -> bookmark(snapshot_done) -> changes after its revision -> ... (bookmark while nothing happens)
//! ```
//!
//! A job that changes faster than a watcher reads is shown at its newest revision only; revisions never go back, and a
//! place that is not kept any more is said, never skipped.

use std::collections::VecDeque;
use std::time::Duration;

use dockmgr_core::filter::Filter;
use dockmgr_core::ids::JobId;
use dockmgr_proto::v1::{self, watch_jobs_response::Event};
use futures_util::Stream;
use tokio::sync::watch;
use tonic::Status;

use super::super::{references, status, view};
use super::list;
use crate::controller::{self, Feed, Handle, JobNews};

/// How often a watcher hears from us while nothing happens: often enough to survive proxies that close idle streams after a minute.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);
/// Jobs or changes fetched at a time.
const BATCH: usize = 200;

/// Starts a watch.
pub(super) async fn jobs(
    handle: Handle,
    request: v1::WatchJobsRequest,
) -> Result<impl Stream<Item = Result<v1::WatchJobsResponse, Status>> + Send, Status> {
    let filter = list::filter(&request.filter)?;
    let only = match request.job.as_str() {
        "" => None,
        text => Some(references::job(&handle, text).await?),
    };
    let feed = handle.feed().map_err(|error| status::no_answer(&error))?;
    let (snapshot, at) = if request.after_revision == 0 {
        let start = handle.read(|cluster, _| cluster.revision()).await;
        (Snapshot::From(None), start.map_err(|error| status::no_answer(&error))?)
    } else {
        feed.jobs_after(request.after_revision, 1).map_err(|error| status::out_of_range(&error))?;
        (Snapshot::Done, request.after_revision)
    };
    let newest = feed.revision();
    let watcher = Watcher { handle, feed, newest, filter, only, snapshot, at, ready: VecDeque::new() };
    Ok(futures_util::stream::try_unfold(watcher, |mut watcher| async move {
        let step = watcher.next().await?;
        Ok(Some((step, watcher)))
    }))
}

/// Waits until a job has ended and returns it. Cancel safe.
pub(super) async fn ended(handle: &Handle, id: JobId) -> Result<v1::Job, Status> {
    let mut newest = handle.feed().map_err(|error| status::no_answer(&error))?.revision();
    loop {
        newest.mark_unchanged();
        let found = handle.read(move |cluster, _| {
            let job = cluster.job(id)?;
            Some(job.state().is_terminal().then(|| view::job(cluster, job)))
        });
        match found.await.map_err(|error| status::no_answer(&error))? {
            None => return Err(super::gone(id)),
            Some(Some(job)) => return Ok(job),
            Some(None) => {}
        }
        if newest.changed().await.is_err() {
            return Err(status::no_answer(&controller::Error::NotLeader));
        }
    }
}

/// How far the snapshot is.
#[derive(Debug, Clone, Copy)]
enum Snapshot {
    /// Jobs after this one are to be sent.
    From(Option<JobId>),
    /// All are sent.
    Done,
}

struct Watcher {
    handle: Handle,
    feed: Feed,
    newest: watch::Receiver<u64>,
    filter: Filter,
    only: Option<JobId>,
    snapshot: Snapshot,
    /// Everything up to this revision has been sent.
    at: u64,
    ready: VecDeque<v1::WatchJobsResponse>,
}

impl Watcher {
    async fn next(&mut self) -> Result<v1::WatchJobsResponse, Status> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(step);
            }
            if let Snapshot::From(after) = self.snapshot {
                self.fetch_snapshot(after).await?;
            } else {
                self.newest.mark_unchanged();
                if self.fetch_changes().await? {
                    continue;
                }
                match tokio::time::timeout(BOOKMARK_INTERVAL, self.newest.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(status::no_answer(&controller::Error::NotLeader)),
                    Err(_) => return Ok(bookmark(self.at, false)),
                }
            }
        }
    }

    async fn fetch_snapshot(&mut self, after: Option<JobId>) -> Result<(), Status> {
        let (filter, only, at) = (self.filter.clone(), self.only, self.at);
        let page = self.handle.read(move |cluster, _| {
            let mut last = None;
            let mut steps = Vec::new();
            let one = only.filter(|_| after.is_none()).and_then(|id| cluster.job(id));
            let many = only.is_none().then(|| cluster.jobs_oldest_first(after)).into_iter().flatten();
            for job in one.into_iter().chain(many).take(BATCH) {
                last = Some(job.id);
                if filter.matches(list::subject(job)) {
                    steps.push(changed(at, view::job(cluster, job)));
                }
            }
            (steps, last)
        });
        let (steps, last) = page.await.map_err(|error| status::no_answer(&error))?;
        self.ready.extend(steps);
        if last.is_some() {
            self.snapshot = Snapshot::From(last);
        } else {
            self.snapshot = Snapshot::Done;
            self.ready.push_back(bookmark(self.at, true));
        }
        Ok(())
    }

    /// Fetches the next changes; false if there are none.
    async fn fetch_changes(&mut self) -> Result<bool, Status> {
        let news = self.feed.jobs_after(self.at, BATCH).map_err(|error| status::out_of_range(&error))?;
        let Some((last, _)) = news.last().copied() else { return Ok(false) };
        let (filter, only) = (self.filter.clone(), self.only);
        let steps = self.handle.read(move |cluster, _| {
            let mut steps = Vec::new();
            for (revision, piece) in news {
                match piece {
                    JobNews::Changed(id) if only.is_none_or(|only| only == id) => {
                        let job = cluster.job(id).filter(|job| filter.matches(list::subject(job)));
                        steps.extend(job.map(|job| changed(revision, view::job(cluster, job))));
                    }
                    JobNews::Deleted(id) if only.is_none_or(|only| only == id) => {
                        steps.push(deleted(revision, id));
                    }
                    JobNews::Changed(_) | JobNews::Deleted(_) => {}
                }
            }
            steps
        });
        self.ready.extend(steps.await.map_err(|error| status::no_answer(&error))?);
        self.at = last;
        Ok(true)
    }
}

fn changed(revision: u64, job: v1::Job) -> v1::WatchJobsResponse {
    v1::WatchJobsResponse { revision, event: Some(Event::Changed(job)) }
}

fn deleted(revision: u64, id: JobId) -> v1::WatchJobsResponse {
    v1::WatchJobsResponse { revision, event: Some(Event::DeletedId(id.get())) }
}

fn bookmark(revision: u64, snapshot_done: bool) -> v1::WatchJobsResponse {
    v1::WatchJobsResponse { revision, event: Some(Event::Bookmark(v1::Bookmark { snapshot_done })) }
}
