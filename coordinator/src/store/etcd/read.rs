//! Reading from etcd, and forgetting its history.

use bytes::Bytes;
use dockmgr_core::ids::Epoch;
use etcd_client::{CompactionOptions, GetOptions, GetResponse, KeyValue};
use tonic::Code;

use super::failure::has_code;
use super::{Entry, Error, Etcd, Key, Leader, Page, Prefix, Revision};

impl Etcd {
    pub(in super::super) async fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let mut answer = self.fetch("read a key", self.layout.data_key(key), GetOptions::new()).await?;
        match answer.take_kvs().pop() {
            Some(stored) => Ok(Some(entry(key.clone(), stored))),
            None => Ok(None),
        }
    }

    pub(in super::super) async fn list(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        mut limit: usize,
    ) -> Result<Page, Error> {
        loop {
            let answer = self.range(prefix, after, limit).await;
            match answer {
                // The page is larger than one answer may be: ask for less. A single value always fits.
                Err(error) if limit > 1 && has_code(&error, Code::OutOfRange) => limit /= 2,
                Err(error) => return Err(error),
                Ok(mut answer) => {
                    let revision = revision_of(&answer);
                    let entries = answer.take_kvs().into_iter().filter_map(|stored| {
                        let key = self.layout.parse(stored.key())?;
                        Some(key.map(|key| entry(key, stored)))
                    });
                    return Ok(Page::cut(entries.collect::<Result<_, _>>()?, limit, revision));
                }
            }
        }
    }

    /// Who leads, by the leader key.
    pub(in super::super) async fn leader(&self) -> Result<Option<Leader>, Error> {
        Ok(self.leader_key().await?.as_ref().map(leader))
    }

    /// Drops the history of all but the last `keep` revisions.
    pub(in super::super) async fn compact(&self, keep: u64) -> Result<(), Error> {
        let answer = self.fetch("read the revision", self.layout.txn().to_owned(), GetOptions::new()).await?;
        let target = i64::try_from(revision_of(&answer).0.saturating_sub(keep)).unwrap_or(0);
        if target <= 0 {
            return Ok(());
        }
        let kv = self.link.kv();
        let compact = || {
            let mut kv = kv.clone();
            async move { kv.compact(target, Some(CompactionOptions::new())).await }
        };
        let compacted = self.link.call("compact", compact).await;
        match compacted {
            // Somebody compacted further already.
            Err(error) if has_code(&error, Code::OutOfRange) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The leader's key as it is now.
    pub(super) async fn leader_key(&self) -> Result<Option<KeyValue>, Error> {
        let mut answer =
            self.fetch("read the leader", self.layout.leader().to_owned(), GetOptions::new()).await?;
        Ok(answer.take_kvs().pop())
    }

    /// The id of the last commit.
    pub(super) async fn commit_id(&self) -> Result<Option<KeyValue>, Error> {
        let mut answer =
            self.fetch("read the last commit", self.layout.txn().to_owned(), GetOptions::new()).await?;
        Ok(answer.take_kvs().pop())
    }

    async fn range(&self, prefix: &Prefix, after: Option<&Key>, limit: usize) -> Result<GetResponse, Error> {
        let (start, end) = self.layout.data_range(prefix, after);
        // One more than asked for tells whether there are more.
        let limit = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        self.fetch("list keys", start, GetOptions::new().with_range(end).with_limit(limit)).await
    }

    async fn fetch(
        &self,
        action: &'static str,
        key: String,
        options: GetOptions,
    ) -> Result<GetResponse, Error> {
        let kv = self.link.kv();
        let get = || {
            let (mut kv, key, options) = (kv.clone(), key.clone(), options.clone());
            async move { kv.get(key, Some(options)).await }
        };
        self.link.call(action, get).await
    }
}

/// Reads etcd's signed number, which is never negative.
pub(super) fn revision(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or(0))
}

fn revision_of(answer: &GetResponse) -> Revision {
    revision(answer.header().map_or(0, etcd_client::ResponseHeader::revision))
}

fn entry(key: Key, stored: KeyValue) -> Entry {
    let revision = revision(stored.mod_revision());
    let (_, value) = stored.into_key_value();
    Entry { key, value: Bytes::from(value), revision }
}

/// The leader that a leader key names.
pub(super) fn leader(stored: &KeyValue) -> Leader {
    Leader::parse(Epoch(revision(stored.create_revision()).0), stored.value())
}
