//! The newest report of every attempt, until the coordinator has made its end durable.
//!
//! Owns numbering and keeping; the session sends. A report replaces the older one of its attempt, so the outbox is
//! bounded by the number of attempts and a slow coordinator costs no memory. Nothing is lost by that: the end says
//! everything the earlier reports said.
//!
//! Report numbers grow over restarts: the upper half is the number of this start of the worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::cluster::{Progress, Report};
use dockmgr_core::ids::AttemptId;
use tokio::sync::Notify;

/// Newest reports; clones share them.
#[derive(Debug, Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    first: u64,
    reports: Mutex<BTreeMap<AttemptId, Report>>,
    changed: Notify,
}

impl Outbox {
    /// An empty outbox for the given start of the worker, counted from 1.
    pub fn new(starts: u32) -> Self {
        let first = u64::from(starts) << 32;
        Self { inner: Arc::new(Inner { first, reports: Mutex::default(), changed: Notify::new() }) }
    }

    /// Takes news of an attempt in place of older news.
    pub fn put(&self, attempt: AttemptId, progress: Progress) {
        let mut reports = self.reports();
        let sequence = reports.get(&attempt).map_or(self.inner.first + 1, |older| older.sequence + 1);
        reports.insert(attempt, Report { attempt, sequence, progress });
        drop(reports);
        self.inner.changed.notify_one();
    }

    /// Drops an attempt nothing is left of.
    pub fn remove(&self, attempt: AttemptId) {
        self.reports().remove(&attempt);
    }

    /// Whether the report of that number told the end of its attempt.
    pub fn is_end(&self, attempt: AttemptId, sequence: u64) -> bool {
        self.reports().get(&attempt).is_some_and(|report| {
            report.sequence <= sequence && matches!(report.progress, Progress::Ended(_))
        })
    }

    /// The newest report of every attempt.
    pub fn all(&self) -> Vec<Report> {
        self.reports().values().cloned().collect()
    }

    /// Reports newer than what `sent` says, at most `most`; notes them there.
    pub fn newer_than(&self, sent: &mut BTreeMap<AttemptId, u64>, most: usize) -> Vec<Report> {
        let reports = self.reports();
        sent.retain(|attempt, _| reports.contains_key(attempt));
        let newer = reports.values().filter(|report| sent.get(&report.attempt) != Some(&report.sequence));
        let newer: Vec<Report> = newer.take(most).cloned().collect();
        sent.extend(newer.iter().map(|report| (report.attempt, report.sequence)));
        newer
    }

    /// Waits for news; one waiter at a time. Cancel safe.
    pub async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    fn reports(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Report>> {
        // The map is whole after every statement, so a panic elsewhere cannot have broken it.
        self.inner.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(job: u64) -> AttemptId {
        AttemptId::from_parts(job, 0, 1).expect("numbers from 1")
    }

    #[test]
    fn numbers_grow_over_restarts_and_only_news_is_sent() {
        let outbox = Outbox::new(2);
        outbox.put(attempt(1), Progress::Accepted);
        let mut sent = BTreeMap::new();
        let first = outbox.newer_than(&mut sent, 10);
        assert_eq!(first.len(), 1);
        assert!(outbox.newer_than(&mut sent, 10).is_empty(), "nothing new");
        outbox.put(attempt(1), Progress::Stopping { stuck: false });
        let second = outbox.newer_than(&mut sent, 10);
        assert!(second[0].sequence > first[0].sequence);
        let restarted = Outbox::new(3);
        restarted.put(attempt(1), Progress::Accepted);
        assert!(restarted.all()[0].sequence > second[0].sequence);
    }

    #[test]
    fn many_changes_of_one_attempt_take_one_place() {
        let outbox = Outbox::new(1);
        for _ in 0..1000 {
            outbox.put(attempt(1), Progress::Accepted);
        }
        assert_eq!(outbox.all().len(), 1);
        outbox.remove(attempt(1));
        assert!(outbox.all().is_empty());
    }
}
