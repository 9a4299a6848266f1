//! Which jobs were deleted while segments had output of theirs, and which segments still have it.
//!
//! A note of a deletion is an object of its own. It is needed until the last segment with output of the job is gone, and a
//! while longer: a leader that was deposed without knowing it may be sealing what was deleted meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use dockmgr_core::ids::JobId;
use dockmgr_core::time::WallTime;

use super::catalogue::Number;
use super::name::Name;

/// How long a note outlives the last segment with output of its job: longer than a deposed leader goes on.
const OUTLIVES_MILLIS: i64 = 60 * 60 * 1000;

/// The deleted jobs.
#[derive(Debug, Default)]
pub(super) struct Graves(BTreeMap<JobId, Grave>);

#[derive(Debug, Default)]
struct Grave {
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

    /// A note says that a job was deleted.
    pub(super) fn note(&mut self, job: JobId, note: Name) {
        self.0.entry(job).or_default().notes.insert(note);
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
            self.0.entry(job).or_default().notes.extend(grave.notes);
        }
    }

    /// Takes out the jobs that no segment has any more and whose notes are old enough, with these notes.
    pub(super) fn take_empty(&mut self, now: WallTime) -> Vec<Name> {
        let old = |note: &Name| now.0.saturating_sub(note.given().0) > OUTLIVES_MILLIS;
        let empty = |grave: &Grave| grave.segments.is_empty() && grave.notes.iter().all(old);
        let taken = self.0.extract_if(.., |_, grave| empty(grave));
        taken.flat_map(|(_, grave)| grave.notes).collect()
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
        graves.note(job, note);
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
}
