//! Which jobs were deleted while segments had output of theirs, and which segments still have it.
//!
//! A note of a deletion is an object of its own. It is needed until the last segment with output of the job is gone, and a
//! while longer: a leader that was deposed without knowing it may be sealing what was deleted meanwhile. Many notes are
//! folded into one; a line of a note is a job and when it was deleted.

use std::collections::{BTreeMap, BTreeSet};

use dockmgr_core::ids::JobId;
use dockmgr_core::time::WallTime;

use super::catalogue::Number;
use super::name::Name;

/// How long a note outlives the last segment with output of its job: longer than a deposed leader goes on.
const OUTLIVES_MILLIS: i64 = 60 * 60 * 1000;
/// Most notes that are left as they are; each is read at a start.
const NOTES: usize = 32;

/// The deleted jobs.
#[derive(Debug, Default)]
pub(super) struct Graves(BTreeMap<JobId, Grave>);

#[derive(Debug, Default)]
struct Grave {
    /// When it was deleted, in milliseconds of the wall clock.
    at: i64,
    /// The objects that say so.
    notes: BTreeSet<Name>,
    /// The segments that still have output of it.
    segments: BTreeSet<Number>,
}

impl Graves {
    /// Whether a job was deleted.
    pub(super) fn contains(&self, job: JobId) -> bool {
        self.0.contains_key(&job)
    }

    /// All deleted jobs.
    pub(super) fn jobs(&self) -> Vec<JobId> {
        self.0.keys().copied().collect()
    }

    /// A note says that a job was deleted, and when.
    pub(super) fn note(&mut self, job: JobId, at: WallTime, note: Name) {
        let grave = self.0.entry(job).or_default();
        grave.at = grave.at.max(at.0);
        grave.notes.insert(note);
    }

    /// Takes in what the note of this name says.
    pub(super) fn read(&mut self, note: Name, text: &str) {
        for line in text.lines() {
            let mut words = line.split(' ');
            let Some(job) = words.next().and_then(|word| word.parse::<JobId>().ok()) else { continue };
            let at = words.next().and_then(|word| word.parse().ok());
            self.note(job, at.map_or(note.given(), WallTime), note);
        }
    }

    /// What the note of one deletion says.
    pub(super) fn line(job: JobId, at: WallTime) -> String {
        format!("{job} {}\n", at.0)
    }

    /// If there are too many notes: what one in their place is to say, and their names.
    pub(super) fn to_fold(&self) -> Option<(String, BTreeSet<Name>)> {
        let notes: BTreeSet<Name> = self.0.values().flat_map(|grave| grave.notes.iter().copied()).collect();
        let all = || self.0.iter().map(|(job, grave)| Self::line(*job, WallTime(grave.at))).collect();
        (notes.len() > NOTES).then(|| (all(), notes))
    }

    /// One note says what these others said.
    pub(super) fn fold(&mut self, into: Name, notes: &BTreeSet<Name>) {
        for grave in self.0.values_mut() {
            let before = grave.notes.len();
            grave.notes.retain(|note| !notes.contains(note));
            if grave.notes.len() < before {
                grave.notes.insert(into);
            }
        }
    }

    /// A segment has output of a deleted job.
    pub(super) fn found_in(&mut self, job: JobId, segment: Number) {
        self.0.entry(job).or_default().segments.insert(segment);
    }

    /// A segment is gone.
    pub(super) fn gone(&mut self, segment: Number) {
        for grave in self.0.values_mut() {
            grave.segments.remove(&segment);
        }
    }

    /// Takes the notes of other graves in.
    pub(super) fn add_notes(&mut self, others: Self) {
        for (job, grave) in others.0 {
            let mine = self.0.entry(job).or_default();
            mine.at = mine.at.max(grave.at);
            mine.notes.extend(grave.notes);
        }
    }

    /// Takes out the jobs that no segment has any more and that were deleted long enough ago, with the notes that say
    /// nothing else.
    pub(super) fn take_empty(&mut self, now: WallTime) -> Vec<Name> {
        let old = |grave: &Grave| now.0.saturating_sub(grave.at) > OUTLIVES_MILLIS;
        let taken = self.0.extract_if(.., |_, grave| grave.segments.is_empty() && old(grave));
        let mut notes: BTreeSet<Name> = taken.flat_map(|(_, grave)| grave.notes).collect();
        if !notes.is_empty() {
            for grave in self.0.values() {
                notes.retain(|note| !grave.notes.contains(note));
            }
        }
        notes.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use dockmgr_core::ids::Epoch;

    use super::*;

    #[test]
    fn a_note_goes_once_no_segment_has_its_job_and_an_hour_is_over() {
        let job = JobId::FIRST;
        let note = Name::new(Epoch(1));
        let mut graves = Graves::default();
        graves.note(job, note.given(), note);
        graves.found_in(job, 1);
        graves.found_in(job, 2);
        let later = WallTime(note.given().0 + OUTLIVES_MILLIS + 1);
        assert_eq!(graves.take_empty(later), []);
        graves.gone(1);
        assert_eq!(graves.take_empty(later), []);
        graves.gone(2);
        assert_eq!(graves.take_empty(note.given()), [], "a deposed leader may still be at it");
        assert!(graves.contains(job));
        assert_eq!(graves.take_empty(later), [note]);
        assert!(!graves.contains(job));
    }

    #[test]
    fn many_notes_are_folded_into_one_that_says_the_same_and_goes_with_the_last_job_in_it() {
        let mut graves = Graves::default();
        let job = |number: u64| JobId::new(number).expect("not 0");
        let began = Name::new(Epoch(1)).given();
        let at = |number: i64| WallTime(began.0 - OUTLIVES_MILLIS + number);
        for number in 1..=NOTES as u64 + 1 {
            assert_eq!(graves.to_fold(), None);
            graves.note(job(number), at(number.cast_signed()), Name::new(Epoch(1)));
        }
        let (text, notes) = graves.to_fold().expect("too many");
        assert_eq!(notes.len(), NOTES + 1);
        let into = Name::new(Epoch(2));
        graves.fold(into, &notes);
        assert_eq!(graves.to_fold(), None);
        let mut read = Graves::default();
        read.read(into, &text);
        read.read(into, "no job\n\n7x 3\n");
        for graves in [&mut graves, &mut read] {
            graves.found_in(job(2), 9);
            assert_eq!(graves.take_empty(at(OUTLIVES_MILLIS + 4)), [], "others need it");
            assert!(!graves.contains(job(1)) && graves.contains(job(2)) && graves.contains(job(4)));
            graves.gone(9);
            assert_eq!(graves.take_empty(at(2 * OUTLIVES_MILLIS)), [into]);
        }
    }
}
