//! Under which condition a commit may happen.
//!
//! Owns the rule for the embedded stores; etcd evaluates the same rule inside its transaction.

use dockmgr_core::ids::Epoch;

use super::{Error, Key, Revision};

/// What must be true at the moment of the commit, or nothing is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The epoch that must be leading.
    pub epoch: Epoch,
    /// What must be true of single keys.
    pub preconditions: Vec<Precondition>,
}

impl Guard {
    /// Asks for leadership only: right for keys that only the leader writes.
    pub fn leader(epoch: Epoch) -> Self {
        Self { epoch, preconditions: Vec::new() }
    }

    /// Also asks that `key` does not exist.
    #[must_use]
    pub fn and_absent(self, key: Key) -> Self {
        self.and(Precondition { key, expected: Expected::Absent })
    }

    /// Also asks that `key` was last written by the commit `revision`.
    #[must_use]
    pub fn and_unchanged(self, key: Key, revision: Revision) -> Self {
        self.and(Precondition { key, expected: Expected::At(revision) })
    }

    fn and(mut self, precondition: Precondition) -> Self {
        self.preconditions.push(precondition);
        self
    }

    /// Checks the preconditions in order against `revision_of`, which answers `None` for an absent key.
    pub(super) fn check_keys<E: From<Error>>(
        &self,
        mut revision_of: impl FnMut(&Key) -> Result<Option<Revision>, E>,
    ) -> Result<(), E> {
        for precondition in &self.preconditions {
            if !precondition.expected.holds(revision_of(&precondition.key)?) {
                return Err(Error::Conflict { key: precondition.key.clone() }.into());
            }
        }
        Ok(())
    }
}

/// What must be true of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// The key; it need not be one that is written.
    pub key: Key,
    /// What it must look like.
    pub expected: Expected,
}

impl Precondition {
    /// What it counts against [`Limits::max_bytes`](super::Limits::max_bytes): etcd gets the key twice, to compare it
    /// and to tell which one failed.
    pub fn size(&self) -> usize {
        2 * (self.key.as_str().len() + super::write::OP_BYTES)
    }
}

/// The state a key must be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It does not exist.
    Absent,
    /// It exists and was last written at this revision.
    At(Revision),
}

impl Expected {
    /// Whether a key last written at `found` (`None`: absent) is in this state.
    pub(super) fn holds(self, found: Option<Revision>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::At(revision) => found == Some(revision),
        }
    }
}
