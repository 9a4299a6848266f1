//! Who leads, as this coordinator sees it.
//!
//! Joins two sources: the controller here (does it lead and has it loaded everything?) and the election (whom does the
//! leader key name?). The first counts for more.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dockmgr_core::ids::Epoch;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::controller::Handle;
use crate::store::{Leader, Outlook};

/// How long the streams through this coordinator go on after their leader lost its office: it ends them itself with its own
/// word, and an answer may be on its way.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where a call is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// This coordinator leads.
    Here,
    /// Another does.
    There(Leader),
    /// Nobody is known to lead.
    Nowhere,
}

/// Follows who leads; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Leading {
    handle: Handle,
    seen: watch::Receiver<Outlook>,
    own_address: Arc<OnceLock<String>>,
    stop: CancellationToken,
}

impl Leading {
    /// Follows the controller behind `handle` and what the election has `seen`, until `stop`: then nobody is waited for.
    pub(crate) fn new(handle: Handle, seen: watch::Receiver<Outlook>, stop: CancellationToken) -> Self {
        Self { handle, seen, own_address: Arc::default(), stop }
    }

    /// Tells the address that this coordinator campaigns with, once that is known; later ones are ignored.
    pub(crate) fn set_own_address(&self, address: &str) {
        self.own_address.get_or_init(|| address.to_owned());
    }

    /// Where a call is to be answered now.
    pub(crate) fn place(&self) -> Place {
        if self.handle.leads_now().is_ok() {
            return Place::Here;
        }
        self.other(&self.seen.borrow()).map_or(Place::Nowhere, Place::There)
    }

    /// Waits until somebody is known to lead. Cancel safe.
    pub(crate) async fn known(&self) -> Place {
        let mut seen = self.seen.clone();
        tokio::select! {
            biased;
            // This coordinator leads and has loaded everything; an error means that it ends.
            led = self.handle.leads() => led.map_or(Place::Nowhere, |_| Place::Here),
            // Another leads; an error means that this coordinator ends.
            found = seen.wait_for(|seen| self.other(seen).is_some()) => match found {
                Ok(found) => self.other(&found).map_or(Place::Nowhere, Place::There),
                Err(_) => Place::Nowhere,
            },
            // This coordinator ends: its callers are better off elsewhere.
            () = self.stop.cancelled() => Place::Nowhere,
        }
    }

    /// Waits until somebody is known to lead although `known` says that nobody was, or the reverse; for ever once this
    /// coordinator ends. Cancel safe.
    pub(crate) async fn turned(&self, known: bool) {
        if !known {
            if self.known().await == Place::Nowhere {
                std::future::pending::<()>().await;
            }
            return;
        }
        let mut seen = self.seen.clone();
        while self.place() != Place::Nowhere {
            let own_term = async {
                match self.handle.leads_now() {
                    Ok(epoch) => self.handle.over(epoch).await,
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                // This coordinator leads no more.
                () = own_term => {}
                // The election tells something else; an error means that this coordinator ends.
                changed = seen.changed() => if changed.is_err() { return },
            }
        }
    }

    /// The leader's address, if it is known.
    pub(crate) fn address(&self) -> Option<String> {
        match self.place() {
            Place::Here => self.own_address.get().filter(|own| !own.is_empty()).cloned(),
            Place::There(leader) => leader.address,
            Place::Nowhere => None,
        }
    }

    /// Why this coordinator cannot stand for election, for people; `None` if it can or need not.
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        self.seen.borrow().trouble.clone()
    }

    /// The leader if it is another coordinator. A key that names this one is of a term that is over or has not begun.
    fn other(&self, seen: &Outlook) -> Option<Leader> {
        seen.leader
            .as_ref()
            .filter(|leader| leader.address.is_none() || leader.address.as_ref() != self.own_address.get())
            .cloned()
    }

    /// Waits until another epoch than `epoch`, or none, leads, or until this coordinator ends. Cancel safe.
    pub(crate) fn leads_no_more(&self, epoch: Epoch) -> impl Future<Output = ()> + Send + use<> {
        let (mut seen, stop) = (self.seen.clone(), self.stop.clone());
        async move {
            // An election that has ended is an end as well.
            let over = async {
                drop(
                    seen.wait_for(|seen| seen.leader.as_ref().is_none_or(|leader| leader.epoch != epoch))
                        .await,
                );
            };
            tokio::select! {
                // The leader's term is over.
                () = over => {}
                // This coordinator ends.
                () = stop.cancelled() => {}
            }
        }
    }

    /// Waits until another epoch than `epoch`, or none, has led for [`FAREWELL`], or until this coordinator has been ending
    /// for as long. Cancel safe.
    pub(crate) fn over(&self, epoch: Epoch) -> impl Future<Output = ()> + Send + use<> {
        let ended = self.leads_no_more(epoch);
        async move {
            ended.await;
            tokio::time::sleep(FAREWELL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_turns_any_more_once_the_coordinator_ends() {
        let (_publisher, handle) = crate::controller::handle();
        let (_seen, seen) = watch::channel(Outlook::default());
        let stop = CancellationToken::new();
        let leading = Leading::new(handle, seen, stop.clone());
        stop.cancel();
        assert_eq!(leading.known().await, Place::Nowhere, "callers are sent away at once");
        let turned = tokio::time::timeout(Duration::from_millis(100), leading.turned(false)).await;
        assert!(turned.is_err(), "who waits for a turn again and again would keep a thread busy");
    }
}
