//! Commits in etcd.
//!
//! Every commit is one transaction that also checks the leader key, and that checks and replaces the id of the commit
//! before it. That chain makes an unanswered commit decidable: see `settle`.
//!
//! ```text
//! if   leader.create_revision == epoch  and  txn.mod_revision == last  and  every precondition
//! then put the writes, put txn = id of this commit
//! else read what failed
//! ```

use dockmgr_core::ids::Epoch;
use etcd_client::{Compare, CompareOp, GetOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};

use super::super::Expected;
use super::settle::Settled;
use super::{Error, Etcd, Guard, Key, Revision, WriteSet};

/// The leader's view of the last commit.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The epoch it belongs to; commits of any other are fenced without asking etcd.
    pub(super) epoch: Epoch,
    /// Create-revision of the leader key of this epoch.
    pub(super) created: i64,
    /// Modification revision of the commit id's key; 0 before the first.
    pub(super) last: i64,
    /// Commits begun in this epoch.
    pub(super) sequence: u64,
    /// The id of a commit that was sent and not yet decided.
    pub(super) undecided: Option<String>,
}

impl Etcd {
    pub(in super::super) async fn commit(&self, set: WriteSet, guard: &Guard) -> Result<Revision, Error> {
        let mut chain = self.chain.lock().await;
        if chain.epoch != guard.epoch || !self.term.is_led_by(guard.epoch) {
            return Err(Error::Fenced { epoch: guard.epoch });
        }
        let committed = self.commit_next(&mut chain, set, guard).await;
        if committed.as_ref().is_err_and(Error::ends_leadership) {
            // Nobody may go on under an epoch that is gone or in doubt.
            self.term.end(guard.epoch);
        }
        committed
    }

    async fn commit_next(&self, chain: &mut Chain, set: WriteSet, guard: &Guard) -> Result<Revision, Error> {
        if chain.undecided.is_some() {
            // The caller of the commit before dropped it half way; it must not overtake this one.
            self.settle(chain).await?;
        }
        chain.sequence += 1;
        let id = format!("{}-{}", chain.epoch, chain.sequence);
        let txn = self.transaction(chain, &id, set, guard);
        chain.undecided = Some(id);
        match self.link.transact("commit", &txn).await {
            Ok(answer) => {
                chain.undecided = None;
                self.read_answer(chain, &answer, guard)
            }
            Err(error @ Error::Unavailable { .. }) => outcome(self.settle(chain).await?, error),
            // The write that passes the quota is applied and answered with this error.
            Err(error @ Error::Exhausted { .. }) => outcome(self.settle_answered(chain).await?, error),
            Err(error) => {
                chain.undecided = None;
                Err(error)
            }
        }
    }

    fn transaction(&self, chain: &Chain, id: &str, set: WriteSet, guard: &Guard) -> Txn {
        let mut compares = self.leads(chain);
        let mut failed = vec![peek(self.layout.leader()), peek(self.layout.txn())];
        for precondition in &guard.preconditions {
            let key = self.layout.data_key(&precondition.key);
            failed.push(peek(&key));
            let wanted = match precondition.expected {
                Expected::Absent => 0,
                // A revision that does not fit was never etcd's and never compares equal.
                Expected::At(revision) => i64::try_from(revision.0).unwrap_or(i64::MAX),
            };
            compares.push(Compare::mod_revision(key, CompareOp::Equal, wanted));
        }
        let mut writes: Vec<TxnOp> =
            set.writes.into_iter().map(|(key, value)| self.write(&key, value)).collect();
        writes.push(TxnOp::put(self.layout.txn(), id, None));
        Txn::new().when(compares).and_then(writes).or_else(failed)
    }

    /// What holds while this chain's epoch leads and nothing was committed after its last commit.
    pub(super) fn leads(&self, chain: &Chain) -> Vec<Compare> {
        vec![
            Compare::create_revision(self.layout.leader(), CompareOp::Equal, chain.created),
            Compare::mod_revision(self.layout.txn(), CompareOp::Equal, chain.last),
        ]
    }

    fn write(&self, key: &Key, value: Option<bytes::Bytes>) -> TxnOp {
        let key = self.layout.data_key(key);
        match value {
            Some(value) => TxnOp::put(key, value, None),
            None => TxnOp::delete(key, None),
        }
    }

    fn read_answer(&self, chain: &mut Chain, answer: &TxnResponse, guard: &Guard) -> Result<Revision, Error> {
        let fenced = Err(Error::Fenced { epoch: guard.epoch });
        if answer.succeeded() {
            let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
            chain.last = revision;
            return Ok(super::read::revision(revision));
        }
        let found: Vec<Found> = answer.op_responses().into_iter().map(Found::from).collect();
        let [leader, _txn, keys @ ..] = found.as_slice() else { return fenced };
        if leader.created != chain.created {
            return fenced;
        }
        for (precondition, found) in guard.preconditions.iter().zip(keys) {
            let revision = (found.modified != 0).then(|| super::read::revision(found.modified));
            if !precondition.expected.holds(revision) {
                return Err(Error::Conflict { key: precondition.key.clone() });
            }
        }
        // We lead and every key is as expected, so the chain is broken: somebody else wrote the commit id.
        tracing::error!(
            epoch = guard.epoch.0,
            key = self.layout.txn(),
            "commit id changed by another program"
        );
        fenced
    }
}

/// What the caller of a settled commit hears.
fn outcome(settled: Settled, error: Error) -> Result<Revision, Error> {
    match settled {
        Settled::Happened(revision) => Ok(revision),
        Settled::Prevented => Err(error),
    }
}

/// Reads a key's revisions without its value.
fn peek(key: &str) -> TxnOp {
    TxnOp::get(key, Some(GetOptions::new().with_keys_only()))
}

/// The revisions of a key that a failed transaction read; 0 if it is absent.
struct Found {
    created: i64,
    modified: i64,
}

impl From<TxnOpResponse> for Found {
    fn from(answer: TxnOpResponse) -> Self {
        if let TxnOpResponse::Get(got) = &answer
            && let Some(stored) = got.kvs().first()
        {
            return Self { created: stored.create_revision(), modified: stored.mod_revision() };
        }
        Self { created: 0, modified: 0 }
    }
}
