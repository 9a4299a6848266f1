//! Forgetting ended jobs: asked for, or because they are old. A pinned one is not old, whenever it ended.
//!
//! Age is the difference of two wall times. Nothing but the length of history rests on it: a clock that jumps forgets
//! ended jobs early or late and touches nothing that runs.

use crate::ids::JobId;
use crate::retention::Reason;
use crate::time::WallTime;

use super::effect::{NoteKind, Record, Reply};
use super::refusal::Refusal;
use super::request::DONE;
use super::state::Cluster;

impl Cluster {
    pub(super) fn delete_job(&mut self, id: JobId, force: bool) -> Result<Reply, Refusal> {
        let job = self.jobs.get(&id).ok_or(Refusal::UnknownJob(id))?;
        if job.ended.is_none() {
            return Err(Refusal::NotEnded(id));
        }
        if job.pinned && !force {
            return Err(Refusal::Pinned(id));
        }
        self.forget_job(id);
        DONE
    }

    /// Pins a job, running or ended, or takes that back. A repeat changes nothing.
    pub(super) fn pin(&mut self, id: JobId, pinned: bool) -> Result<Reply, Refusal> {
        let job = self.jobs.get_mut(&id).ok_or(Refusal::UnknownJob(id))?;
        if job.pinned != pinned {
            job.pinned = pinned;
            self.dirty_job(id);
            let kind = if pinned { NoteKind::JobPinned } else { NoteKind::JobUnpinned };
            self.note_job(kind, id, String::new());
        }
        DONE
    }

    /// Notes that the output of an ended job that is not pinned is deleted. A repeat changes nothing.
    pub(super) fn give_up_output(&mut self, id: JobId, reason: Reason) -> Result<Reply, Refusal> {
        let now = self.now.wall;
        let job = self.jobs.get_mut(&id).ok_or(Refusal::UnknownJob(id))?;
        if job.ended.is_none() {
            return Err(Refusal::NotEnded(id));
        }
        if job.pinned {
            return Err(Refusal::Pinned(id));
        }
        if job.output_deleted.is_none() {
            job.output_deleted = Some((now, reason));
            self.dirty_job(id);
            self.note_job(NoteKind::OutputDeleted, id, reason.to_string());
        }
        DONE
    }

    /// Forgets ended jobs older than `finished_keep`, the oldest first, a bounded number at a time.
    pub(super) fn forget_old_jobs(&mut self) {
        let keep = i64::try_from(self.config.finished_keep.as_millis()).unwrap_or(i64::MAX);
        let is_old = |ended: &WallTime| self.now.wall.0.saturating_sub(ended.0) >= keep;
        let is_pinned = |id: &JobId| self.jobs.get(id).is_some_and(|job| job.pinned);
        let old = self.ended.iter().take_while(|(ended, _)| is_old(ended)).map(|(_, id)| *id);
        let old = old.filter(|id| !is_pinned(id)).take(self.config.forgotten_per_step);
        for id in old.collect::<Vec<_>>() {
            self.forget_job(id);
        }
        self.arm_retention();
    }

    fn forget_job(&mut self, id: JobId) {
        let Some(job) = self.jobs.remove(&id) else { return };
        self.out.dirty.insert(Record::Job(id));
        self.out.dirty.extend(job.chunks().map(|number| Record::Chunk(id, number)));
        self.out.changed.remove(&id);
        self.out.deleted.insert(id);
        self.uids.remove(&job.uid);
        self.specs.release(&job.spec);
        if let Some(name) = job.spec.name.as_ref().map(ToString::to_string)
            && let Some(ids) = self.names.get_mut(&name)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.names.remove(&name);
            }
        }
        if let Some(ended) = job.ended {
            self.ended.remove(&(ended, id));
            *self.totals.jobs(job.state()) -= 1;
        }
        self.note_job(NoteKind::JobDeleted, id, String::new());
    }
}
