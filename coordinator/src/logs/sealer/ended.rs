//! Which output has ended and waits to be sealed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dockmgr_core::ids::{AttemptId, JobId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Sealing;

/// Attempts that are remembered; for more the folders are looked through when these are done.
const REMEMBERED: usize = 64 * 1024;

/// The attempts that wait.
#[derive(Debug, Default)]
pub(in crate::logs) struct Ended {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// With the bytes of their plain files.
    attempts: BTreeMap<AttemptId, u64>,
    bytes: u64,
    since: Option<Instant>,
    /// Whether there is more than one batch held.
    at_once: bool,
    /// How many were taken out to be sealed now.
    taken: usize,
    /// From which job on all plain files are to be looked at.
    look_from: Option<JobId>,
}

impl Ended {
    /// Output of an attempt has ended and is durable.
    pub(in crate::logs) fn note(&self, attempt: AttemptId, bytes: u64) {
        let mut waiting = self.lock();
        if waiting.attempts.len() >= REMEMBERED {
            waiting.look_from.get_or_insert(JobId::FIRST);
            return;
        }
        waiting.add(attempt, bytes);
        drop(waiting);
        self.more.notify_one();
    }

    /// Whatever has plain files may have ended.
    pub(super) fn look_everywhere(&self) {
        self.lock().look_from = Some(JobId::FIRST);
        self.more.notify_one();
    }

    /// From which job on the folders are to be looked through, if there is nothing else left to do.
    pub(super) fn look_from(&self) -> Option<JobId> {
        let waiting = self.lock();
        waiting.look_from.filter(|_| waiting.attempts.len() < REMEMBERED)
    }

    /// The folders were looked through up to `next`, from which on they still are to be; with what was found.
    pub(super) fn looked(&self, found: Vec<(AttemptId, u64)>, next: Option<JobId>) {
        let mut waiting = self.lock();
        for (attempt, bytes) in found {
            waiting.add(attempt, bytes);
        }
        waiting.look_from = next;
    }

    /// How many more are remembered.
    pub(super) fn room(&self) -> usize {
        REMEMBERED.saturating_sub(self.lock().attempts.len())
    }

    /// Takes out attempts of about `most` bytes, neighbours together.
    pub(super) fn take(&self, most: u64, count: usize) -> Vec<AttemptId> {
        let mut waiting = self.lock();
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < most && taken.len() < count {
            let Some((attempt, of)) = waiting.attempts.pop_first() else { break };
            bytes += of;
            taken.push(attempt);
        }
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        waiting.at_once = false;
        waiting.taken = taken.len();
        if waiting.attempts.is_empty() {
            waiting.since = None;
        }
        taken
    }

    /// What was taken out is sealed, or was put back.
    pub(super) fn finish(&self) {
        self.lock().taken = 0;
    }

    /// How many wait, those included that are being sealed.
    pub(in crate::logs) fn count(&self) -> usize {
        let waiting = self.lock();
        waiting.attempts.len() + waiting.taken
    }

    /// Puts back what could not be sealed now.
    pub(super) fn put_back(&self, attempts: impl IntoIterator<Item = AttemptId>) {
        let mut waiting = self.lock();
        for attempt in attempts {
            waiting.add(attempt, 0);
        }
    }

    /// Puts back what one batch could not hold.
    pub(super) fn put_back_at_once(&self, attempts: impl IntoIterator<Item = AttemptId>) {
        let mut waiting = self.lock();
        for attempt in attempts {
            waiting.add(attempt, 0);
            waiting.at_once = true;
        }
    }

    /// Nothing is sealed here any more.
    pub(super) fn clear(&self) {
        *self.lock() = Waiting::default();
    }

    /// Waits until there is enough to do, or something long enough.
    pub(super) async fn due(&self, sealing: Sealing) {
        loop {
            let since = {
                let waiting = self.lock();
                if waiting.look_from.is_some() || waiting.at_once || waiting.bytes >= sealing.bytes {
                    return;
                }
                waiting.since
            };
            let late = async {
                match since {
                    Some(since) => tokio::time::sleep_until(since + sealing.after).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The oldest has waited long enough.
                () = late => return,
                // More has ended.
                () = self.more.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, attempt: AttemptId, bytes: u64) {
        if self.attempts.insert(attempt, bytes).is_none() {
            self.bytes += bytes;
            self.since.get_or_insert_with(Instant::now);
        }
    }
}
