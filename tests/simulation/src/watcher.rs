//! Watchers: they begin with all jobs, then ask what changed after the place they know, and begin anew when it is gone.
//!
//! What they must be shown is etcd's list: in order, each change once, nothing left out, resumable at any place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockmgr_core::cluster::{Changes, Cluster, JobNews};
use dockmgr_core::ids::JobId;

use crate::client::{Answer, ClientTimer, Seen};
use crate::clock::Instant;
use crate::random::Random;
use crate::settings::Settings;
use crate::world::{Asked, Event, World};

/// A question that is not answered in this time is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most pieces of one answer: few, so that places within a burst are resumed at.
const BATCH: usize = 2;

/// One watcher. Its number among the clients comes after theirs.
#[derive(Debug)]
pub(crate) struct Watcher {
    random: Random,
    number: u64,
    waits: bool,
    invoked: Instant,
    /// Everything up to here was shown; 0 before the first snapshot.
    at: u64,
    jobs: BTreeMap<JobId, Seen>,
    gone: BTreeSet<JobId>,
}

/// What a watcher is told.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// All jobs, and the place to go on from.
    Snapshot(u64, Vec<(JobId, Seen)>),
    /// What changed up to a place; `None` for a job that was forgotten.
    Changed(u64, Vec<(u64, JobId, Option<Seen>)>),
    /// The place is not kept any more.
    Compacted,
}

impl News {
    /// What a leader answers to somebody who was shown everything up to `at`.
    pub(crate) fn after(at: u64, cluster: &Cluster, changes: &Changes) -> Self {
        if at == 0 {
            let jobs = cluster.jobs_oldest_first(None).map(|job| (job.id, Seen::of(job)));
            return Self::Snapshot(cluster.revision(), jobs.collect());
        }
        let Ok(news) = changes.after(at, BATCH) else { return Self::Compacted };
        let last = news.last().map_or(at, |(revision, _)| *revision);
        let pieces = news.into_iter().filter_map(|(revision, piece)| match piece {
            JobNews::Changed(id) => Some((revision, id, Some(Seen::of(cluster.job(id)?)))),
            JobNews::Deleted(id) => Some((revision, id, None)),
        });
        Self::Changed(last, pieces.collect())
    }
}

impl Watcher {
    pub(crate) fn new(at: usize, settings: &Settings) -> Self {
        Self {
            random: Random::new(settings.seed, 3000 + at as u64),
            number: 0,
            waits: false,
            invoked: Instant::default(),
            at: 0,
            jobs: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Whether it was shown everything that is so.
    pub(crate) fn is_up_to_date(&self, cluster: &Cluster) -> bool {
        cluster.jobs_oldest_first(None).all(|job| self.jobs.get(&job.id) == Some(&Seen::of(job)))
            && self.jobs.keys().all(|id| cluster.job(*id).is_some())
    }
}

impl World {
    pub(crate) fn watcher_timer(&mut self, who: usize, timer: ClientTimer) {
        let watcher = &mut self.watchers[who];
        match timer {
            ClientTimer::Again(number) if !watcher.waits || watcher.number != number => return,
            ClientTimer::Again(_) | ClientTimer::Next => {}
        }
        watcher.number += 1;
        watcher.waits = true;
        watcher.invoked = self.now;
        let (number, at) = (watcher.number, watcher.at);
        let to = watcher.random.index(self.coordinators.len());
        let client = self.clients.len() + who;
        self.after(PATIENCE, Event::Client(client, ClientTimer::Again(number)));
        if self.net.lose_clients > 0 && self.chance.net.chance(300) {
            return;
        }
        let delay = self.delay();
        self.after(delay, Event::Request { client, number, to, request: Asked::Watch(at), hops: 0 });
    }

    pub(crate) fn watcher_hears(&mut self, who: usize, number: u64, answer: Answer) {
        let watcher = &mut self.watchers[who];
        if !watcher.waits || watcher.number != number {
            return;
        }
        watcher.waits = false;
        let wait = watcher.random.millis(200, 4000);
        let client = self.clients.len() + who;
        self.after(wait, Event::Client(client, ClientTimer::Next));
        match answer {
            Answer::News(News::Snapshot(at, jobs)) => self.shown_all(who, at, jobs),
            Answer::News(News::Changed(last, pieces)) => self.shown_changes(who, last, pieces),
            Answer::News(News::Compacted) => {
                self.oracle.sometimes("watch began anew");
                self.watchers[who].at = 0;
            }
            Answer::Done(_) | Answer::Seen(_) | Answer::NotDone | Answer::Unknown => {}
        }
    }

    fn shown_all(&mut self, who: usize, at: u64, jobs: Vec<(JobId, Seen)>) {
        let watcher = &mut self.watchers[who];
        let invoked = watcher.invoked;
        watcher.at = at.max(1);
        let shown: BTreeSet<JobId> = jobs.iter().map(|(job, _)| *job).collect();
        let missing: Vec<JobId> = watcher.jobs.keys().filter(|job| !shown.contains(job)).copied().collect();
        watcher.gone.extend(missing.iter().copied());
        for job in missing {
            self.watchers[who].jobs.remove(&job);
            self.oracle.seen(job, invoked, None);
        }
        for (job, seen) in jobs {
            self.shown(who, job, Some(seen));
        }
    }

    /// In order, each once, nothing before the place that is known (I15).
    fn shown_changes(&mut self, who: usize, last: u64, pieces: Vec<(u64, JobId, Option<Seen>)>) {
        let at = self.watchers[who].at;
        let mut before = at;
        let mut jobs = BTreeSet::new();
        for (revision, job, _) in &pieces {
            if *revision <= at || *revision < before || *revision > last || !jobs.insert(*job) {
                let words =
                    format!("a watcher at {at} was told of job {job} at revision {revision} after {before}");
                self.oracle.violate("I15", words);
            }
            before = *revision;
        }
        if !pieces.is_empty() {
            self.oracle.sometimes("watch resumed");
        }
        self.watchers[who].at = last;
        for (_, job, seen) in pieces {
            self.shown(who, job, seen);
        }
    }

    fn shown(&mut self, who: usize, job: JobId, seen: Option<Seen>) {
        let watcher = &mut self.watchers[who];
        let invoked = watcher.invoked;
        if seen.is_some() && watcher.gone.contains(&job) {
            self.oracle.violate("I15", format!("a watcher was told of job {job} after it was gone"));
        }
        self.oracle.seen(job, invoked, seen.as_ref());
        let watcher = &mut self.watchers[who];
        if let Some(seen) = seen {
            watcher.jobs.insert(job, seen);
        } else {
            watcher.jobs.remove(&job);
            watcher.gone.insert(job);
            self.oracle.sometimes("watcher told of a deletion");
        }
    }
}
