//! Which segment has which attempt: what reading the directories of all segments has told.
//!
//! About forty bytes for each attempt: the details are in the directories, and those are opened when they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockmgr_archive::plan::Stock;
use dockmgr_archive::{Segment, Source};
use dockmgr_core::ids::{AttemptId, JobId};
use dockmgr_core::log::Offsets;
use dockmgr_core::time::WallTime;
use tokio::time::Instant;

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
    /// Grows with each merge.
    pub(super) merges: u64,
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
    /// What these weigh.
    weight: u64,
    /// What all weighs that it has.
    whole: u64,
    /// How many sections it has.
    sections: usize,
    /// What it has that is another segment's: it was merged into that one, or a deposed leader sealed it as well.
    doubled: BTreeSet<AttemptId>,
    /// When it became part of another one that was compared with it: after which merge, and at which time.
    merged: Option<(u64, Instant)>,
    /// Whether it does not hold what it should and is left to a person.
    spoiled: bool,
    /// Whether nothing fits beside what it has.
    full: bool,
    /// Times of the output in each frame; `None` for a frame of ends only.
    pub(super) frames: Box<[Option<(WallTime, WallTime)>]>,
}

/// Where an attempt is.
#[derive(Debug, Clone, Copy)]
struct Owner {
    segment: Number,
    /// Its latest output is not later.
    at: WallTime,
    /// What it takes of its segment.
    weight: u64,
}

/// What an attempt is counted as beside its bytes: it is in tables, too.
const ATTEMPT: u64 = 64;

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
        let sections = segment.frames().iter().map(|entry| entry.sections.len()).sum();
        let (mut owned, mut weight, mut whole, mut doubled) = (0, 0, 0, BTreeSet::new());
        for (attempt, kept) in segment.attempts() {
            let of = ATTEMPT + kept.to.total().saturating_sub(kept.from.total());
            whole += of;
            if self.deleted.contains(attempt.job()) {
                self.deleted.found_in(attempt.job(), number);
                continue;
            }
            let is_all = kept.from == Offsets::default() && kept.end.is_some();
            if !is_all || !only(attempt) || self.owners.contains_key(&attempt) {
                doubled.insert(attempt);
                continue;
            }
            let latest =
                segment.frames_of(attempt).filter_map(|frame| Some(frames.get(frame)?.as_ref()?.1)).max();
            // The clock of a worker may be ahead: nothing was written after it was sealed.
            let at = latest.map_or(name.given(), |latest| latest.min(name.given()));
            self.owners.insert(attempt, Owner { segment: number, at, weight: of });
            owned += 1;
            weight += of;
        }
        let listed = Listed {
            name,
            len,
            owned,
            weight,
            whole,
            sections,
            doubled,
            merged: None,
            spoiled: false,
            full: false,
            frames,
        };
        self.segments.insert(number, listed);
        number
    }

    /// Takes in a segment into which `inputs` were merged, and that was compared with them.
    pub(super) fn adopt_merged<S: Source>(
        &mut self,
        name: Name,
        len: u64,
        segment: &Segment<S>,
        inputs: &[Number],
    ) -> Number {
        for (attempt, _) in segment.attempts() {
            if self.owner(attempt).is_some_and(|owner| inputs.contains(&owner)) {
                self.double(attempt);
            }
        }
        self.merges += 1;
        for input in inputs {
            if let Some(listed) = self.segments.get_mut(input) {
                listed.merged = Some((self.merges, Instant::now()));
            }
        }
        self.adopt(name, len, segment, |_| true)
    }

    /// Gives an attempt to the older of two segments that have it: the newer one cannot be read.
    pub(super) fn give_back(&mut self, attempt: AttemptId, to: Number) {
        let Some(owner) = self.owners.get(&attempt).copied() else { return };
        self.double(attempt);
        if let Some(listed) = self.segments.get_mut(&to)
            && listed.doubled.remove(&attempt)
        {
            listed.owned += 1;
            listed.weight += owner.weight;
            self.owners.insert(attempt, Owner { segment: to, ..owner });
        }
    }

    /// What else a segment has that another one was found to have as well.
    pub(super) fn undouble(&mut self, number: Number, same: &BTreeSet<AttemptId>) {
        if let Some(listed) = self.segments.get_mut(&number) {
            listed.doubled.retain(|attempt| !same.contains(attempt));
        }
    }

    /// A segment of which something is in another one as well, for a reason that nobody knows any more, and what.
    pub(super) fn doubled(&self) -> Option<(Number, BTreeSet<AttemptId>)> {
        let unclear =
            |listed: &Listed| !listed.doubled.is_empty() && listed.merged.is_none() && !listed.spoiled;
        let found = self.segments.iter().find(|(_, listed)| unclear(listed));
        found.map(|(number, listed)| (*number, listed.doubled.clone()))
    }

    /// What there is to be merged, the oldest first.
    pub(super) fn stock(&self) -> Vec<(Number, Stock)> {
        let fit = |listed: &Listed| {
            let some_deleted = listed.weight < listed.whole;
            let room = !listed.full || some_deleted;
            listed.owned > 0 && listed.doubled.is_empty() && !listed.spoiled && room
        };
        let mut listed: Vec<_> = self.segments.iter().filter(|(_, listed)| fit(listed)).collect();
        listed.sort_unstable_by_key(|(_, listed)| listed.name.given());
        listed.into_iter().map(|(number, listed)| (*number, listed.stock())).collect()
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

    /// What each job takes: of its segments' bytes as much as of their output.
    pub(super) fn sizes(&self) -> BTreeMap<JobId, u64> {
        let mut sizes = BTreeMap::<JobId, u64>::new();
        for (attempt, owner) in &self.owners {
            let share = self.segments.get(&owner.segment).map_or(0, |listed| listed.share(owner.weight));
            *sizes.entry(attempt.job()).or_default() += share;
        }
        sizes
    }

    /// Takes a job's attempts out, and any that come later.
    pub(super) fn bury(&mut self, job: JobId, at: WallTime, note: Name) {
        self.deleted.note(job, at, note);
        self.empty(job);
    }

    /// Takes the attempts of a deleted job out.
    fn empty(&mut self, job: JobId) {
        for (number, listed) in self.segments.iter_mut().filter(|(_, listed)| !listed.doubled.is_empty()) {
            let before = listed.doubled.len();
            listed.doubled.retain(|attempt| attempt.job() != job);
            if listed.doubled.len() < before {
                self.deleted.found_in(job, *number);
            }
        }
        let attempts: Vec<_> = self.attempts_of(job).collect();
        for attempt in attempts {
            if let Some(segment) = self.release(attempt) {
                self.deleted.found_in(job, segment);
            }
        }
    }

    /// Takes the owner of an attempt away, and says which it was.
    fn release(&mut self, attempt: AttemptId) -> Option<Number> {
        let Owner { segment, weight, .. } = self.owners.remove(&attempt)?;
        if let Some(listed) = self.segments.get_mut(&segment) {
            listed.owned -= 1;
            listed.weight -= weight;
        }
        Some(segment)
    }

    /// Takes the owner of an attempt away, which has it all the same.
    fn double(&mut self, attempt: AttemptId) {
        if let Some(listed) = self.release(attempt).and_then(|segment| self.segments.get_mut(&segment)) {
            listed.doubled.insert(attempt);
        }
    }

    /// A segment in which everything was deleted, or merged into another one at least `ago` ago, if there is one.
    pub(super) fn dead(&self, ago: Duration) -> Option<(Number, Name)> {
        let dead = |listed: &Listed| {
            let merged = || listed.merged.is_some_and(|(_, at)| at.elapsed() >= ago);
            listed.owned == 0 && (listed.doubled.is_empty() || merged())
        };
        self.segments.iter().find(|(_, listed)| dead(listed)).map(|(number, listed)| (*number, listed.name))
    }

    /// A segment is gone.
    pub(super) fn drop_segment(&mut self, number: Number) {
        self.segments.remove(&number);
        self.deleted.gone(number);
    }

    /// Takes one attempt out: its segment does not hold what it should.
    pub(super) fn disown(&mut self, attempt: AttemptId) {
        if let Some(segment) = self.owner(attempt) {
            self.double(attempt);
            self.spoil(segment);
        }
    }

    /// A segment does not hold what it should: it is neither merged nor removed, but for everything in it being deleted.
    pub(super) fn spoil(&mut self, number: Number) {
        if let Some(listed) = self.segments.get_mut(&number) {
            listed.spoiled = true;
        }
    }

    /// Nothing fits beside what a segment has.
    pub(super) fn fill(&mut self, number: Number) {
        if let Some(listed) = self.segments.get_mut(&number) {
            listed.full = true;
        }
    }

    /// Whether what a frame that was listed after `merges` has of `attempt` counts: its segment has the attempt, or had it
    /// when the frame was listed.
    pub(super) fn counts(&self, number: Number, attempt: AttemptId, merges: u64) -> bool {
        let since = |listed: &Listed| {
            listed.merged.is_some_and(|(merge, _)| merge > merges) && listed.doubled.contains(&attempt)
        };
        self.owner(attempt) == Some(number) || self.segments.get(&number).is_some_and(since)
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.values().map(|listed| listed.len).sum()
    }

    /// An empty one, to be filled and then to take this one's place; numbers are never given twice.
    pub(super) fn renewed(&self, deleted: Graves) -> Self {
        Self { deleted, next: self.next, merges: self.merges, ..Self::default() }
    }

    /// Takes over what was read anew. What was deleted while that was read stays deleted.
    pub(super) fn renew(&mut self, fresh: Self) {
        let Self { segments, owners, deleted, damaged, next, merges, .. } = fresh;
        let before = std::mem::take(&mut self.deleted);
        let (sealing, deleting) = (std::mem::take(&mut self.sealing), std::mem::take(&mut self.deleting));
        *self = Self { segments, owners, deleted, sealing, deleting, damaged, merges, next };
        for job in before.jobs() {
            self.empty(job);
        }
        self.deleted.add_notes(before);
    }
}

impl Listed {
    /// How much of its bytes is of what weighs this much.
    fn share(&self, weight: u64) -> u64 {
        let share = u128::from(self.len) * u128::from(weight) / u128::from(self.whole.max(1));
        u64::try_from(share).unwrap_or(self.len)
    }

    /// What counts when segments are merged.
    fn stock(&self) -> Stock {
        Stock {
            stored: self.len,
            dead: if self.weight == self.whole { 0 } else { self.len - self.share(self.weight) },
            output: self.weight,
            sections: self.sections,
            frames: self.frames.len(),
        }
    }
}
