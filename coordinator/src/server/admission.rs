//! Who may have a connection: how many in all, how many from one address, and who has to go when there are too many.
//!
//! ```text
//! new --first call--> known --was let in--> trusted (keeps its place)
//!   \--nothing for FIRST_CALL, or its place is needed--> cut
//!                        \--its place is needed--> cut
//! ```
//!
//! Owns the counts and the choice; reading, writing and closing are `connection`'s. Loopback and other coordinators are
//! counted in all but not by address: what comes from there comes for many.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;

use crate::config::Allowed;

/// Takes connections in. Clones share the counts.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    allowed: Allowed,
    counts: Arc<Mutex<Counts>>,
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// All places are taken by callers that was let in.
    Full,
    /// All places of its address are.
    Address,
}

#[derive(Debug, Default)]
struct Counts {
    next: u64,
    total: usize,
    per_address: BTreeMap<IpAddr, usize>,
    /// Connections that may be cut for a new one, oldest first.
    replaceable: BTreeMap<u64, Arc<Shared>>,
}

/// One admitted connection as the rest of the server sees it: goes with every request. Clones name the same one.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    shared: Arc<Shared>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug)]
struct Shared {
    number: u64,
    /// Whose count it is in; none for loopback.
    address: Mutex<Option<IpAddr>>,
    called: AtomicBool,
    trusted: AtomicBool,
    cut: AtomicBool,
    reader: AtomicWaker,
}

/// The place of a connection; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Place(Peer);

impl Admission {
    pub(super) fn new(allowed: Allowed) -> Self {
        Self { allowed, counts: Arc::default() }
    }

    /// Gives a connection a place, if need be that of the oldest one that has not was let in.
    pub(super) fn admit(&self, address: IpAddr) -> Result<Place, Refused> {
        let counted = (!address.to_canonical().is_loopback()).then(|| address.to_canonical());
        let mut counts = lock(&self.counts);
        if let Some(address) = counted
            && counts.per_address.get(&address).is_some_and(|&count| count >= self.allowed.per_address)
            && !counts.cut_oldest(|peer| *lock(&peer.address) == Some(address))
        {
            return Err(Refused::Address);
        }
        if counts.total >= self.allowed.total && !counts.cut_oldest(|_| true) {
            return Err(Refused::Full);
        }
        let shared = Arc::new(Shared {
            number: counts.next,
            address: Mutex::new(counted),
            called: AtomicBool::new(false),
            trusted: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        });
        counts.next += 1;
        counts.total += 1;
        if let Some(address) = counted {
            *counts.per_address.entry(address).or_default() += 1;
        }
        counts.replaceable.insert(shared.number, Arc::clone(&shared));
        Ok(Place(Peer { shared, counts: Arc::clone(&self.counts) }))
    }

    /// Cuts one connection that has not was let in, so that its file can be used for another; false if there is none.
    pub(super) fn make_room(&self) -> bool {
        lock(&self.counts).cut_oldest(|_| true)
    }

    /// Connections there are.
    #[cfg(test)]
    pub(super) fn total(&self) -> usize {
        lock(&self.counts).total
    }
}

impl Counts {
    fn cut_oldest(&mut self, fits: impl Fn(&Shared) -> bool) -> bool {
        let Some(number) = self.replaceable.values().find(|peer| fits(peer)).map(|peer| peer.number) else {
            return false;
        };
        let Some(peer) = self.replaceable.remove(&number) else { return false };
        self.leave(&peer);
        peer.cut.store(true, Ordering::Release);
        peer.reader.wake();
        true
    }

    fn leave(&mut self, peer: &Shared) {
        self.total -= 1;
        self.leave_address(peer);
    }

    fn leave_address(&mut self, peer: &Shared) {
        let Some(address) = lock(&peer.address).take() else { return };
        if let Some(count) = self.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
    }
}

impl Peer {
    /// Tells that it has made a well-formed call: it is not silent.
    pub(super) fn called(&self) {
        self.shared.called.store(true, Ordering::Relaxed);
    }

    /// Tells that a call of it was let in: it keeps its place. `for_others` says that it is a coordinator that
    /// passes on the calls of many, which count by its address no longer.
    pub(super) fn trust(&self, for_others: bool) {
        if !self.shared.trusted.swap(true, Ordering::Relaxed) {
            let mut counts = lock(&self.counts);
            counts.replaceable.remove(&self.shared.number);
            if for_others && !self.shared.cut.load(Ordering::Acquire) {
                counts.leave_address(&self.shared);
            }
        }
    }

    pub(super) fn has_called(&self) -> bool {
        self.shared.called.load(Ordering::Relaxed)
    }

    /// Whether it is to be cut; if not, the task of `context` is woken when that changes.
    pub(super) fn is_cut(&self, context: &Context<'_>) -> bool {
        if !self.shared.trusted.load(Ordering::Relaxed) {
            self.shared.reader.register(context.waker());
        }
        self.shared.cut.load(Ordering::Acquire)
    }
}

impl Place {
    /// Who has it.
    pub(super) fn peer(&self) -> Peer {
        self.0.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.0.counts);
        counts.replaceable.remove(&self.0.shared.number);
        // The place of one that was cut has been given away.
        if !self.0.shared.cut.load(Ordering::Acquire) {
            counts.leave(&self.0.shared);
        }
    }
}

/// The counts are whole after every statement that can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
