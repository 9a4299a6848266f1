//! Attempts of one segment looked through together, frame by frame.
//!
//! ```text
//!   directory --times, attempts--> plan: frames, and whose sections in them
//!        --filter: may it have the words?--> frame --decompressed--> runs --> lines that match
//! ```
//!
//! Several slices take frames from one plan at a time, so that one large attempt is looked through by all processors. What
//! a frame would have had and could not be read is looked for once more, wherever it is by then.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dockmgr_archive::Newlines;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Offsets;
use dockmgr_core::search::Needs;
use dockmgr_support::error_chain::Chain;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::candidates::Candidate;
use super::found::Found;
use super::scan::SLICE;
use super::shared::{Asked, Shared};
use crate::logs::{self, Segment};

/// What looking at a filter counts for, in bytes of output: it is some dozen KiB, and nothing is decompressed.
const FILTER: usize = 16 * 1024;

/// What is to be looked at of a segment.
#[derive(Debug)]
pub(super) struct Plan {
    segment: Arc<Segment>,
    frames: Vec<Planned>,
    /// The frame that is next.
    next: AtomicUsize,
    /// What could not be read, once for each attempt and frame.
    failed: Mutex<Vec<Part>>,
}

/// A frame, and what is wanted of it.
#[derive(Debug)]
struct Planned {
    number: usize,
    parts: Vec<Part>,
}

/// What a frame has of an attempt.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) candidate: Arc<Candidate>,
    pub(super) asked: Arc<Asked>,
    /// Which section of the frame it is.
    section: usize,
    pub(super) from: Offsets,
    pub(super) to: Offsets,
    /// Lines of each stream that end before it.
    pub(super) before: Newlines,
}

/// Looks through what a plan has; what could not be read. Dropping the future ends it after the frames it is at.
pub(super) async fn look_through(plan: Arc<Plan>, shared: &Arc<Shared>) -> Vec<Part> {
    let slices: FuturesUnordered<_> =
        (0..super::scans().min(plan.frames.len())).map(|_| slices(&plan, shared)).collect();
    let () = slices.collect().await;
    std::mem::take(&mut *plan.failed.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Takes frames until none is left.
async fn slices(plan: &Arc<Plan>, shared: &Arc<Shared>) {
    loop {
        let turn = shared.turn().await;
        let (plan, shared) = (Arc::clone(plan), Arc::clone(shared));
        let slice = logs::run(move || {
            let done = plan.slice(&shared);
            drop(turn);
            Ok(done)
        });
        // It fails when the process is ending.
        if slice.await.unwrap_or(true) {
            return;
        }
    }
}

impl Plan {
    /// Chooses the frames and parts that can have hits by their times and attempts.
    pub(super) fn new(shared: &Shared, segment: Arc<Segment>, candidates: Vec<Arc<Candidate>>) -> Self {
        let times = shared.wanted.times;
        let with_nothing_before = |candidate: Arc<Candidate>| {
            let asked = shared.asked(&candidate.query);
            (candidate.id, (candidate, asked, Newlines::default()))
        };
        let mut wanted: BTreeMap<AttemptId, _> = candidates.into_iter().map(with_nothing_before).collect();
        let mut frames = Vec::new();
        for (number, entry) in segment.frames().iter().enumerate() {
            let overlaps = entry.overlaps(times.since, times.until);
            let mut parts = Vec::new();
            for (at, section) in entry.sections.iter().enumerate() {
                let Some((candidate, asked, before)) = wanted.get_mut(&section.attempt) else { continue };
                if overlaps && section.output() > 0 {
                    let (candidate, asked) = (Arc::clone(candidate), Arc::clone(asked));
                    let (from, to) = (section.from, section.to);
                    parts.push(Part { candidate, asked, section: at, from, to, before: *before });
                }
                before.stdout += section.newlines.stdout;
                before.stderr += section.newlines.stderr;
            }
            if !parts.is_empty() {
                frames.push(Planned { number, parts });
            }
        }
        Self { segment, frames, next: AtomicUsize::new(0), failed: Mutex::default() }
    }

    /// Looks at the next frames; true if there are no more. Blocks.
    fn slice(&self, shared: &Shared) -> bool {
        let mut found = Found::new(Arc::clone(&shared.wanted));
        let mut left = SLICE;
        let mut is_end = false;
        while left > 0 && !is_end && !shared.is_stopped() {
            match self.frames.get(self.next.fetch_add(1, Ordering::Relaxed)) {
                Some(planned) => {
                    let bytes = self.look(planned, shared, &mut found);
                    left = left.saturating_sub(bytes);
                }
                None => is_end = true,
            }
        }
        shared.found().merge(&mut found);
        is_end || shared.is_stopped()
    }

    /// Looks at a frame; about how many bytes of work that was.
    fn look(&self, planned: &Planned, shared: &Shared, found: &mut Found) -> usize {
        if !self.may_match(planned) {
            return FILTER;
        }
        let frame = match self.segment.frame(planned.number) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "a frame cannot be read: its output is read once more");
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.extend(planned.parts.iter().cloned());
                return 0;
            }
        };
        let mut looked = 0;
        for run in frame.runs() {
            let Ok(at) = planned.parts.binary_search_by_key(&run.section, |part| part.section) else {
                continue;
            };
            let part = &planned.parts[at];
            let mut scan = part.asked.scan(shared.wanted.times);
            scan.skip(run.stream, part.before.of(run.stream));
            scan.push_stretch(&run.stretch(), |line| found.add(&part.candidate, line));
            scan.finish(|line| found.add(&part.candidate, line));
            looked += run.bytes.len();
        }
        shared.bytes.fetch_add(looked as u64, Ordering::Relaxed);
        looked
    }

    /// Whether the filter of a frame says that it may have a hit.
    fn may_match(&self, planned: &Planned) -> bool {
        let mut asked: Vec<&Arc<Asked>> = Vec::new();
        for part in &planned.parts {
            if !asked.iter().any(|known| Arc::ptr_eq(known, &part.asked)) {
                asked.push(&part.asked);
            }
        }
        if asked.iter().any(|asked| asked.needs == Needs::Nothing) {
            return true;
        }
        match self.segment.filter(planned.number) {
            Ok(filter) => asked.iter().any(|asked| filter.may_match(&asked.needs)),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "a filter cannot be read: its frame is looked at");
                true
            }
        }
    }
}
