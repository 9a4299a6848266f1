//! What the catalogue says about merging: what is to become one, and what did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dockmgr_archive::{Segment, plan};
use dockmgr_core::ids::AttemptId;

use super::catalogue::Number;
use super::{Error, Fresh, Sealed, Stored};

/// A segment and those of its attempts that count.
#[derive(Debug)]
pub(in crate::logs) struct Input {
    pub(in crate::logs) number: Number,
    pub(in crate::logs) segment: Arc<Segment<Stored>>,
    pub(in crate::logs) attempts: BTreeSet<AttemptId>,
}

impl Sealed {
    /// The segments to become one now, the oldest first; none if all are well as they are.
    pub(in crate::logs) fn planned(&self) -> Vec<Number> {
        let stock = self.lock().stock();
        let known: Vec<_> = stock.iter().map(|(_, stock)| *stock).collect();
        plan::plan(&known).into_iter().map(|place| stock[place].0).collect()
    }

    /// Opens a segment that is to be merged; `None` if it is gone. Blocks.
    pub(in crate::logs) fn input(&self, number: Number) -> Result<Option<Input>, Error> {
        let Some(segment) = self.open(number)? else { return Ok(None) };
        let catalogue = self.lock();
        let owned = |attempt: &AttemptId| catalogue.owner(*attempt) == Some(number);
        let attempts = segment.attempts().map(|(attempt, _)| attempt).filter(owned).collect();
        drop(catalogue);
        Ok(Some(Input { number, segment, attempts }))
    }

    /// Takes a segment into the catalogue in place of `inputs`, which has all that counts of them.
    pub(in crate::logs) fn adopt_merged(&self, fresh: &Fresh, inputs: &[Number]) {
        self.lock().adopt_merged(fresh.name, fresh.len, &fresh.segment, inputs);
    }

    /// A segment of which something is in another one as well, with what that is: as a crash leaves it in the middle of a
    /// merge, or a leader that was deposed without knowing it. Blocks.
    pub(in crate::logs) fn doubled(&self) -> Result<Option<Input>, Error> {
        let Some((number, attempts)) = self.lock().doubled() else { return Ok(None) };
        let opened = self.open(number)?;
        Ok(opened.map(|segment| Input { number, segment, attempts }))
    }

    /// The newer segments that have `attempts` instead, and which. What none has is left out.
    pub(in crate::logs) fn newer(
        &self,
        attempts: &BTreeSet<AttemptId>,
        than: Number,
    ) -> BTreeMap<Number, BTreeSet<AttemptId>> {
        let catalogue = self.lock();
        let name = |number: Number| catalogue.segment(number).map(|listed| listed.name);
        let mut owners = BTreeMap::<Number, BTreeSet<AttemptId>>::new();
        for attempt in attempts {
            if let Some(owner) = catalogue.owner(*attempt).filter(|owner| name(*owner) > name(than)) {
                owners.entry(owner).or_default().insert(*attempt);
            }
        }
        owners
    }

    /// What of a segment was found to be the same in a newer one.
    pub(in crate::logs) fn undouble(&self, number: Number, same: &BTreeSet<AttemptId>) {
        self.lock().undouble(number, same);
    }

    /// Gives attempts to the older of two segments: the newer one cannot be read.
    pub(in crate::logs) fn give_back(&self, attempts: &BTreeSet<AttemptId>, to: Number) {
        let mut catalogue = self.lock();
        for attempt in attempts {
            catalogue.give_back(*attempt, to);
        }
    }

    /// Leaves a segment to a person.
    pub(in crate::logs) fn spoil(&self, number: Number) {
        self.lock().spoil(number);
    }

    /// Nothing fits beside what a segment has.
    pub(in crate::logs) fn fill(&self, number: Number) {
        self.lock().fill(number);
    }

    /// How many merges there were.
    #[cfg(test)]
    pub(in crate::logs) fn merges(&self) -> u64 {
        self.lock().merges
    }

    /// Waits until a reader misses a segment that the catalogue has.
    pub(in crate::logs) async fn vanished(&self) {
        self.vanished.notified().await;
    }
}
