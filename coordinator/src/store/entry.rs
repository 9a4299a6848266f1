//! What reading returns.

use std::fmt;

use bytes::Bytes;
use dockmgr_core::ids::ClusterId;

use super::Key;

/// Most entries of one page. etcd before 3.6 counts what is left of the range with every page, so few and large ones are
/// faster; their bytes are bounded besides.
pub const MAX_PAGE: usize = 4000;
/// Values in one page of an embedded store, in bytes, after which it ends; one is always in it.
pub(super) const PAGE_BYTES: usize = 4 << 20;

/// A moment in the life of the whole store. Grows with every commit; larger is newer; 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision right after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A stored value and when it last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// The bytes as they were written.
    pub value: Bytes,
    /// The commit that last wrote it.
    pub revision: Revision,
}

/// How far a store that others could exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Whose state it is; `None` before the first leader.
    pub cluster: Option<ClusterId>,
    /// Grows with every commit, and is never smaller than an epoch that was handed out.
    pub at: u64,
}

/// Some entries in key order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries, in key order.
    pub entries: Vec<Entry>,
    /// What to pass as `after` to get the next page; `None` on the last one.
    pub next: Option<Key>,
    /// The store's revision when this page was read.
    pub revision: Revision,
}

impl Page {
    /// Makes a page of at most `limit` entries from up to `limit + 1` that were read.
    pub(super) fn cut(mut entries: Vec<Entry>, limit: usize, revision: Revision) -> Self {
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = if more { entries.last().map(|entry| entry.key.clone()) } else { None };
        Self { entries, next, revision }
    }
}
