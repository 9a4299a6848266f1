//! What a search looks through at a time: one attempt, or attempts of one segment together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::candidates::Candidate;
use super::scan::{scan, scan_part};
use super::segment::{Plan, look_through};
use super::shared::Shared;
use crate::logs::{self, SegmentNumber, Whereabouts};

/// Something to look through.
#[derive(Debug)]
pub(super) enum Work {
    /// An attempt, record by record.
    Single(Arc<Candidate>),
    /// Attempts of a segment.
    Segment(SegmentNumber, Vec<Arc<Candidate>>),
}

impl Work {
    /// Does it. What cannot be read is noted. Dropping the future ends it soon.
    pub(super) async fn run(self, shared: Arc<Shared>) {
        let (number, candidates) = match self {
            Self::Single(candidate) => return single(&shared, candidate).await,
            Self::Segment(number, candidates) => (number, candidates),
        };
        let Err(candidates) = together(&shared, number, candidates).await else { return };
        // It was merged into another segment meanwhile, or cannot be read: a reader says which.
        match sort(&shared, candidates).await {
            Ok(again) => {
                for work in again {
                    again_or_single(&shared, work).await;
                }
            }
            Err(error) => tracing::debug!(%error, "the segments are not known any more"),
        }
    }
}

async fn again_or_single(shared: &Arc<Shared>, work: Work) {
    let left = match work {
        Work::Single(candidate) => vec![candidate],
        Work::Segment(number, candidates) => {
            together(shared, number, candidates).await.err().unwrap_or_default()
        }
    };
    for candidate in left {
        single(shared, candidate).await;
    }
}

/// Sorts attempts by where they are now.
pub(super) async fn sort(shared: &Shared, candidates: Vec<Arc<Candidate>>) -> Result<Vec<Work>, logs::Error> {
    let times = shared.wanted.times;
    let ids = candidates.iter().map(|candidate| candidate.id);
    let places = shared.store.whereabouts(ids, (times.since, times.until)).await?;
    let mut work = Vec::new();
    let mut segments: BTreeMap<SegmentNumber, Vec<Arc<Candidate>>> = BTreeMap::new();
    for (candidate, place) in candidates.into_iter().zip(places) {
        match place {
            Whereabouts::Plain => work.push(Work::Single(candidate)),
            Whereabouts::Segment(number) => segments.entry(number).or_default().push(candidate),
            Whereabouts::OtherTimes => shared.looked_at(1),
        }
    }
    work.extend(segments.into_iter().map(|(number, candidates)| Work::Segment(number, candidates)));
    Ok(work)
}

async fn single(shared: &Arc<Shared>, candidate: Arc<Candidate>) {
    let id = candidate.id;
    match scan(Arc::clone(shared), candidate).await {
        Ok(()) => shared.looked_at(1),
        Err(error) => shared.missed(id, &error),
    }
}

/// Looks through attempts of a segment; gives them back if it cannot be opened.
async fn together(
    shared: &Arc<Shared>,
    number: SegmentNumber,
    candidates: Vec<Arc<Candidate>>,
) -> Result<(), Vec<Arc<Candidate>>> {
    let (this, given) = (Arc::clone(shared), candidates.clone());
    let count = candidates.len();
    let plan = logs::run(move || {
        let segment = this.store.segment(number)?;
        Ok(segment.map(|segment| Arc::new(Plan::new(&this, segment, given))))
    });
    let Ok(Some(plan)) = plan.await else { return Err(candidates) };
    let mut missed = BTreeMap::new();
    for part in look_through(plan, shared).await {
        let id = part.candidate.id;
        if let Err(error) = scan_part(Arc::clone(shared), part).await {
            missed.insert(id, error);
        }
    }
    shared.looked_at((count - missed.len()) as u64);
    for (id, error) in missed {
        shared.missed(id, &error);
    }
    Ok(())
}
