//! One attempt looked through from record to record, in slices, so that many searches share few threads and a search ends
//! soon after it should.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dockmgr_core::log::Stream;
use dockmgr_core::search;

use super::candidates::Candidate;
use super::found::Found;
use super::segment::Part;
use super::shared::Shared;
use super::source::Records;
use crate::logs;

/// Bytes of output after which a scan makes room for another: some milliseconds of work, tens for a slow expression.
pub(super) const SLICE: usize = 8 * 1024 * 1024;

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
pub(super) async fn scan(shared: Arc<Shared>, candidate: Arc<Candidate>) -> Result<(), logs::Error> {
    let records = Records::all(&shared.store, candidate.id).await?;
    let lines = shared.asked(&candidate.query).scan(shared.wanted.times);
    run(shared, candidate, records, lines).await
}

/// Looks through a part of an attempt, wherever it is by now.
pub(super) async fn scan_part(shared: Arc<Shared>, part: Part) -> Result<(), logs::Error> {
    let records = Records::between(&shared.store, part.candidate.id, (part.from, part.to)).await?;
    let mut lines = part.asked.scan(shared.wanted.times);
    for stream in Stream::ALL {
        lines.skip(stream, part.before.of(stream));
    }
    run(shared, part.candidate, records, lines).await
}

async fn run(
    shared: Arc<Shared>,
    candidate: Arc<Candidate>,
    records: Records,
    lines: search::Scan,
) -> Result<(), logs::Error> {
    let found = Found::new(Arc::clone(&shared.wanted));
    let mut scan = Scan { shared, candidate, records, lines, found };
    loop {
        let turn = scan.shared.turn().await;
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
        while left > 0 && !is_end && !self.shared.is_stopped() {
            let records = self.records.next()?;
            let Self { candidate, found, .. } = self;
            self.lines.push(&records, |line| found.add(candidate, line));
            let bytes = records.iter().map(|record| record.bytes.len()).sum::<usize>();
            self.shared.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            left = left.saturating_sub(bytes);
            is_end = records.is_empty();
        }
        self.shared.found().merge(&mut self.found);
        Ok(is_end || self.shared.is_stopped())
    }

    /// Looks at the lines that have no newline (yet).
    fn finish(self) {
        let Self { shared, candidate, lines, mut found, .. } = self;
        lines.finish(|line| found.add(&candidate, line));
        shared.found().merge(&mut found);
    }
}
