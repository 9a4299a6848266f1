//! Failures a test orders in advance, so that the attempt driver meets what real daemons do.
//!
//! Owns the queue; the effect-or-not distinction is what matters: a time-out may hide a success.

use std::collections::{BTreeMap, VecDeque};

use crate::runtime::{Call, Error, ImageFailure};

/// What happens to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this error and has no effect.
    Refused(Error),
    /// It has no effect and no answer: the caller sees a time-out.
    LostBefore,
    /// It takes effect and the answer is lost: the caller sees a time-out.
    LostAfter,
    /// It has no effect and never answers at all.
    Hangs,
}

/// Faults ordered and not used yet.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// By call, in order of use.
    pub(super) queued: BTreeMap<Call, VecDeque<Fault>>,
    /// Images that cannot be pulled.
    pub(super) images: BTreeMap<String, ImageFailure>,
    /// Whether nothing answers.
    pub(super) unreachable: bool,
}

impl Faults {
    /// The fault of the next call of this kind, used up.
    pub(super) fn take(&mut self, call: Call) -> Option<Fault> {
        self.queued.get_mut(&call)?.pop_front()
    }
}
