//! What a watch reports.

use bytes::Bytes;

use super::{Key, Revision};

/// What one commit did to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The key was created or overwritten.
    Put {
        /// The key.
        key: Key,
        /// Its new value.
        value: Bytes,
    },
    /// The key was removed.
    Delete {
        /// The key.
        key: Key,
    },
}

impl Change {
    /// The key that changed.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// About how many bytes it occupies in memory.
    pub(super) fn size(&self) -> usize {
        /// Two strings' and the enum's own words.
        const FIXED: usize = 96;
        let value = match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete { .. } => 0,
        };
        FIXED + self.key().as_str().len() + value
    }
}

/// Everything one commit changed under the watched prefix, in key order; never empty when a watch returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeBatch {
    /// The commit's revision; a new watch after it continues without a gap.
    pub revision: Revision,
    /// The changes.
    pub changes: Vec<Change>,
}
