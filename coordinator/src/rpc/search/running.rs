//! A search under way.
//!
//! ```text
//!   scanning --all attempts were looked at, or the time is over--> giving --the last hit was given--> done
//! ```

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use dockmgr_proto::v1::{self, search_logs_response::Event};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Status;

use super::candidates::Candidates;
use super::feed::Feed;
use super::found::{Found, Hit};
use super::place::{self, Place};
use super::shared::Shared;
use super::wanted::Wanted;
use super::{context, scans};
use crate::controller::Handle;
use crate::logs::LogStore;

/// Longest time of the scans of one search: hundreds of GiB, and nobody waits longer for an answer.
const LONGEST: Duration = Duration::from_secs(300);
/// How often the client hears how far a search has come: a person sees that it moves, and no proxy takes it for idle.
const TELL: Duration = Duration::from_millis(500);

/// A search. Dropping it ends its scans.
pub(super) struct Running {
    shared: Arc<Shared>,
    /// Pieces of work under way at a time: one for each thread, and as many that are being opened.
    window: usize,
    feed: Feed,
    scans: FuturesUnordered<BoxFuture<'static, ()>>,
    /// All work is under way or was done.
    all_begun: bool,
    deadline: Instant,
    tell_at: Instant,
    incomplete: bool,
    stage: Stage,
}

enum Stage {
    Scanning,
    Giving { hits: VecDeque<(Place, Hit)>, next_page: String },
    Done,
}

impl Running {
    /// Begins a search.
    pub(super) async fn begin(
        handle: Handle,
        store: LogStore,
        wanted: Arc<Wanted>,
        threads: Arc<Semaphore>,
    ) -> Result<Self, Status> {
        let candidates = Candidates::new(handle, store.clone(), wanted.query.clone()).await?;
        let shared = Arc::new(Shared::new(store, wanted, threads));
        let now = Instant::now();
        Ok(Self {
            feed: Feed::new(candidates, Arc::clone(&shared)),
            shared,
            window: 2 * scans(),
            scans: FuturesUnordered::new(),
            all_begun: false,
            deadline: now + LONGEST,
            tell_at: now + TELL,
            incomplete: false,
            stage: Stage::Scanning,
        })
    }

    /// The next step; `None` after the last. Not cancel safe: drop the search, go on by page token.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Status> {
        loop {
            match &mut self.stage {
                Stage::Scanning => {
                    if let Some(progress) = self.scan().await? {
                        return Ok(Some(Event::Progress(progress)));
                    }
                }
                Stage::Giving { hits, next_page } => {
                    let Some((place, hit)) = hits.pop_front() else {
                        let next_page = std::mem::take(next_page);
                        self.stage = Stage::Done;
                        return Ok(Some(Event::Done(self.done(next_page))));
                    };
                    match context::message(&self.shared.store, &self.shared.wanted, place, hit).await {
                        Ok(message) => return Ok(Some(Event::Hit(message))),
                        // It was there a moment ago: its job was deleted.
                        Err(error) => self.shared.missed(place.attempt, &error),
                    }
                }
                Stage::Done => return Ok(None),
            }
        }
    }

    /// Goes on scanning until it is time to tell how far it has come; `None` when it is over.
    async fn scan(&mut self) -> Result<Option<v1::SearchProgress>, Status> {
        loop {
            while !self.all_begun && self.scans.len() < self.window {
                match self.feed.next().await? {
                    None => self.all_begun = true,
                    Some(work) => self.scans.push(Box::pin(work.run(Arc::clone(&self.shared)))),
                }
            }
            tokio::select! {
                // Something was looked through, or nothing is left.
                ended = self.scans.next() => if ended.is_none() {
                    self.give();
                    return Ok(None);
                },
                // It takes too long.
                () = tokio::time::sleep_until(self.deadline) => {
                    self.incomplete = true;
                    self.scans.clear();
                    self.give();
                    return Ok(None);
                }
                // The client should hear something.
                () = tokio::time::sleep_until(self.tell_at) => {
                    self.tell_at = Instant::now() + TELL;
                    return Ok(Some(self.progress()));
                }
            }
        }
    }

    /// Turns to the hits.
    fn give(&mut self) {
        self.shared.stop();
        let (hits, more) = self.found().take_best();
        let question = &self.shared.wanted.question;
        let last = hits.last().filter(|_| more).map(|(place, _)| place::to_token(question, *place));
        self.stage = Stage::Giving { hits: hits.into(), next_page: last.unwrap_or_default() };
    }

    fn progress(&self) -> v1::SearchProgress {
        v1::SearchProgress {
            scanned_bytes: self.shared.bytes.load(Ordering::Relaxed),
            scanned_attempts: self.shared.attempts(),
            hits: self.found().hits,
        }
    }

    fn done(&self, next_page_token: String) -> v1::SearchDone {
        let found = self.found();
        let histogram = found.histogram.as_ref();
        let bucket_millis = histogram.map_or(0, |histogram| histogram.width_millis().unsigned_abs());
        let buckets = histogram.map(|histogram| histogram.spans().collect()).unwrap_or_default();
        drop(found);
        v1::SearchDone {
            total: Some(self.progress()),
            next_page_token,
            buckets,
            bucket_millis,
            incomplete: self.incomplete,
            unreadable_attempts: self.shared.unreadable(),
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.shared.found()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop();
    }
}
