//! What objects of the place are called: `segments/EPOCH-UUID` and `deleted/EPOCH-UUID`.
//!
//! The epoch is the one of the leader that wrote it: a leader that was deposed without knowing it never writes over what
//! its successor wrote. The uuid is of version 7, so names of an epoch are in the order of time.

use std::fmt;

use dockmgr_core::ids::Epoch;
use dockmgr_core::time::WallTime;
use uuid::Uuid;

/// Folder of sealed output.
pub(super) const SEGMENTS: &str = "segments";
/// Folder of the lists of jobs whose output was deleted while a segment still has it.
pub(super) const DELETED: &str = "deleted";

/// Folder of segments that were replaced because of damage; nothing reads it.
pub(super) const DAMAGED: &str = "damaged";

/// The name of an object inside its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    epoch: Epoch,
    uuid: Uuid,
}

impl Name {
    /// The epoch of the leader that gave it.
    pub(super) fn epoch(self) -> Epoch {
        self.epoch
    }

    /// A name nothing has yet.
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { epoch, uuid: Uuid::now_v7() }
    }

    /// Reads the last part of an object's path; `None` for one that is not ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (epoch, uuid) = text.split_once('-')?;
        let name = Self { epoch: Epoch(epoch.parse().ok()?), uuid: uuid.parse().ok()? };
        (name.to_string() == text).then_some(name)
    }

    /// When it was given, by the wall clock of who gave it.
    pub(super) fn given(self) -> WallTime {
        let millis = self.uuid.get_timestamp().map_or(0, |at| {
            let (seconds, nanos) = at.to_unix();
            seconds.saturating_mul(1000).saturating_add(u64::from(nanos) / 1_000_000)
        });
        WallTime(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch.0, self.uuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_parses_as_it_prints_and_foreign_names_do_not() {
        let name = Name::new(Epoch(7));
        assert_eq!(Name::parse(&name.to_string()), Some(name));
        let age = dockmgr_support::clock::wall_millis() - name.given().0;
        assert!((0..60_000).contains(&age), "{age} ms");
        for foreign in ["", "7", "x-y", "7-00000000", "07-018f3b5e-0000-7000-8000-000000000000"] {
            assert_eq!(Name::parse(foreign), None, "{foreign}");
        }
    }
}
