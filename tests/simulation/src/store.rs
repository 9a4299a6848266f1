//! The store of the world: the model's state with leases, and everything a real one does beside the rules.

use std::time::Duration;

use dockmgr_core::cluster::{AttemptEntry, CHUNK_TASKS, Record};
use dockmgr_core::ids::{AttemptId, Epoch, JobId};
use dockmgr_core::mutants::{self, Mutant};
use dockmgr_core::spec::OnLost;
use dockmgr_model::store::Commit;

use crate::clock::Instant;
use crate::records::{Records, Value, Write};

/// Time to live of the leader's lease.
pub(crate) const LEASE: Duration = Duration::from_secs(8);

/// What a coordinator asks the store.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// To lead.
    Campaign,
    /// To lead for longer.
    KeepAlive(Epoch),
    /// To lead no more.
    Resign(Epoch),
    /// Everything it holds.
    Load,
    /// To write.
    Commit(Epoch, Vec<Write>),
}

/// What the store says.
#[derive(Debug)]
pub(crate) enum Say {
    /// Whether the caller leads now.
    Elected(Option<Epoch>),
    /// Whether it still leads.
    Kept(bool),
    /// All records, and the revision up to which they are.
    Loaded(Box<Records>),
    /// The commit was applied.
    Committed,
    /// Somebody else leads.
    Fenced,
    /// There is no room; nothing was written.
    Full,
}

/// The state and who may write it.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) state: Records,
    /// What a loss of power leaves, where something was not made durable; only a planted bug has that.
    pub(crate) durable: Option<(Instant, Records)>,
    /// An older state, for reads that are stale.
    pub(crate) old: Option<Box<Records>>,
    /// Revision at which each epoch began to lead.
    pub(crate) begun: u64,
    pub(crate) leader: Option<usize>,
    pub(crate) expires: Instant,
    pub(crate) full: bool,
    /// Highest epoch that has written.
    pub(crate) written_by: Epoch,
}

/// What a commit did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) say: Say,
    /// The records that were written, with their new values and what was there before.
    pub(crate) changes: Vec<(Record, Option<Value>, Option<Value>)>,
}

impl Store {
    /// Makes a coordinator the leader if nobody is.
    pub(crate) fn campaign(&mut self, who: usize, now: Instant, alone: bool) -> Option<Epoch> {
        self.expire(now);
        if self.state.leading().is_some() && !alone {
            return None;
        }
        let epoch = self.state.campaign();
        self.leader = Some(who);
        self.expires = if alone { Instant(u64::MAX) } else { now.after(LEASE) };
        self.begun = self.state.revision();
        Some(epoch)
    }

    /// Ends a lease that was not renewed.
    pub(crate) fn expire(&mut self, now: Instant) {
        if let Some(epoch) = self.state.leading().filter(|_| now >= self.expires) {
            self.state.resign(epoch);
            self.leader = None;
        }
    }

    pub(crate) fn keep(&mut self, epoch: Epoch, now: Instant) -> bool {
        self.expire(now);
        let leads = self.state.leading() == Some(epoch);
        if leads && self.expires != Instant(u64::MAX) {
            self.expires = self.expires.max(now.after(LEASE));
        }
        leads
    }

    /// The power of the store goes and comes back: what was not made durable is lost.
    pub(crate) fn lose_power(&mut self) {
        if let Some((_, durable)) = self.durable.take() {
            self.state = durable;
        }
    }

    /// What the job's spec says about losing its worker.
    pub(crate) fn policy_of(&self, job: JobId) -> Option<OnLost> {
        match self.state.get(&Record::Job(job)) {
            Some((_, Value::Job(job))) => Some(job.spec.on_lost),
            _ => None,
        }
    }

    /// The stored end of an attempt; `None` if it has none, is not kept or its job is gone.
    pub(crate) fn attempt(&self, attempt: AttemptId) -> Option<&AttemptEntry> {
        let (_, Value::Job(job)) = self.state.get(&Record::Job(attempt.job()))? else { return None };
        let position = job.indices.position_of(attempt.task.index)?;
        let chunk = Record::Chunk(attempt.job(), position / CHUNK_TASKS);
        let (_, Value::Chunk(tasks)) = self.state.get(&chunk)? else { return None };
        let task = tasks.iter().find(|task| task.position == position)?;
        task.attempts.iter().find(|entry| entry.number == attempt.number)
    }

    pub(crate) fn commit(&mut self, epoch: Epoch, writes: Vec<Write>, now: Instant) -> Outcome {
        self.expire(now);
        if self.full {
            return Outcome { say: Say::Full, changes: Vec::new() };
        }
        let unguarded = mutants::active(Mutant::UnguardedWrite);
        let epoch = if unguarded { self.state.leading().unwrap_or(epoch) } else { epoch };
        let before: Vec<_> =
            writes.iter().map(|(key, _)| self.state.get(key).map(|(_, old)| old.clone())).collect();
        if mutants::active(Mutant::FsyncSkipped)
            && self.durable.as_ref().is_none_or(|(at, _)| now.since(*at) > Duration::from_secs(4))
        {
            self.durable = Some((now, self.state.clone()));
        }
        let commit = Commit { epoch, preconditions: Vec::new(), writes: writes.clone() };
        if self.state.commit(commit).is_err() {
            return Outcome { say: Say::Fenced, changes: Vec::new() };
        }
        let changes = writes.into_iter().zip(before).map(|((key, new), old)| (key, new, old)).collect();
        Outcome { say: Say::Committed, changes }
    }
}
