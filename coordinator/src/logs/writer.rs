//! Who may write to the log folder now.

use dockmgr_core::ids::Epoch;

/// Whether other coordinators use the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// This process alone: the lock on its store sees to that.
    Alone,
    /// Several take turns, at most one leads.
    Terms,
}

/// In what capacity this process uses the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// It is alone.
    Alone,
    /// It leads in this epoch.
    Leader(Epoch),
    /// It does not lead: it only reads.
    Reader,
}

impl Writer {
    /// The epoch in the names of the files it writes; `None` if it writes none.
    pub(super) fn epoch(self) -> Option<Epoch> {
        match self {
            Self::Alone => Some(Epoch(0)),
            Self::Leader(epoch) => Some(epoch),
            Self::Reader => None,
        }
    }
}
