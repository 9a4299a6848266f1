//! Becoming the leader.
//!
//! ```text
//! wait while the leader key exists -> grant a lease -> create the key if it is absent, bound to the lease
//!        ^                                                   |no: somebody was faster      |yes: lead
//!        +---------------------------------------------------+
//! ```
//! The key's create-revision is the epoch. It grows with every leader, because etcd never reuses a revision.

use std::time::Duration;

use dockmgr_core::ids::Epoch;
use dockmgr_support::{clock, error_chain};
use etcd_client::{Compare, CompareOp, GetOptions, PutOptions, Txn, TxnOp, TxnOpResponse};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::commit::Chain;
use super::keeper::{LeaseKeeper, valid_until};
use super::{Candidate, Error, Etcd, Keeper, Leader, Lease, Outlook};

/// Pause between two looks at the leader key: adds little to a failover and is one cheap read per candidate.
const POLL: Duration = Duration::from_millis(250);

/// Revoking is a courtesy to the successor; a stopping coordinator must not wait long for it.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(1);

/// A lease that was granted for the leader key.
#[derive(Debug, Clone, Copy)]
struct Granted {
    id: i64,
    /// Boot time in nanoseconds before it was asked for: the lease cannot have begun earlier.
    asked_at: u64,
}

/// A won election.
struct Won {
    granted: Granted,
    epoch: Epoch,
    /// Create-revision of the leader key.
    created: i64,
    last_commit: i64,
}

impl Etcd {
    pub(in super::super) async fn campaign(
        &self,
        candidate: &Candidate,
        seen: &watch::Sender<Outlook>,
        cancel: &CancellationToken,
    ) -> Result<(Lease, Keeper), Error> {
        let mut granted = None;
        let won = tokio::select! {
            won = self.win(candidate, seen, &mut granted) => won,
            // The coordinator stops.
            () = cancel.cancelled() => Err(Error::Cancelled),
        };
        match won {
            Ok(won) => Ok(self.take_office(&won).await),
            Err(error) => {
                if let Some(granted) = granted {
                    self.give_back(granted).await;
                }
                Err(error)
            }
        }
    }

    async fn win(
        &self,
        candidate: &Candidate,
        seen: &watch::Sender<Outlook>,
        granted: &mut Option<Granted>,
    ) -> Result<Won, Error> {
        let mut outage_told = false;
        loop {
            match self.stand(candidate, seen, granted).await {
                Ok(Some(won)) => {
                    seen.send_modify(|known| known.trouble = None);
                    return Ok(won);
                }
                Ok(None) => {
                    outage_told = false;
                    seen.send_if_modified(|known| known.trouble.take().is_some());
                }
                Err(error) if error.is_retryable() => {
                    let text = error_chain::Chain(&error).to_string();
                    let trouble = error.notice().unwrap_or_else(|| text.into());
                    seen.send_modify(|known| known.trouble = Some(trouble));
                    if !outage_told {
                        tracing::warn!(error = %error_chain::Chain(&error), "cannot campaign yet");
                    }
                    outage_told = true;
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Tries once; `None` while another leads.
    async fn stand(
        &self,
        candidate: &Candidate,
        seen: &watch::Sender<Outlook>,
        granted: &mut Option<Granted>,
    ) -> Result<Option<Won>, Error> {
        let leader = self.leader_key().await?;
        tell(seen, leader.as_ref().map(super::read::leader));
        if let Some(leader) = leader {
            // Ours if an earlier try won and its answer was lost: give it up, which is simpler than adopting it.
            if let Some(own) = granted.take_if(|own| own.id == leader.lease()) {
                self.give_back(own).await;
            }
            return Ok(None);
        }
        if let Some(old) = granted.take() {
            self.give_back(old).await;
        }
        let lease = self.grant().await?;
        *granted = Some(lease);
        let won = self.create_leader_key(candidate, lease).await?;
        if won.is_none() {
            *granted = None;
            self.give_back(lease).await;
        }
        Ok(won)
    }

    async fn grant(&self) -> Result<Granted, Error> {
        let asked_at = clock::boot_nanos();
        let seconds = i64::try_from(self.lease_ttl.as_secs().max(1)).unwrap_or(i64::MAX);
        let leases = self.link.leases();
        let grant = || {
            let mut leases = leases.clone();
            async move { leases.grant(seconds, None).await }
        };
        let answer = self.link.call("grant a lease", grant).await?;
        Ok(Granted { id: answer.id(), asked_at })
    }

    async fn create_leader_key(&self, candidate: &Candidate, granted: Granted) -> Result<Option<Won>, Error> {
        let leader = self.layout.leader();
        let put = TxnOp::put(leader, candidate.value(), Some(PutOptions::new().with_lease(granted.id)));
        let last = TxnOp::get(self.layout.txn(), Some(GetOptions::new().with_keys_only()));
        let base = TxnOp::get(self.layout.base(), None);
        let txn = Txn::new()
            .when(vec![Compare::create_revision(leader, CompareOp::Equal, 0)])
            .and_then(vec![put, last, base]);
        let answer = self.link.transact("create the leader key", &txn).await?;
        if !answer.succeeded() {
            return Ok(None);
        }
        let created = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let answers = answer.op_responses();
        let mut found = answers.iter().filter_map(|op| match op {
            TxnOpResponse::Get(got) => Some(got.kvs().first()),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        });
        let last_commit = found.next().flatten().map_or(0, etcd_client::KeyValue::mod_revision);
        let base = super::read::base(found.next().flatten())?;
        let epoch = Epoch(super::read::revision(created).0 + base);
        Ok(Some(Won { granted, epoch, created, last_commit }))
    }

    async fn take_office(&self, won: &Won) -> (Lease, Keeper) {
        // Waits for a commit of an older epoch that is still being settled; it can only find itself fenced.
        let mut chain = self.chain.lock().await;
        let (epoch, created) = (won.epoch, won.created);
        *chain = Chain { epoch, created, last: won.last_commit, ..Chain::default() };
        let since = super::read::revision(created);
        let lease = self.term.begin(epoch, since, valid_until(won.granted.asked_at, self.lease_ttl));
        tracing::info!(epoch = won.epoch.0, "leading");
        let keeper = LeaseKeeper::new(self.clone(), won.granted.id, lease.clone());
        (lease, Keeper::etcd(keeper))
    }

    /// Revokes a lease that is not needed; on failure it runs out by itself.
    async fn give_back(&self, granted: Granted) {
        self.revoke(granted.id).await;
    }

    pub(super) async fn revoke(&self, lease: i64) {
        let leases = self.link.leases();
        let revoke = || {
            let mut leases = leases.clone();
            async move { leases.revoke(lease).await }
        };
        if let Err(error) = self.link.call_within(REVOKE_TIMEOUT, "revoke a lease", revoke).await {
            tracing::debug!(error = %error_chain::Chain(&error), "lease left to run out");
        }
    }
}

/// Passes on who leads, if that is news.
fn tell(seen: &watch::Sender<Outlook>, leader: Option<Leader>) {
    seen.send_if_modified(|known| {
        let news = known.leader != leader;
        known.leader = leader;
        news
    });
}
