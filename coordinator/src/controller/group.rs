//! Group commit: the writes of many events, stored together, and what may leave once they are durable.
//!
//! ```text
//! events --step--> open group --close--> committing --durable--> released: sends, answers, notes
//!                      ^                     |
//!                      +---- more events ----+   (stepped meanwhile, released later)
//! ```
//!
//! Owns collecting and releasing in order. Does not step, does not talk to the store.

use std::collections::BTreeSet;

use dockmgr_core::cluster::{Effects, Note, Record, Refusal, Reply, Send};
use dockmgr_core::ids::JobId;
use dockmgr_core::time::WallTime;
use dockmgr_core::trace::Span;

use super::input::{Release, Waiting};
use crate::metrics::facts::Fact;

/// Effects of some events, in order.
#[derive(Default)]
pub(super) struct Group {
    /// Records to store, each once.
    pub(super) dirty: BTreeSet<Record>,
    /// What leaves when they are stored.
    pub(super) outbox: Outbox,
}

/// What a client is told.
pub(super) type Answer = Result<Reply, Refusal>;

/// What leaves when a group is durable.
#[derive(Default)]
pub(super) struct Outbox {
    /// Commands to workers.
    pub(super) sends: Vec<Send>,
    /// Answers to clients.
    pub(super) answers: Vec<(Waiting, Answer)>,
    /// Findings of readers.
    pub(super) reads: Vec<Release>,
    /// Changed jobs with their revisions.
    pub(super) changed: Vec<(JobId, u64)>,
    /// Forgotten jobs with the revision of the cluster then.
    pub(super) deleted: Vec<(JobId, u64)>,
    /// Lines of the event log with the name of their node.
    pub(super) notes: Vec<(Note, String)>,
    /// What of the notes is counted.
    pub(super) facts: Vec<Fact>,
    /// What of the notes is traced.
    pub(super) spans: Vec<Span>,
    /// When the last event of the group happened.
    pub(super) at: WallTime,
}

impl Group {
    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.dirty.is_empty() && self.outbox.is_empty()
    }

    /// Takes what it holds.
    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Adds the records and commands of one step; answers and changes are added by the controller, which knows to whom.
    pub(super) fn add(&mut self, effects: &mut Effects) {
        self.dirty.append(&mut effects.dirty);
        self.outbox.sends.append(&mut effects.sends);
    }
}

impl Outbox {
    fn is_empty(&self) -> bool {
        self.sends.is_empty()
            && self.answers.is_empty()
            && self.reads.is_empty()
            && self.changed.is_empty()
            && self.deleted.is_empty()
            && self.notes.is_empty()
    }
}
