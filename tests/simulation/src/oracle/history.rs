//! What clients were told, and when: a later read must show it.
//!
//! A job only ever moves on (it exists, has more attempts, is stopped, has ended, is gone), so a history is linearizable if
//! each read shows at least what every answer that came before the read began has told. Jobs are independent of each
//! other and are checked one by one; requests without an answer prove nothing and forbid nothing.

use dockmgr_core::cluster::Record;
use dockmgr_core::ids::JobId;
use dockmgr_core::outcome::EndReason;

use super::Oracle;
use crate::client::Seen;
use crate::clock::Instant;
use crate::records::Value;
use crate::store::Store;

/// What was told about a job, with the time of each answer.
#[derive(Debug, Default)]
pub(super) struct Facts {
    stopped: Option<Instant>,
    ended: Option<(Instant, (EndReason, u8))>,
    deleted: Option<Instant>,
    attempts: Vec<(Instant, u32)>,
    exists: Option<Instant>,
}

impl Facts {
    /// Whether somebody was shown its end.
    pub(super) fn has_end(&self) -> bool {
        self.ended.is_some()
    }
}

impl Oracle {
    /// A submission was confirmed (I1, I2).
    pub(crate) fn submitted(&mut self, job: JobId, key: &str, store: &Store) {
        let known = *self.jobs_by_key.entry(key.to_owned()).or_insert(job);
        if known != job {
            self.violate("I2", format!("key {key} was answered with the jobs {known} and {job}"));
        }
        if store.state.get(&Record::Job(job)).is_none() && !self.deletes.contains(&job) {
            self.violate("I1", format!("job {job} was confirmed and is not stored"));
        }
        self.confirmed.insert(job);
        let now = self.now;
        self.facts.entry(job).or_default().exists.get_or_insert(now);
    }

    /// A stop or kill was confirmed (I11).
    pub(crate) fn stopped(&mut self, job: JobId, store: &Store) {
        if let Some((_, Value::Job(stored))) = store.state.get(&Record::Job(job))
            && stored.stop.is_none()
            && stored.ended.is_none()
        {
            self.violate("I11", format!("the stop of job {job} was confirmed and is not stored"));
        }
        self.stops.insert(job);
        let now = self.now;
        self.facts.entry(job).or_default().stopped.get_or_insert(now);
    }

    /// Somebody asks for a job to be forgotten.
    pub(crate) fn delete_invoked(&mut self, job: JobId) {
        self.deletes.insert(job);
    }

    /// That was confirmed.
    pub(crate) fn deleted(&mut self, job: JobId) {
        let now = self.now;
        self.facts.entry(job).or_default().deleted.get_or_insert(now);
    }

    /// A read that began at `invoked` shows this.
    pub(crate) fn seen(&mut self, job: JobId, invoked: Instant, seen: Option<&Seen>) {
        let now = self.now;
        let may_be_gone = self.deletes.contains(&job);
        let facts = self.facts.entry(job).or_default();
        let before = |at: Instant| at < invoked;
        let problem = match seen {
            None if facts.exists.is_some_and(before) && !may_be_gone => Some("it is not shown".to_owned()),
            None => None,
            Some(_) if facts.deleted.is_some_and(before) => Some("it had been deleted".to_owned()),
            Some(seen) => {
                let most =
                    facts.attempts.iter().filter(|(at, _)| before(*at)).map(|(_, n)| *n).max().unwrap_or(0);
                let ended = facts.ended.filter(|(at, _)| before(*at)).map(|(_, outcome)| outcome);
                if ended.is_some() && seen.outcome != ended {
                    Some(format!("its end was shown as {ended:?} and is {:?}", seen.outcome))
                } else if facts.stopped.is_some_and(before) && !seen.stop && seen.outcome.is_none() {
                    Some("its stop was confirmed and is not shown".to_owned())
                } else if seen.attempts < most {
                    Some(format!("{most} attempts were shown, now {}", seen.attempts))
                } else {
                    None
                }
            }
        };
        if let Some(seen) = seen {
            facts.exists.get_or_insert(now);
            facts.attempts.push((now, seen.attempts));
            if let Some(outcome) = seen.outcome {
                facts.ended.get_or_insert((now, outcome));
            }
        }
        if let Some(problem) = problem {
            self.violate("H", format!("a read of job {job}: {problem}"));
        }
    }
}
