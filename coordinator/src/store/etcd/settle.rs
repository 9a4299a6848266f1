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

use std::time::Duration;

use dockmgr_support::error_chain;
use etcd_client::{ResponseHeader, Txn, TxnOp, TxnOpResponse, TxnResponse};
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

/// Reads what the second transaction found.
fn conclude(chain: &mut Chain, answer: &TxnResponse, id: &str, void: &str) -> Result<Settled, Error> {
    let epoch = chain.epoch;
    let mut decided = |last: i64, settled| {
        chain.last = last;
        chain.undecided = None;
        Ok(settled)
    };
    if answer.succeeded() {
        return decided(answer.header().map_or(0, ResponseHeader::revision), Settled::Prevented);
    }
    let answers = answer.op_responses();
    let stored = match answers.first() {
        Some(TxnOpResponse::Get(got)) => got.kvs().first(),
        Some(_) | None => None,
    };
    let modified = stored.map_or(0, etcd_client::KeyValue::mod_revision);
    match stored.map(etcd_client::KeyValue::value) {
        Some(value) if value == id.as_bytes() => {
            decided(modified, Settled::Happened(super::read::revision(modified)))
        }
        // An earlier try of ours, whose answer was lost.
        Some(value) if value == void.as_bytes() => decided(modified, Settled::Prevented),
        Some(_) | None if modified == chain.last => Err(Error::Fenced { epoch }),
        Some(_) | None => Err(Error::Unknown { epoch }),
    }
}
