//! One attempt looked through, in slices, so that many searches share few threads and a search ends soon after it should.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dockmgr_core::log::Stream;
use dockmgr_core::search::{Line, LineSplitter, Query};
use tokio::sync::Semaphore;

use super::candidates::Candidate;
use super::found::Found;
use super::source::Records;
use super::wanted::Wanted;
use crate::logs::{self, LogStore};

/// Bytes of output after which a scan makes room for another: tens of milliseconds of work.
const SLICE: usize = 8 * 1024 * 1024;

/// What the scans of one search share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) wanted: Arc<Wanted>,
    pub(super) found: Mutex<Found>,
    pub(super) bytes: AtomicU64,
    pub(super) attempts: AtomicU64,
    /// Nobody wants more.
    pub(super) stopped: AtomicBool,
}

/// A scan between two slices.
struct Scan {
    shared: Arc<Shared>,
    candidate: Arc<Candidate>,
    /// What is asked of the lines of each stream.
    stdout: Query,
    stderr: Query,
    records: Records,
    lines: LineSplitter,
}

/// Looks through what there is of an attempt by now. Dropping the future ends it after the slice it is at.
pub(super) async fn scan(
    store: LogStore,
    shared: Arc<Shared>,
    threads: Arc<Semaphore>,
    candidate: Candidate,
) -> Result<(), logs::Error> {
    let candidate = Arc::new(candidate);
    let [stdout, stderr] = Stream::ALL.map(|stream| candidate.query.of_stream(stream));
    let records = Records::all(&store, candidate.id).await?;
    let mut scan = Scan { shared, candidate, stdout, stderr, records, lines: LineSplitter::default() };
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
        while left > 0 && !self.shared.stopped.load(Ordering::Relaxed) {
            let records = self.records.next()?;
            if records.is_empty() {
                return Ok(true);
            }
            let mut bytes = 0;
            for record in &records {
                bytes += record.bytes.len();
                let query = match record.stream {
                    Stream::Stdout => &self.stdout,
                    Stream::Stderr => &self.stderr,
                };
                if !query.is_never() {
                    self.lines.push(record, |line| look(&self.shared, &self.candidate, query, line));
                }
            }
            self.shared.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            left = left.saturating_sub(bytes);
        }
        Ok(self.shared.stopped.load(Ordering::Relaxed))
    }

    /// Looks at the lines that have no newline (yet).
    fn finish(self) {
        let Self { shared, candidate, stdout, stderr, lines, .. } = self;
        lines.finish(|line| {
            let query = match line.stream {
                Stream::Stdout => &stdout,
                Stream::Stderr => &stderr,
            };
            look(&shared, &candidate, query, line);
        });
        shared.attempts.fetch_add(1, Ordering::Relaxed);
    }
}

fn look(shared: &Shared, candidate: &Arc<Candidate>, query: &Query, line: Line<'_>) {
    if shared.wanted.covers(line.time) && query.matches(line.stream, line.bytes) {
        shared.found.lock().unwrap_or_else(PoisonError::into_inner).add(candidate, line);
    }
}
