//! What clients were told, and when.
//!
//! Two checks. At every answer: a job only ever moves on (it exists, has more attempts, is stopped, has ended, is gone), so
//! a read must show at least what every answer that came before the read began has told. And at the end, job by job: is
//! there one order of all that was asked and told that explains it (`dockmgr_model::history`)? Requests without an answer
//! may have happened late or never.

use dockmgr_core::cluster::Record;
use dockmgr_core::ids::JobId;
use dockmgr_core::outcome::EndReason;

use dockmgr_model::history::{Automaton, Operation, Verdict, check};

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

/// What is done to a job, with what was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// The job was made, or had been by the same key.
    Submit,
    /// It is to be stopped or killed.
    Stop,
    /// It is forgotten.
    Delete,
    /// It was looked at.
    Look(Option<Seen>),
}

/// A job as a whole. Attempts and its end come by themselves between the operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Whole {
    exists: bool,
    gone: bool,
    stop: bool,
    attempts: u32,
    outcome: Option<(EndReason, u8)>,
}

impl Automaton for Whole {
    type State = Self;
    type Act = Act;

    fn after(state: &Self, act: &Act) -> Option<Self> {
        let there = state.exists && !state.gone;
        match act {
            Act::Submit => Some(Self { exists: true, ..state.clone() }),
            Act::Stop => there.then(|| Self { stop: true, ..state.clone() }),
            Act::Delete => there.then(|| Self { gone: true, ..state.clone() }),
            Act::Look(None) => (!there).then(|| state.clone()),
            Act::Look(Some(seen)) => {
                let moves_on = seen.attempts >= state.attempts;
                let same_end = state.outcome.is_none() || seen.outcome == state.outcome;
                // A stop that came after the end is not kept.
                let stop =
                    if seen.outcome.is_none() { seen.stop == state.stop } else { state.stop || !seen.stop };
                let Seen { attempts, outcome, .. } = *seen;
                (there && moves_on && same_end && stop).then(|| Self { attempts, outcome, ..state.clone() })
            }
        }
    }
}

/// Operations of one job that are remembered: a search through more takes long and finds no more.
const MOST_OPERATIONS: usize = 300;

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

    /// A request that makes a job was refused, and may have made one at an earlier try.
    pub(crate) fn submission_refused(&mut self, tries: u32) {
        self.refused_late |= tries > 1;
    }

    /// A request about a job was answered: it happened; or it was refused, and may have happened at an earlier try.
    pub(crate) fn changed(&mut self, job: JobId, invoked: Instant, tries: u32, act: Act, happened: bool) {
        if happened || tries > 1 {
            let answered = happened.then_some(self.now);
            self.remember(job, invoked, answered, act);
        }
    }

    fn remember(&mut self, job: JobId, invoked: Instant, answered: Option<Instant>, act: Act) {
        let history = self.histories.entry(job).or_default();
        if history.len() < MOST_OPERATIONS || !matches!(act, Act::Look(_)) {
            history.push(Operation { invoked: invoked.0, answered: answered.map(|at| at.0), act });
        }
    }

    /// Whether every job's history is that of one job (H).
    pub(crate) fn check_histories(&mut self) {
        for (job, mut history) in std::mem::take(&mut self.histories) {
            // An earlier try may have made a job although the last one was refused: nobody was told its number.
            if self.refused_late && !history.iter().any(|operation| operation.act == Act::Submit) {
                history.push(Operation { invoked: 0, answered: None, act: Act::Submit });
            }
            match check::<Whole>(&Whole::default(), history.clone()) {
                Verdict::Linearizable => {}
                Verdict::Impossible(at) => {
                    history.sort_by_key(|operation| operation.invoked);
                    let near: Vec<_> = history.iter().skip(at.saturating_sub(2)).take(6).collect();
                    self.violate("H", format!("no order explains the history of job {job}, near {near:?}"));
                }
                Verdict::Undecided => self.sometimes("history too long to decide"),
            }
        }
    }

    /// A read that began at `invoked` shows this.
    pub(crate) fn seen(&mut self, job: JobId, invoked: Instant, seen: Option<&Seen>) {
        let now = self.now;
        let may_be_gone = self.deletes.contains(&job);
        self.remember(job, invoked, Some(now), Act::Look(seen.cloned()));
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
