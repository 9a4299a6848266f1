//! The registry of attempts: commands find their driver here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockmgr_core::agent::{Stop, Wanted, is_fenced};
use dockmgr_core::cluster::{Start, StopCause};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::spec::Signal;
use tokio::sync::{mpsc, watch};

use super::Context;
use super::container::stop_signal;
use super::driver::Driver;
use super::inbox::Inbox;
use crate::journal::Entry;

/// Signals that wait for one driver; more than these at once are dropped.
const SIGNALS: usize = 16;

/// All attempts of this worker. Clones share them.
#[derive(Debug, Clone)]
pub struct Attempts {
    context: Arc<Context>,
    drivers: Arc<Mutex<BTreeMap<AttemptId, Handle>>>,
}

/// The way to one driver.
#[derive(Debug)]
struct Handle {
    inbox: watch::Sender<Inbox>,
    signals: mpsc::Sender<Signal>,
    /// Signal and grace of the spec, for stops that name none.
    defaults: (Signal, Duration),
    /// Whether it ends when contact with the leader is lost.
    fenced: bool,
}

impl Attempts {
    /// An empty registry.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, drivers: Arc::default() }
    }

    /// Goes on with what the journal knows. Call once, before any command.
    pub fn adopt(&self, entries: BTreeMap<AttemptId, Entry>) {
        for (attempt, entry) in entries {
            self.launch(attempt, entry, true);
        }
    }

    /// Takes an attempt in; nothing if it is known.
    pub fn start(&self, start: Box<Start>) {
        self.launch(start.attempt, Entry::new(start), false);
    }

    /// Ends an attempt; nothing if it is not known.
    pub fn stop(
        &self,
        attempt: AttemptId,
        cause: StopCause,
        signal: Option<Signal>,
        grace: Option<Duration>,
    ) {
        self.tell(attempt, |inbox, (default_signal, default_grace)| {
            let (signal, grace) = (signal.unwrap_or(default_signal), grace.unwrap_or(default_grace));
            inbox.wanted = inbox.wanted.joined(Wanted::Stop(Stop { cause, signal, grace }));
        });
    }

    /// Passes a signal on to the command; dropped if it does not run.
    pub fn signal(&self, attempt: AttemptId, signal: Signal) {
        if let Some(handle) = self.lock().get(&attempt)
            && handle.signals.try_send(signal).is_err()
        {
            tracing::warn!(%attempt, %signal, "signal dropped: too many wait");
        }
    }

    /// Notes that a report is durable at the coordinator.
    pub fn acknowledge(&self, attempt: AttemptId, sequence: u64) {
        if self.context.outbox.is_end(attempt, sequence) {
            self.tell(attempt, |inbox, _| inbox.result_acknowledged = true);
        }
    }

    /// Notes that the end of an attempt's output is durable at the coordinator, or not wanted there.
    pub fn log_end_durable(&self, attempt: AttemptId) {
        self.tell(attempt, |inbox, _| inbox.log_end_durable = true);
    }

    /// Ends the container of an attempt and forgets it: nobody wants its result.
    pub fn forget(&self, attempt: AttemptId) {
        self.tell(attempt, |inbox, _| inbox.wanted = Wanted::Forget);
    }

    /// Tells every attempt that may be replaced whether there is no contact with the leader. Repeats cost nothing.
    pub fn set_fenced(&self, lost: bool) {
        for handle in self.lock().values().filter(|handle| handle.fenced) {
            let turned =
                handle.inbox.send_if_modified(|inbox| std::mem::replace(&mut inbox.fenced, lost) != lost);
            if turned && lost {
                self.context.metrics.fenced.inc();
            }
        }
    }

    /// Tells every attempt that the leader was in touch: an order to forget it would have come first. Repeats cost nothing.
    pub fn confirm(&self) {
        for handle in self.lock().values() {
            handle.inbox.send_if_modified(|inbox| !std::mem::replace(&mut inbox.confirmed, true));
        }
    }

    /// The attempts that have a driver.
    pub fn known(&self) -> BTreeSet<AttemptId> {
        self.lock().keys().copied().collect()
    }

    /// What drivers share.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    fn launch(&self, attempt: AttemptId, entry: Entry, adopted: bool) {
        let mut drivers = self.lock();
        if drivers.contains_key(&attempt) {
            return;
        }
        let (inbox, inbox_seen) = watch::channel(Inbox::default());
        let (signals, signals_in) = mpsc::channel(SIGNALS);
        let defaults = (stop_signal(&entry.start), entry.start.spec.grace);
        let fenced = is_fenced(entry.start.spec.on_lost);
        drivers.insert(attempt, Handle { inbox, signals, defaults, fenced });
        drop(drivers);
        let mut driver =
            Driver::new(Arc::clone(&self.context), attempt, entry, adopted, inbox_seen, signals_in);
        if adopted {
            driver.look_back();
        }
        let drivers = Arc::clone(&self.drivers);
        self.context.tasks.spawn("attempt", async move {
            // Boxed: a driver holds every step's state, and there are many.
            if Box::pin(driver.run()).await {
                drivers.lock().unwrap_or_else(PoisonError::into_inner).remove(&attempt);
            }
        });
    }

    fn tell(&self, attempt: AttemptId, change: impl FnOnce(&mut Inbox, (Signal, Duration))) {
        if let Some(handle) = self.lock().get(&attempt) {
            let defaults = handle.defaults;
            handle.inbox.send_if_modified(|inbox| {
                let before = *inbox;
                change(inbox, defaults);
                *inbox != before
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Handle>> {
        // The map is whole after every statement, so a panic elsewhere cannot have broken it.
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
