//! What a search has found so far: the best hits in its order, as many as were asked for, and counts of all.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dockmgr_core::search::Line;

use super::candidates::Candidate;
use super::histogram::Histogram;
use super::place::{Order, Place};
use super::wanted::Wanted;

/// The hits of a search.
#[derive(Debug)]
pub(super) struct Found {
    wanted: Arc<Wanted>,
    best: BTreeMap<Place, Hit>,
    /// Lines that match.
    pub(super) hits: u64,
    /// Hits behind the page token.
    eligible: u64,
    pub(super) histogram: Option<Histogram>,
}

/// A line that was found.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub(super) candidate: Arc<Candidate>,
    /// Its number in its stream, from 1.
    pub(super) number: u64,
    /// Its bytes, or as many of them as were asked for.
    pub(super) bytes: Bytes,
    /// There are more.
    pub(super) clipped: bool,
}

impl Found {
    pub(super) fn new(wanted: Arc<Wanted>) -> Self {
        let histogram = (wanted.buckets > 0).then(|| Histogram::new(wanted.buckets, wanted.split));
        Self { wanted, best: BTreeMap::new(), hits: 0, eligible: 0, histogram }
    }

    /// Adds what another has found and leaves it empty.
    pub(super) fn merge(&mut self, other: &mut Self) {
        self.hits += std::mem::take(&mut other.hits);
        if let (Some(histogram), Some(other)) = (&mut self.histogram, &mut other.histogram) {
            histogram.merge(other);
        }
        let eligible = self.eligible + std::mem::take(&mut other.eligible);
        for (place, hit) in std::mem::take(&mut other.best) {
            if self.makes_room(place) {
                self.best.insert(place, hit);
            }
        }
        self.eligible = eligible;
    }

    /// Takes note of a line that matches.
    pub(super) fn add(&mut self, candidate: &Arc<Candidate>, line: Line<'_>) {
        self.hits += 1;
        if let Some(histogram) = &mut self.histogram {
            histogram.add(line);
        }
        let place =
            Place { time: line.time, attempt: candidate.id, stream: line.stream, offset: line.offset };
        let order = self.wanted.order;
        if self.wanted.after.is_some_and(|after| !order.is_behind(place, after)) {
            return;
        }
        self.eligible += 1;
        if !self.makes_room(place) {
            return;
        }
        let shown = line.bytes.len().min(self.wanted.line_bytes);
        let hit = Hit {
            candidate: Arc::clone(candidate),
            number: line.number,
            bytes: Bytes::copy_from_slice(&line.bytes[..shown]),
            clipped: shown < line.bytes.len(),
        };
        self.best.insert(place, hit);
    }

    /// Whether there is room for a hit at this place, made by dropping the worst where it must be.
    fn makes_room(&mut self, place: Place) -> bool {
        if self.best.len() < self.wanted.limit {
            return true;
        }
        let order = self.wanted.order;
        let worst = match order {
            Order::NewestFirst => self.best.first_entry(),
            Order::OldestFirst => self.best.last_entry(),
        };
        let Some(worst) = worst.filter(|worst| order.is_behind(*worst.key(), place)) else { return false };
        worst.remove();
        true
    }

    /// The hits in their order, and whether there are more behind the last one.
    pub(super) fn take_best(&mut self) -> (Vec<(Place, Hit)>, bool) {
        let mut best: Vec<(Place, Hit)> = std::mem::take(&mut self.best).into_iter().collect();
        if self.wanted.order == Order::NewestFirst {
            best.reverse();
        }
        let more = self.wanted.limit > 0 && self.eligible > best.len() as u64;
        (best, more)
    }
}
