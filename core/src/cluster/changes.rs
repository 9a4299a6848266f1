//! Which jobs changed at which revision: what a watch reads, and where it can go on.
//!
//! Owns a bounded window of one term of leadership. A watcher keeps its own place and reads from the window: a slow one lags,
//! or hears that its place is gone, and costs nothing. The shell adds what is durable, and only that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::JobId;

/// The place a watcher asked for is not kept any more: it must begin again with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the place {asked} is not kept any more: the oldest possible is {oldest}")]
pub struct Compacted {
    /// What was asked for.
    pub asked: u64,
    /// The smallest place that would do.
    pub oldest: u64,
}

/// Something a watcher of jobs hears, in order of revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobNews {
    /// The job is at this revision now.
    Changed(JobId),
    /// The job was forgotten.
    Deleted(JobId),
}

/// The newest change of every job that is kept, and the last jobs that were forgotten.
#[derive(Debug)]
pub struct Changes {
    /// Jobs of one step may share a revision.
    changed: BTreeSet<(u64, JobId)>,
    at: BTreeMap<JobId, u64>,
    deleted: VecDeque<(u64, JobId)>,
    /// Deletions up to here may be missing.
    deletions_from: u64,
    deletions_kept: usize,
}

impl Changes {
    /// A window that begins at `revision` with these jobs, and remembers so many deletions.
    pub fn new(revision: u64, jobs: impl Iterator<Item = (JobId, u64)>, deletions_kept: usize) -> Self {
        let at: BTreeMap<JobId, u64> = jobs.collect();
        let changed = at.iter().map(|(job, at)| (*at, *job)).collect();
        Self { changed, at, deleted: VecDeque::new(), deletions_from: revision, deletions_kept }
    }

    /// Adds what became durable, in order; gives the newest revision among it.
    pub fn publish(&mut self, changed: &[(JobId, u64)], deleted: &[(JobId, u64)]) -> Option<u64> {
        for &(job, revision) in changed {
            self.forget(job);
            self.changed.insert((revision, job));
            self.at.insert(job, revision);
        }
        for &(job, revision) in deleted {
            self.forget(job);
            self.deleted.push_back((revision, job));
            if self.deleted.len() > self.deletions_kept
                && let Some((dropped, _)) = self.deleted.pop_front()
            {
                self.deletions_from = dropped;
            }
        }
        changed.iter().chain(deleted).map(|(_, revision)| *revision).max()
    }

    /// What happened after `revision`, each piece with its revision: at most `limit` pieces, and those that share the
    /// last one's revision, because a revision is a place to go on from and must not be cut in two.
    pub fn after(&self, revision: u64, limit: usize) -> Result<Vec<(u64, JobNews)>, Compacted> {
        if revision < self.deletions_from {
            return Err(Compacted { asked: revision, oldest: self.deletions_from });
        }
        let Some(next) = revision.checked_add(1) else { return Ok(Vec::new()) };
        let changed = self.changed.range((next, JobId::FIRST)..);
        let from = self.deleted.partition_point(|(at, _)| *at <= revision);
        let deleted = self.deleted.range(from..).map(|(at, job)| (*at, JobNews::Deleted(*job)));
        let changed = whole_revisions(changed.map(|(at, job)| (*at, JobNews::Changed(*job))), limit);
        let deleted = whole_revisions(deleted, limit);
        let mut news = [changed, deleted].concat();
        news.sort_by_key(|(at, _)| *at);
        Ok(whole_revisions(news.into_iter(), limit))
    }

    /// The newest revision of every job that is kept.
    pub fn revisions(&self) -> &BTreeMap<JobId, u64> {
        &self.at
    }

    /// How much is kept: jobs and deletions.
    pub fn len(&self) -> usize {
        self.changed.len() + self.deleted.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn forget(&mut self, job: JobId) {
        if let Some(at) = self.at.remove(&job) {
            self.changed.remove(&(at, job));
        }
    }
}

fn whole_revisions(news: impl Iterator<Item = (u64, JobNews)>, limit: usize) -> Vec<(u64, JobNews)> {
    let mut taken: Vec<(u64, JobNews)> = Vec::new();
    for piece in news {
        if taken.len() >= limit && taken.last().is_some_and(|(at, _)| *at != piece.0) {
            break;
        }
        taken.push(piece);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u64) -> JobId {
        JobId::new(number).expect("not 0")
    }

    #[test]
    fn a_watcher_hears_each_job_once_at_its_newest_revision_in_order() {
        let mut changes = Changes::new(10, [(job(1), 9)].into_iter(), 100);
        changes.publish(&[(job(1), 11), (job(2), 12)], &[]);
        changes.publish(&[(job(1), 13)], &[(job(2), 14)]);
        assert_eq!(changes.publish(&[(job(3), 15), (job(4), 15)], &[]), Some(15));
        assert_eq!(changes.after(14, 1).expect("kept").len(), 2, "a revision is not cut in two");
        let news = changes.after(10, 2).expect("kept");
        assert_eq!(news, [(13, JobNews::Changed(job(1))), (14, JobNews::Deleted(job(2)))]);
        assert_eq!(changes.after(15, 100).expect("kept"), []);
        assert_eq!(changes.after(u64::MAX, 100).expect("kept"), []);
        assert_eq!((changes.len(), changes.is_empty()), (4, false));
    }

    #[test]
    fn a_place_before_the_window_is_refused_and_not_skipped() {
        let mut changes = Changes::new(10, std::iter::empty(), 3);
        assert_eq!(changes.after(9, 1), Err(Compacted { asked: 9, oldest: 10 }));
        for n in 1..=4 {
            changes.publish(&[], &[(job(n), 10 + n)]);
        }
        assert_eq!(changes.after(10, 1), Err(Compacted { asked: 10, oldest: 11 }));
        assert_eq!(changes.after(11, 1).expect("kept").len(), 1);
    }
}
