//! Which segment has which attempt: what reading the directories of all segments has told.
//!
//! About forty bytes for each attempt: the details are in the directories, and those are opened when they are needed.

use std::collections::{BTreeMap, BTreeSet};

use dockmgr_archive::{Segment, Source};
use dockmgr_core::ids::{AttemptId, JobId};
use dockmgr_core::log::Offsets;
use dockmgr_core::time::WallTime;

use super::graves::Graves;
use super::name::Name;

/// A segment, by a number that only this process knows.
pub(crate) type Number = u32;

/// What is known without reading anything.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    segments: BTreeMap<Number, Listed>,
    owners: BTreeMap<AttemptId, Owner>,
    /// Jobs that were deleted while segments had output of theirs.
    pub(super) deleted: Graves,
    /// Jobs of which a segment is being written now.
    pub(super) sealing: BTreeSet<JobId>,
    /// Jobs that are being deleted now.
    pub(super) deleting: BTreeSet<JobId>,
    /// Segments that cannot be read.
    pub(super) damaged: BTreeSet<Name>,
    next: Number,
}

/// A segment.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) name: Name,
    /// Its bytes.
    pub(super) len: u64,
    /// How many attempts it is the owner of.
    owned: usize,
    /// Whether all else it has was deleted, and nothing is in another segment as well.
    alone: bool,
    /// Times of the output in each frame; `None` for a frame of ends only.
    pub(super) frames: Box<[Option<(WallTime, WallTime)>]>,
}

/// Where an attempt is.
#[derive(Debug, Clone, Copy)]
struct Owner {
    segment: Number,
    /// Its latest output is not later.
    at: WallTime,
}

impl Catalogue {
    /// Takes a segment in, with the attempts among `only` that it has whole. What another segment has already, and what
    /// was deleted, it does not get.
    pub(super) fn adopt<S: Source>(
        &mut self,
        name: Name,
        len: u64,
        segment: &Segment<S>,
        only: impl Fn(AttemptId) -> bool,
    ) -> Number {
        let number = self.next;
        self.next += 1;
        let frames: Box<[_]> = segment.frames().iter().map(|entry| entry.times).collect();
        let (mut owned, mut alone) = (0, true);
        for (attempt, kept) in segment.attempts() {
            if self.deleted.contains(attempt.job()) {
                self.deleted.found_in(attempt.job(), number);
                continue;
            }
            let whole = kept.from == Offsets::default() && kept.end.is_some();
            if !whole || !only(attempt) || self.owners.contains_key(&attempt) {
                alone = false;
                continue;
            }
            let latest =
                segment.frames_of(attempt).filter_map(|frame| Some(frames.get(frame)?.as_ref()?.1)).max();
            // The clock of a worker may be ahead: nothing was written after it was sealed.
            let at = latest.map_or(name.given(), |latest| latest.min(name.given()));
            self.owners.insert(attempt, Owner { segment: number, at });
            owned += 1;
        }
        self.segments.insert(number, Listed { name, len, owned, alone, frames });
        number
    }

    /// The segment that has `attempt`.
    pub(super) fn owner(&self, attempt: AttemptId) -> Option<Number> {
        self.owners.get(&attempt).map(|owner| owner.segment)
    }

    /// What is known of a segment; `None` if it is gone.
    pub(super) fn segment(&self, number: Number) -> Option<&Listed> {
        self.segments.get(&number)
    }

    /// All segments.
    pub(super) fn segments(&self) -> impl Iterator<Item = (Number, &Listed)> {
        self.segments.iter().map(|(number, listed)| (*number, listed))
    }

    /// The names of all segments there are, of those that cannot be read as well.
    pub(super) fn names(&self) -> BTreeSet<Name> {
        self.segments.values().map(|listed| listed.name).chain(self.damaged.iter().copied()).collect()
    }

    /// The attempts of a job, in order.
    pub(super) fn attempts_of(&self, job: JobId) -> impl Iterator<Item = AttemptId> {
        let first = AttemptId::from_parts(job.get(), 0, 1).into_iter();
        first
            .flat_map(|first| self.owners.range(first..))
            .map(|(attempt, _)| *attempt)
            .take_while(move |attempt| attempt.job() == job)
    }

    /// Each job and a time at or after that of its latest output.
    pub(super) fn jobs(&self) -> BTreeMap<JobId, WallTime> {
        let mut jobs = BTreeMap::new();
        for (attempt, owner) in &self.owners {
            let latest = jobs.entry(attempt.job()).or_insert(owner.at);
            *latest = owner.at.max(*latest);
        }
        jobs
    }

    /// Takes a job's attempts out, and any that come later.
    pub(super) fn bury(&mut self, job: JobId, note: Name) {
        self.deleted.note(job, note);
        self.empty(job);
    }

    /// Takes the attempts of a deleted job out.
    fn empty(&mut self, job: JobId) {
        let attempts: Vec<_> = self.attempts_of(job).collect();
        for attempt in attempts {
            if let Some(segment) = self.release(attempt) {
                self.deleted.found_in(job, segment);
            }
        }
    }

    /// Takes the owner of an attempt away, and says which it was.
    fn release(&mut self, attempt: AttemptId) -> Option<Number> {
        let segment = self.owners.remove(&attempt)?.segment;
        if let Some(listed) = self.segments.get_mut(&segment) {
            listed.owned -= 1;
        }
        Some(segment)
    }

    /// A segment in which everything was deleted, if there is one.
    pub(super) fn dead(&self) -> Option<(Number, Name)> {
        let dead = |listed: &Listed| listed.owned == 0 && listed.alone;
        self.segments.iter().find(|(_, listed)| dead(listed)).map(|(number, listed)| (*number, listed.name))
    }

    /// A segment is gone.
    pub(super) fn drop_segment(&mut self, number: Number) {
        self.segments.remove(&number);
        self.deleted.gone(number);
    }

    /// Takes one attempt out: its segment does not hold what it should.
    pub(super) fn disown(&mut self, attempt: AttemptId) {
        if let Some(listed) = self.release(attempt).and_then(|segment| self.segments.get_mut(&segment)) {
            listed.alone = false;
        }
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.values().map(|listed| listed.len).sum()
    }

    /// An empty one, to be filled and then to take this one's place; numbers are never given twice.
    pub(super) fn renewed(&self, deleted: Graves) -> Self {
        Self { deleted, next: self.next, ..Self::default() }
    }

    /// Takes over what was read anew. What was deleted while that was read stays deleted.
    pub(super) fn renew(&mut self, fresh: Self) {
        let Self { segments, owners, deleted, damaged, next, .. } = fresh;
        let before = std::mem::take(&mut self.deleted);
        let (sealing, deleting) = (std::mem::take(&mut self.sealing), std::mem::take(&mut self.deleting));
        *self = Self { segments, owners, deleted, sealing, deleting, damaged, next };
        for job in before.jobs() {
            self.empty(job);
        }
        self.deleted.add_notes(before);
    }
}
