//! One attempt looked through, in slices, so that many searches share few threads and a search ends soon after it should.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::log::Stream;
use dockmgr_core::search::{self, Finder, Query};
use tokio::sync::Semaphore;

use super::candidates::Candidate;
use super::found::Found;
use super::source::Records;
use super::wanted::Wanted;
use crate::logs::{self, LogStore};

/// Bytes of output after which a scan makes room for another: some milliseconds of work, tens for a slow expression.
const SLICE: usize = 8 * 1024 * 1024;
/// Most queries of one search that are kept ready: one or two, unless it asks for something else of each attempt.
const MOST_READY: usize = 8;

/// What the scans of one search share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) wanted: Arc<Wanted>,
    found: Mutex<Found>,
    pub(super) bytes: AtomicU64,
    pub(super) attempts: AtomicU64,
    /// Nobody wants more.
    pub(super) stopped: AtomicBool,
    /// What was made ready: most attempts leave the same to be asked of their lines.
    ready: Mutex<VecDeque<(Query, Ready)>>,
}

/// What is asked of the lines of each stream, made ready.
type Ready = [Arc<Finder>; 2];

impl Shared {
    pub(super) fn new(wanted: Arc<Wanted>) -> Self {
        Self {
            found: Mutex::new(Found::new(Arc::clone(&wanted))),
            wanted,
            bytes: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            ready: Mutex::default(),
        }
    }

    pub(super) fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self, query: &Query) -> Ready {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, finders)) = ready.iter().find(|(known, _)| known == query) {
            return finders.clone();
        }
        let finders = Stream::ALL.map(|stream| Arc::new(Finder::new(query, stream)));
        ready.truncate(MOST_READY - 1);
        ready.push_front((query.clone(), finders.clone()));
        finders
    }
}

/// A scan between two slices.
struct Scan {
    shared: Arc<Shared>,
    candidate: Arc<Candidate>,
    records: Records,
    lines: search::Scan,
    /// What this scan has found since its last slice, so that scans seldom wait for each other.
    found: Found,
}

/// Looks through what there is of an attempt by now. Dropping the future ends it after the batch it is at.
pub(super) async fn scan(
    store: LogStore,
    shared: Arc<Shared>,
    threads: Arc<Semaphore>,
    candidate: Candidate,
) -> Result<(), logs::Error> {
    let records = Records::all(&store, candidate.id).await?;
    let [stdout, stderr] = shared.ready(&candidate.query);
    let lines = search::Scan::new(stdout, stderr, shared.wanted.times);
    let found = Found::new(Arc::clone(&shared.wanted));
    let mut scan = Scan { shared, candidate: Arc::new(candidate), records, lines, found };
    loop {
        // The semaphore is never closed.
        let turn = Arc::clone(&threads).acquire_owned().await.ok();
        let slice = logs::run(move || {
            let done = scan.slice();
            drop(turn);
            done.map(|done| (scan, done))
        });
        let done;
        (scan, done) = slice.await?;
        if done {
            scan.finish();
            return Ok(());
        }
    }
}

impl Scan {
    /// Looks through the next bytes; true if there are no more. Blocks.
    fn slice(&mut self) -> Result<bool, logs::Error> {
        let mut left = SLICE;
        let mut is_end = false;
        while left > 0 && !is_end && !self.shared.stopped.load(Ordering::Relaxed) {
            let records = self.records.next()?;
            let Self { candidate, found, .. } = self;
            self.lines.push(&records, |line| found.add(candidate, line));
            let bytes = records.iter().map(|record| record.bytes.len()).sum::<usize>();
            self.shared.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            left = left.saturating_sub(bytes);
            is_end = records.is_empty();
        }
        self.shared.found().merge(&mut self.found);
        Ok(is_end || self.shared.stopped.load(Ordering::Relaxed))
    }

    /// Looks at the lines that have no newline (yet).
    fn finish(self) {
        let Self { shared, candidate, lines, mut found, .. } = self;
        lines.finish(|line| found.add(&candidate, line));
        shared.found().merge(&mut found);
        shared.attempts.fetch_add(1, Ordering::Relaxed);
    }
}
