//! What all scans of one search share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Stream;
use dockmgr_core::search::{Finder, Needs, Query, Scan, Times};
use dockmgr_support::error_chain::Chain;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::found::Found;
use super::wanted::Wanted;
use crate::logs::{self, LogStore};

/// Most queries of one search that are kept ready: one or two, unless it asks for something else of each attempt.
const MOST_READY: usize = 8;

/// What the scans of one search share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: LogStore,
    pub(super) wanted: Arc<Wanted>,
    /// Threads for the scans of all searches.
    threads: Arc<Semaphore>,
    found: Mutex<Found>,
    pub(super) bytes: AtomicU64,
    attempts: AtomicU64,
    /// Attempts whose output could not be read.
    unreadable: AtomicU64,
    /// Nobody wants more.
    stopped: AtomicBool,
    /// What was made ready: most attempts leave the same to be asked of their lines.
    ready: Mutex<VecDeque<(Query, Arc<Asked>)>>,
}

/// What is asked of the lines of an attempt, made ready.
#[derive(Debug)]
pub(super) struct Asked {
    finders: [Arc<Finder>; 2],
    /// Tokens without which no line matches.
    pub(super) needs: Needs,
}

impl Shared {
    pub(super) fn new(store: LogStore, wanted: Arc<Wanted>, threads: Arc<Semaphore>) -> Self {
        Self {
            store,
            found: Mutex::new(Found::new(Arc::clone(&wanted))),
            wanted,
            threads,
            bytes: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            ready: Mutex::default(),
        }
    }

    pub(super) fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a thread; it is free again when what this gives is dropped. Cancel safe.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.threads).acquire_owned().await.ok()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// A query made ready.
    pub(super) fn asked(&self, query: &Query) -> Arc<Asked> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, asked)) = ready.iter().find(|(known, _)| known == query) {
            return Arc::clone(asked);
        }
        let finders = Stream::ALL.map(|stream| Arc::new(Finder::new(query, stream)));
        let asked = Arc::new(Asked { finders, needs: query.needs() });
        ready.truncate(MOST_READY - 1);
        ready.push_front((query.clone(), Arc::clone(&asked)));
        asked
    }

    /// Takes note of attempts that were looked through.
    pub(super) fn looked_at(&self, attempts: u64) {
        self.attempts.fetch_add(attempts, Ordering::Relaxed);
    }

    /// How many attempts were looked through.
    pub(super) fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// How many attempts could not be read.
    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Takes note of an attempt whose output could not be read. That of a job which was deleted meanwhile is none.
    pub(super) fn missed(&self, attempt: AttemptId, error: &logs::Error) {
        if !matches!(error, logs::Error::Deleted) {
            tracing::warn!(%attempt, error = %Chain(error), "output could not be searched");
            self.unreadable.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Asked {
    /// Begins to look through output.
    pub(super) fn scan(&self, times: Times) -> Scan {
        let [stdout, stderr] = self.finders.each_ref().map(Arc::clone);
        Scan::new(stdout, stderr, times)
    }
}
