//! Where in etcd's one key space a cluster lives.

use super::{Error, Key, Prefix};

/// The etcd keys of one cluster.
#[derive(Debug)]
pub(super) struct Layout {
    root: String,
    data: String,
    leader: String,
    txn: String,
    base: String,
}

/// Longest prefix: [`OP_BYTES`](super::super::write::OP_BYTES) covers it together with the framing.
const MAX_PREFIX_BYTES: usize = 100;

impl Layout {
    pub(super) fn new(prefix: &str) -> Result<Self, Error> {
        let refuse = |detail: String| Error::BadConfig { detail };
        let prefix = Key::new(prefix).map_err(|error| refuse(format!("the etcd prefix: {error}")))?;
        if prefix.as_str().len() > MAX_PREFIX_BYTES {
            return Err(refuse(format!(
                "the etcd prefix is longer than {MAX_PREFIX_BYTES} bytes; shorten it"
            )));
        }
        let root = format!("{prefix}/");
        Ok(Self {
            data: format!("{root}data/"),
            leader: format!("{root}leader"),
            txn: format!("{root}txn"),
            base: format!("{root}base"),
            root,
        })
    }

    /// The key of the leader.
    pub(super) fn leader(&self) -> &str {
        &self.leader
    }

    /// The key of what is added to revisions to make epochs.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The key that names the last commit.
    pub(super) fn txn(&self) -> &str {
        &self.txn
    }

    /// What every key of the cluster begins with.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The etcd key of one of ours.
    pub(super) fn data_key(&self, key: &Key) -> String {
        format!("{}{key}", self.data)
    }

    /// The range `[start, end)` of the keys under `prefix` that come after `after`.
    pub(super) fn data_range(&self, prefix: &Prefix, after: Option<&Key>) -> (Vec<u8>, Vec<u8>) {
        let folder = format!("{}{}", self.data, prefix.as_str());
        let start = match after {
            // The smallest key larger than `after`.
            Some(key) if key.as_str() >= prefix.as_str() => format!("{}\0", self.data_key(key)),
            Some(_) | None => folder.clone(),
        };
        // The folder ends in '/', and '0' is the next byte.
        let end = format!("{}0", folder.strip_suffix('/').unwrap_or(&folder));
        (start.into_bytes(), end.into_bytes())
    }

    /// Our name of an etcd key; `None` for the leader, the commit id and what is not ours.
    pub(super) fn parse(&self, etcd_key: &[u8]) -> Option<Result<Key, Error>> {
        let name = etcd_key.strip_prefix(self.data.as_bytes())?;
        let foreign = || Error::Corrupt {
            place: String::from_utf8_lossy(etcd_key).escape_debug().to_string(),
            detail: "its name is not one this program writes".to_owned(),
        };
        let key = std::str::from_utf8(name).ok().and_then(|name| Key::new(name).ok());
        Some(key.ok_or_else(foreign))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_covers_its_prefix_and_nothing_else() {
        let layout = Layout::new("dockmgr/test").expect("well formed");
        let prefix = Prefix::new("jobs/").expect("well formed");
        let (start, end) = layout.data_range(&prefix, None);
        let inside = |name: &str| {
            let key = layout.data_key(&Key::new(name).expect("well formed")).into_bytes();
            start <= key && key < end
        };
        assert!(inside("jobs/1") && inside("jobs/\u{10ffff}"));
        assert!(!inside("jobs2/1") && !inside("job") && !inside("nodes/1"));
        let after = Key::new("jobs/1").expect("well formed");
        let (start, _) = layout.data_range(&prefix, Some(&after));
        assert!(start > layout.data_key(&after).into_bytes());
        assert!(start < layout.data_key(&Key::new("jobs/1/a").expect("well formed")).into_bytes());
    }
}
