//! What happened, for watchers: which jobs changed at which revision, and the event log.
//!
//! Owns two bounded windows behind one lock that is held for moments only, and a revision that wakes the watchers. A
//! watcher keeps its own cursor and reads from the window: a slow one lags or hears that its place is gone, and costs nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::cluster::{Changes, Note};
pub use dockmgr_core::cluster::{Compacted, JobNews};
use dockmgr_core::ids::JobId;
use dockmgr_core::time::WallTime;
use tokio::sync::watch;

/// Deletions that are remembered for watchers.
const DELETIONS_KEPT: usize = 10_000;
/// Lines of the event log that are kept.
const EVENTS_KEPT: usize = 10_000;

/// The feed of one term of leadership. Cheap to clone; its receivers hear when the term is over.
#[derive(Debug, Clone)]
pub struct Feed {
    windows: Arc<Mutex<Windows>>,
    revision: watch::Receiver<u64>,
    events: watch::Receiver<u64>,
}

/// Writes the feed. There is one; dropping it ends the term for all who watch.
#[derive(Debug)]
pub(super) struct FeedWriter {
    windows: Arc<Mutex<Windows>>,
    revision: watch::Sender<u64>,
    events: watch::Sender<u64>,
}

/// A line of the event log.
#[derive(Debug, Clone)]
pub struct LoggedNote {
    /// Its number, from 1.
    pub sequence: u64,
    /// When.
    pub time: WallTime,
    /// What.
    pub note: Note,
    /// Name of the node it is about.
    pub node_name: String,
}

#[derive(Debug)]
struct Windows {
    jobs: Changes,
    events: VecDeque<LoggedNote>,
    next_event: u64,
}

impl FeedWriter {
    /// A feed that begins at `revision` with these jobs.
    pub(super) fn new(revision: u64, jobs: impl Iterator<Item = (JobId, u64)>) -> Self {
        let jobs = Changes::new(revision, jobs, DELETIONS_KEPT);
        let windows = Windows { jobs, events: VecDeque::new(), next_event: 1 };
        let (revision, events) = (watch::Sender::new(revision), watch::Sender::new(0));
        Self { windows: Arc::new(Mutex::new(windows)), revision, events }
    }

    /// What watchers read.
    pub(super) fn feed(&self) -> Feed {
        Feed {
            windows: Arc::clone(&self.windows),
            revision: self.revision.subscribe(),
            events: self.events.subscribe(),
        }
    }

    /// Tells what is different from what was told: these are the jobs there are now, and their revisions. `revision` is the
    /// cluster's.
    pub(super) fn catch_up(&self, revision: u64, jobs: impl Iterator<Item = (JobId, u64)>) {
        let (mut changed, mut gone) = (Vec::new(), lock(&self.windows).jobs.revisions().clone());
        for (job, at) in jobs {
            if gone.remove(&job) != Some(at) {
                changed.push((job, at));
            }
        }
        let deleted: Vec<_> = gone.into_keys().map(|job| (job, revision)).collect();
        self.publish(&changed, &deleted);
    }

    /// Tells that jobs changed or were forgotten; wakes the watchers.
    pub(super) fn publish(&self, changed: &[(JobId, u64)], deleted: &[(JobId, u64)]) {
        let newest = lock(&self.windows).jobs.publish(changed, deleted);
        if let Some(newest) = newest {
            self.revision.send_if_modified(|revision| {
                let grows = newest > *revision;
                *revision = newest.max(*revision);
                grows
            });
        }
    }

    /// Adds lines to the event log; wakes its watchers.
    pub(super) fn log(&self, time: WallTime, notes: Vec<(Note, String)>) {
        if notes.is_empty() {
            return;
        }
        let newest = {
            let mut windows = lock(&self.windows);
            for (note, node_name) in notes {
                let sequence = windows.next_event;
                windows.next_event += 1;
                windows.events.push_back(LoggedNote { sequence, time, note, node_name });
                if windows.events.len() > EVENTS_KEPT {
                    windows.events.pop_front();
                }
            }
            windows.next_event - 1
        };
        self.events.send_replace(newest);
    }
}

impl Feed {
    /// What happened to jobs after `revision`, at most `limit` pieces, each with its revision.
    pub fn jobs_after(&self, revision: u64, limit: usize) -> Result<Vec<(u64, JobNews)>, Compacted> {
        lock(&self.windows).jobs.after(revision, limit)
    }

    /// Lines of the event log after number `sequence`, at most `limit`; 0 means from the oldest kept.
    pub fn events_after(&self, sequence: u64, limit: usize) -> Result<Vec<LoggedNote>, Compacted> {
        let windows = lock(&self.windows);
        let oldest = windows.events.front().map_or(windows.next_event, |event| event.sequence);
        if sequence != 0 && sequence.saturating_add(1) < oldest {
            return Err(Compacted { asked: sequence, oldest: oldest - 1 });
        }
        let from = windows.events.partition_point(|event| event.sequence <= sequence);
        Ok(windows.events.range(from..).take(limit).cloned().collect())
    }

    /// The number after which the newest `count` lines lie that `wants` picks.
    pub fn before_newest(&self, count: usize, wants: impl Fn(&LoggedNote) -> bool) -> u64 {
        let windows = lock(&self.windows);
        let picked = windows.events.iter().rev().filter(|event| wants(event)).take(count);
        picked.last().map_or(0, |event| event.sequence.saturating_sub(1))
    }

    /// Follows the newest revision.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.revision.clone()
    }

    /// Follows the number of the newest event.
    pub fn newest_event(&self) -> watch::Receiver<u64> {
        self.events.clone()
    }
}

/// The windows are whole after every statement, so a panic elsewhere cannot have broken them.
fn lock(windows: &Mutex<Windows>) -> MutexGuard<'_, Windows> {
    windows.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u64) -> JobId {
        JobId::new(number).expect("not 0")
    }

    #[test]
    fn a_watcher_hears_each_job_once_at_its_newest_revision_in_order() {
        let writer = FeedWriter::new(10, [(job(1), 9)].into_iter());
        let feed = writer.feed();
        writer.publish(&[(job(1), 11), (job(2), 12)], &[]);
        writer.publish(&[(job(1), 13)], &[(job(2), 14)]);
        writer.publish(&[(job(3), 15), (job(4), 15)], &[]);
        assert_eq!(feed.jobs_after(14, 1).expect("kept").len(), 2, "a revision is not cut in two");
        let news = feed.jobs_after(10, 2).expect("kept");
        assert_eq!(news, [(13, JobNews::Changed(job(1))), (14, JobNews::Deleted(job(2)))]);
        assert_eq!(feed.jobs_after(15, 100).expect("kept"), []);
        assert_eq!(*feed.revision().borrow(), 15);
    }

    #[test]
    fn a_place_before_the_window_is_refused_and_not_skipped() {
        let writer = FeedWriter::new(10, std::iter::empty());
        let feed = writer.feed();
        assert_eq!(feed.jobs_after(9, 1), Err(Compacted { asked: 9, oldest: 10 }));
        let deletions = u64::try_from(DELETIONS_KEPT).expect("small") + 1;
        for n in 1..=deletions {
            writer.publish(&[], &[(job(n), 10 + n)]);
        }
        assert_eq!(feed.jobs_after(10, 1), Err(Compacted { asked: 10, oldest: 11 }));
        assert_eq!(feed.jobs_after(11, 1).expect("kept").len(), 1);
    }

    #[test]
    fn after_a_reload_only_what_differs_is_told() {
        let writer = FeedWriter::new(10, [(job(1), 8), (job(2), 9), (job(3), 10)].into_iter());
        let feed = writer.feed();
        writer.catch_up(20, [(job(1), 8), (job(2), 12), (job(4), 13)].into_iter());
        let news = feed.jobs_after(10, 10).expect("kept");
        let told =
            [(12, JobNews::Changed(job(2))), (13, JobNews::Changed(job(4))), (20, JobNews::Deleted(job(3)))];
        assert_eq!(news, told);
    }

    #[tokio::test]
    async fn watchers_hear_the_end_of_the_term_although_others_hold_the_feed() {
        let writer = FeedWriter::new(10, std::iter::empty());
        let (feed, mut newest) = (writer.feed(), writer.feed().newest_event());
        drop(writer);
        assert!(newest.changed().await.is_err() && feed.revision().has_changed().is_err());
    }
}
