//! Decides a commit that got no answer.
//!
//! A commit that timed out may have happened, may happen later, or never. To settle it, a second transaction tries to
//! put its own id in the place of the undecided one, under the same condition:
//!
//! ```text
//! applied                 the undecided commit did not happen, and now never can: its condition is gone
//! not applied, its id is  there    it happened
//!                         absent   the leader changed first: it did not happen and never can
//!                         other    a later leader wrote: it cannot be told
//! ```
//!
//! A commit that was answered with an error is not under way any more, and a look at the commit id settles it. That needs no
//! room, which etcd has not if the error was that. Should the look show an old state (see the module above), the next commit
//! finds its condition gone and is fenced.

use std::time::Duration;

use dockmgr_support::error_chain;
use etcd_client::{KeyValue, ResponseHeader, Txn, TxnOp, TxnOpResponse, TxnResponse};
use tokio::time::{Instant, sleep};

use super::commit::Chain;
use super::{Error, Etcd, Revision};

/// How long to go on asking. Longer than a lease lasts, so that after it leadership is lost anyway.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Pause between two questions: short against an outage, long against a busy loop.
const PAUSE: Duration = Duration::from_millis(200);

/// What became of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// It happened, with this revision.
    Happened(Revision),
    /// It did not happen and never will.
    Prevented,
}

impl Etcd {
    /// Settles `chain.undecided`. Dropping the future leaves it undecided; the next commit settles it.
    ///
    /// # Errors
    /// [`Error::Fenced`] if it did not happen and another leads, [`Error::Unknown`] if it cannot be told.
    pub(super) async fn settle(&self, chain: &mut Chain) -> Result<Settled, Error> {
        let unknown = Err(Error::Unknown { epoch: chain.epoch });
        let Some(id) = chain.undecided.clone() else { return unknown };
        let void = format!("void {id}");
        let deadline = Instant::now() + GIVE_UP;
        loop {
            let place = Txn::new()
                .when(self.leads(chain))
                .and_then(vec![TxnOp::put(self.layout.txn(), void.as_str(), None)])
                .or_else(vec![TxnOp::get(self.layout.txn(), None)]);
            match self.link.transact("settle a commit", &place).await {
                Ok(answer) => return conclude(chain, &answer, &id, &void),
                Err(error) if error.is_retryable() && Instant::now() < deadline => sleep(PAUSE).await,
                Err(error) => {
                    let (epoch, error) = (chain.epoch.0, error_chain::Chain(&error));
                    tracing::warn!(epoch, %error, "cannot find out whether a commit happened");
                    return unknown;
                }
            }
        }
    }
}

impl Etcd {
    /// Settles `chain.undecided` after etcd answered it with an error. Cancel safe.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub(super) async fn settle_answered(&self, chain: &mut Chain) -> Result<Settled, Error> {
        let unknown = Err(Error::Unknown { epoch: chain.epoch });
        let Some(id) = chain.undecided.clone() else { return unknown };
        let deadline = Instant::now() + GIVE_UP;
        loop {
            match self.commit_id().await {
                Ok(stored) => return find(chain, stored.as_ref(), &id, &format!("void {id}")),
                Err(error) if error.is_retryable() && Instant::now() < deadline => sleep(PAUSE).await,
                Err(error) => {
                    let (epoch, error) = (chain.epoch.0, error_chain::Chain(&error));
                    tracing::warn!(epoch, %error, "cannot find out whether a refused commit happened");
                    return unknown;
                }
            }
        }
    }
}

/// Reads what the second transaction found.
fn conclude(chain: &mut Chain, answer: &TxnResponse, id: &str, void: &str) -> Result<Settled, Error> {
    if answer.succeeded() {
        chain.last = answer.header().map_or(0, ResponseHeader::revision);
        chain.undecided = None;
        return Ok(Settled::Prevented);
    }
    let answers = answer.op_responses();
    let stored = match answers.first() {
        Some(TxnOpResponse::Get(got)) => got.kvs().first(),
        Some(_) | None => None,
    };
    match find(chain, stored, id, void)? {
        // The condition failed although nothing was committed: the leader changed.
        Settled::Prevented if stored.is_none_or(|stored| stored.value() != void.as_bytes()) => {
            Err(Error::Fenced { epoch: chain.epoch })
        }
        settled => Ok(settled),
    }
}

/// Reads the commit id that is there: the undecided one's, that of an earlier try to settle it, or the one before it.
fn find(chain: &mut Chain, stored: Option<&KeyValue>, id: &str, void: &str) -> Result<Settled, Error> {
    let modified = stored.map_or(0, KeyValue::mod_revision);
    let settled = match stored.map(KeyValue::value) {
        Some(value) if value == id.as_bytes() => Settled::Happened(super::read::revision(modified)),
        // An earlier try of ours, whose answer was lost.
        Some(value) if value == void.as_bytes() => Settled::Prevented,
        Some(_) | None if modified == chain.last => Settled::Prevented,
        Some(_) | None => return Err(Error::Unknown { epoch: chain.epoch }),
    };
    chain.last = modified;
    chain.undecided = None;
    Ok(settled)
}
