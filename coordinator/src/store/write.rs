//! What a commit writes, and how much of it fits.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Error, Guard, Key};

/// What a write or a precondition costs besides its key and value: message framing and the cluster's own prefix.
pub(super) const OP_BYTES: usize = 192;

/// How much fits into one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most writes, and most preconditions.
    pub max_ops: usize,
    /// Most bytes, as [`Write::size`] and [`Precondition::size`](super::Precondition::size) count them.
    pub max_bytes: usize,
}

impl Limits {
    /// The embedded stores': only there to keep one commit from filling the memory.
    pub(super) const EMBEDDED: Self = Self { max_ops: 65_536, max_bytes: 64 << 20 };
}

/// One change to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Creates or overwrites a key.
    Put {
        /// The key.
        key: Key,
        /// Its new value; any bytes.
        value: Bytes,
    },
    /// Removes a key if it exists.
    Delete {
        /// The key.
        key: Key,
    },
}

impl Write {
    /// Creates or overwrites `key`.
    pub fn put(key: Key, value: impl Into<Bytes>) -> Self {
        Self::Put { key, value: value.into() }
    }

    /// Removes `key` if it exists.
    pub fn delete(key: Key) -> Self {
        Self::Delete { key }
    }

    /// The key that is written.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// What it counts against [`Limits::max_bytes`].
    pub fn size(&self) -> usize {
        let value = match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete { .. } => 0,
        };
        OP_BYTES + self.key().as_str().len() + value
    }
}

/// The writes of one commit: each key once, in key order, known to fit.
#[derive(Debug)]
pub(super) struct WriteSet {
    /// The new value of each key, `None` to delete it.
    pub(super) writes: BTreeMap<Key, Option<Bytes>>,
}

impl WriteSet {
    /// Keeps the last write of each key and refuses more than `limits` allows.
    pub(super) fn new(writes: Vec<Write>, guard: &Guard, limits: Limits) -> Result<Self, Error> {
        let mut kept = BTreeMap::new();
        for write in writes {
            match write {
                Write::Put { key, value } => kept.insert(key, Some(value)),
                Write::Delete { key } => kept.insert(key, None),
            };
        }
        let written: usize = kept
            .iter()
            .map(|(key, value)| OP_BYTES + key.as_str().len() + value.as_ref().map_or(0, Bytes::len))
            .sum();
        let compared: usize = guard.preconditions.iter().map(super::Precondition::size).sum();
        let ops = kept.len().max(guard.preconditions.len());
        let bytes = written + compared;
        if ops > limits.max_ops || bytes > limits.max_bytes {
            return Err(Error::TooLarge { ops, bytes, limits });
        }
        Ok(Self { writes: kept })
    }
}

#[cfg(test)]
mod tests {
    use dockmgr_core::ids::Epoch;

    use super::*;

    #[test]
    fn the_last_write_of_a_key_counts() {
        let key = Key::new("a").expect("well formed");
        let writes =
            vec![Write::put(key.clone(), "1"), Write::delete(key.clone()), Write::put(key.clone(), "2")];
        let set = WriteSet::new(writes, &Guard::leader(Epoch(1)), Limits::EMBEDDED).expect("fits");
        assert_eq!(set.writes.get(&key), Some(&Some(Bytes::from("2"))));
        assert_eq!(set.writes.len(), 1);
    }

    #[test]
    fn preconditions_count_too() {
        let limits = Limits { max_ops: 1, max_bytes: 10_000 };
        let (a, b) = (Key::new("a").expect("well formed"), Key::new("b").expect("well formed"));
        let guard = Guard::leader(Epoch(1)).and_absent(a).and_absent(b);
        assert!(matches!(WriteSet::new(Vec::new(), &guard, limits), Err(Error::TooLarge { ops: 2, .. })));
    }
}
