//! Reading from etcd, and forgetting its history.

use bytes::Bytes;
use dockmgr_core::ids::Epoch;
use dockmgr_support::error_chain::Chain;
use etcd_client::{CompactionOptions, Compare, CompareOp, GetOptions, GetResponse, KeyValue, Txn, TxnOp};
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
        let (mut start, end) = self.layout.data_range(prefix, after);
        let mut entries = Vec::new();
        loop {
            let mut answer = match self.range(&start, &end, limit).await {
                // The page is larger than one answer may be: ask for less. A single value always fits.
                Err(error) if limit > 1 && has_code(&error, Code::OutOfRange) => {
                    limit /= 2;
                    continue;
                }
                answer => answer?,
            };
            let (revision, more) = (revision_of(&answer), answer.more());
            for stored in answer.take_kvs() {
                // The smallest key larger than it.
                start = [stored.key(), b"\0"].concat();
                match self.layout.parse(stored.key()) {
                    Some(Ok(key)) => entries.push(entry(key, stored)),
                    Some(Err(error)) => tracing::error!(error = %Chain(&error), "a key is passed over"),
                    None => {}
                }
            }
            // Keys that were passed over leave room for more.
            if !more || entries.len() > limit {
                return Ok(Page::cut(entries, limit, revision));
            }
        }
    }

    /// Who leads, by the leader key.
    pub(in super::super) async fn leader(&self) -> Result<Option<Leader>, Error> {
        Ok(self.leader_key().await?.as_ref().map(leader))
    }

    /// The newest revision, plus what is added to make epochs.
    pub(in super::super) async fn position(&self) -> Result<u64, Error> {
        let answer = self.fetch("read the position", self.layout.base(), GetOptions::new()).await?;
        Ok(base(answer.kvs().first())? + revision_of(&answer).0)
    }

    /// Makes the epochs to come larger than `above`.
    pub(in super::super) async fn raise_epochs(&self, above: u64) -> Result<(), Error> {
        let answer = self.fetch("read the position", self.layout.base(), GetOptions::new()).await?;
        let stored = answer.kvs().first();
        if base(stored)? >= above {
            return Ok(());
        }
        let seen = Compare::mod_revision(
            self.layout.base(),
            CompareOp::Equal,
            stored.map_or(0, KeyValue::mod_revision),
        );
        let put = TxnOp::put(self.layout.base(), above.to_string(), None);
        let answer = self.link.transact("raise the epochs", &Txn::new().when([seen]).and_then([put])).await?;
        if answer.succeeded() {
            return Ok(());
        }
        let source = "another coordinator does so, too".into();
        Err(Error::Unavailable { action: "raise the epochs", source })
    }

    /// Drops the history of all but the last `keep` revisions.
    pub(in super::super) async fn compact(&self, keep: u64) -> Result<(), Error> {
        let answer = self.fetch("read the revision", self.layout.txn(), GetOptions::new()).await?;
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
        let mut answer = self.fetch("read the leader", self.layout.leader(), GetOptions::new()).await?;
        Ok(answer.take_kvs().pop())
    }

    /// The id of the last commit.
    pub(super) async fn commit_id(&self) -> Result<Option<KeyValue>, Error> {
        let mut answer = self.fetch("read the last commit", self.layout.txn(), GetOptions::new()).await?;
        Ok(answer.take_kvs().pop())
    }

    async fn range(&self, start: &[u8], end: &[u8], limit: usize) -> Result<GetResponse, Error> {
        // One more than asked for tells whether there are more.
        let limit = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        self.fetch("list keys", start, GetOptions::new().with_range(end).with_limit(limit)).await
    }

    async fn fetch(
        &self,
        action: &'static str,
        key: impl Into<Vec<u8>>,
        options: GetOptions,
    ) -> Result<GetResponse, Error> {
        let (kv, key) = (self.link.kv(), key.into());
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

/// What the key of the base holds; nothing is zero.
pub(super) fn base(stored: Option<&KeyValue>) -> Result<u64, Error> {
    let Some(stored) = stored else { return Ok(0) };
    let text = String::from_utf8_lossy(stored.value());
    text.parse().map_err(|_| Error::Corrupt {
        place: String::from_utf8_lossy(stored.key()).escape_debug().to_string(),
        detail: "it is no number".to_owned(),
    })
}

/// The leader that a leader key names, with its create-revision as epoch: followers tell leaders apart by it.
pub(super) fn leader(stored: &KeyValue) -> Leader {
    Leader::parse(Epoch(revision(stored.create_revision()).0), stored.value())
}
