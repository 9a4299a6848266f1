//! What must hold, checked after every step, piece by piece: what changed is compared with what was and with the truth.
//!
//! The truth is what programs really did, which no part of dockmgr sees. A violation names the invariant and the guarantee
//! it stands for.

mod end;
mod history;
mod records;

pub(crate) use history::Act;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::cluster::{Cluster, Effects};
use dockmgr_core::ids::{AttemptId, Epoch, JobId, NodeId, TaskId};
use dockmgr_core::log::Stream;
use dockmgr_core::spec::OnLost;
use dockmgr_model::history::Operation;

use crate::clock::Instant;
use crate::output::{Finish, Kept, Streams, slot};
use crate::settings::Settings;
use crate::sometimes::Counts;

/// A recount of everything the cluster keeps costs what it holds, so it is done every so many steps.
const RECOUNT_EVERY: u64 = 8;

/// Something that must not happen.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) words: String,
    pub(crate) at: Instant,
}

impl Violation {
    /// The guarantee the invariant stands for, in words.
    pub(crate) fn guarantee(&self) -> &'static str {
        match self.invariant {
            "I1" => "G1: what was confirmed is durable",
            "I2" => "G1: one job for one idempotency key",
            "I3" => "G2: one container start for one attempt",
            "I4" => "G3: at most one running attempt of a task",
            "I5" => "G4: attempt numbers fence",
            "I6" => "G5: the first end stays",
            "I7" => "G5: the recorded exit is the true one",
            "I8" => "G5: succeeded means that it did",
            "I9" => "G4: no write and no command of an old leader counts",
            "I10" => "G9: what is used is what is placed",
            "I11" => "G7: stopped stays stopped",
            "I12" => "G6: the kept output is what was written",
            "I13" => "G6: no container goes before its output is kept",
            "I14" => "G8: what is current or foreign is not removed",
            "I15" => "G12: revisions grow",
            "I16" => "G9: queues are bounded",
            "I18" => "G5: counters are the recount of the records",
            "I19" => "G4: reconciling twice changes nothing",
            "I20" => "G2: the journal tells what memory knows",
            "V1" => "every job ends when all is well",
            "V2" => "G8: nothing is left behind",
            "V3" => "G6: every output has its end",
            "V4" => "G11: somebody leads when all is well",
            "V5" => "no loop without end",
            _ => "G12: reads show what was confirmed before them",
        }
    }
}

/// Why a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// By itself.
    Own,
    /// By a signal of its worker.
    Signal,
    /// By its guard.
    Guard,
    /// With its daemon.
    Daemon,
    /// With its host.
    Reboot,
    /// By somebody's hand.
    Hand,
}

/// The truth about an attempt.
#[derive(Debug, Default)]
struct Truth {
    requests: u32,
    runs: u32,
    host: usize,
    running: bool,
    ended: Option<(Option<u8>, Cause)>,
    /// Nobody wants its result.
    forgotten: bool,
    /// What it had written when its container was removed.
    output: Option<Streams>,
}

/// Everything that is watched.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) now: Instant,
    pub(crate) violation: Option<Violation>,
    pub(crate) sometimes: Counts,
    guards: bool,
    infra_retries: u32,
    truths: BTreeMap<AttemptId, Truth>,
    /// Attempts of a task that run now.
    running: BTreeMap<TaskId, BTreeSet<AttemptId>>,
    /// Until when a host's worker or daemon was not fit to end anything.
    unfit: BTreeMap<usize, Instant>,
    lost_after: Duration,
    /// Until when a daemon may carry out what it was asked long before.
    late: BTreeMap<usize, Instant>,
    /// Until when a machine stood still as a whole.
    still: BTreeMap<usize, Instant>,
    /// Hosts somebody asked to give up.
    declared: BTreeSet<usize>,
    drains: u32,
    jobs_by_key: BTreeMap<String, JobId>,
    confirmed: BTreeSet<JobId>,
    stops: BTreeSet<JobId>,
    deletes: BTreeSet<JobId>,
    facts: BTreeMap<JobId, history::Facts>,
    refused_late: bool,
    histories: BTreeMap<JobId, Vec<Operation<Act>>>,
    revision: BTreeMap<Epoch, u64>,
    obeyed: BTreeMap<usize, Epoch>,
    overlaps: BTreeSet<JobId>,
    overbooked: BTreeSet<NodeId>,
}

impl Oracle {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            guards: settings.guards,
            infra_retries: settings.config.infra_retries,
            lost_after: settings.config.lost_after,
            ..Self::default()
        }
    }

    pub(crate) fn violate(&mut self, invariant: &'static str, words: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, words, at: self.now });
        }
    }

    pub(crate) fn sometimes(&mut self, what: &'static str) {
        self.sometimes.note(what);
    }

    /// A start request reached a daemon (I3).
    pub(crate) fn start_requested(&mut self, attempt: AttemptId) {
        let truth = self.truths.entry(attempt).or_default();
        truth.requests += 1;
        if truth.requests > 1 {
            self.violate("I3", format!("a second start request was sent for {attempt}"));
        }
    }

    /// A program begins to run (I3, I4).
    pub(crate) fn program_begun(
        &mut self,
        attempt: AttemptId,
        host: usize,
        policy: Option<OnLost>,
        clocks_differ: bool,
    ) {
        let truth = self.truths.entry(attempt).or_default();
        truth.runs += 1;
        truth.host = host;
        truth.running = true;
        let runs = truth.runs;
        if runs > 1 {
            self.violate("I3", format!("the program of {attempt} ran a second time"));
        }
        let others = self.running.entry(attempt.task).or_default();
        let other = others.iter().next().copied();
        others.insert(attempt);
        self.sometimes("program ran");
        let Some(other) = other else { return };
        let on_declared = [attempt, other]
            .iter()
            .any(|id| self.truths.get(id).is_some_and(|truth| self.declared.contains(&truth.host)));
        // A worker that is dead ends nothing, and without a guard nobody does.
        let margin = self.lost_after * 2;
        let unfit = [attempt, other]
            .iter()
            .filter_map(|id| self.truths.get(id))
            .any(|truth| self.unfit.get(&truth.host).is_some_and(|until| until.after(margin) >= self.now));
        // A start that its daemon carries out a minute late begins beside the attempt that replaced it; the guard ends it.
        let late = [attempt, other].iter().filter_map(|id| self.truths.get(id)).any(|truth| {
            self.late.get(&truth.host).is_some_and(|until| until.after(self.lost_after) >= self.now)
        });
        // A machine that stood still as a whole fences too late.
        let still = [attempt, other]
            .iter()
            .filter_map(|id| self.truths.get(id))
            .any(|truth| self.still.get(&truth.host).is_some_and(|until| until.after(margin) >= self.now));
        let may_overlap = match policy {
            Some(OnLost::Wait) => on_declared,
            Some(OnLost::Retry | OnLost::Fail) | None => {
                on_declared || clocks_differ || late || still || (!self.guards && unfit)
            }
        };
        if may_overlap {
            self.sometimes("attempts overlapped, as allowed");
            self.overlaps.insert(attempt.job());
        } else {
            self.violate("I4", format!("{attempt} began to run while {other} still ran (policy {policy:?})"));
        }
    }

    /// A job of which attempts overlapped because its worker was given up, and which does not say so although both
    /// workers have been heard since.
    pub(crate) fn unflagged(&self, cluster: &Cluster) -> Option<JobId> {
        let unsaid = |id: &&JobId| cluster.job(**id).is_some_and(|job| !job.overlap_possible);
        self.overlaps.iter().find(unsaid).copied()
    }

    pub(crate) fn program_ended(&mut self, attempt: AttemptId, code: Option<u8>, cause: Cause) {
        if let Some(running) = self.running.get_mut(&attempt.task) {
            running.remove(&attempt);
        }
        let truth = self.truths.entry(attempt).or_default();
        truth.running = false;
        truth.ended = Some((code, cause));
        self.sometimes(match cause {
            Cause::Own => "program ended by itself",
            Cause::Signal => "program ended by its worker",
            Cause::Guard => "program ended by its guard",
            Cause::Daemon => "program ended with its daemon",
            Cause::Reboot => "program ended with its host",
            Cause::Hand => "program ended by hand",
        });
    }

    /// A container was removed (I13, I14).
    pub(crate) fn container_removed(
        &mut self,
        ran: Option<AttemptId>,
        foreign: bool,
        cause: Cause,
        output: &[(Stream, Bytes)],
        logs: &BTreeMap<AttemptId, Kept>,
        current: bool,
    ) {
        if foreign && cause != Cause::Hand {
            self.violate("I14", "a container that is not ours was removed".to_owned());
        }
        let Some(attempt) = ran else { return };
        let mut streams = Streams::default();
        for (stream, bytes) in output {
            streams[slot(*stream)].extend_from_slice(bytes);
        }
        let truth = self.truths.entry(attempt).or_default();
        truth.output = Some(streams);
        let forgotten = truth.forgotten;
        if cause == Cause::Hand || forgotten {
            return;
        }
        if current {
            self.violate("I14", format!("the container of {attempt}, which is current, was removed"));
        }
        if logs.get(&attempt).is_none_or(|kept| kept.end.is_none()) {
            self.violate(
                "I13",
                format!("the container of {attempt} was removed before the end of its output was durable"),
            );
        }
    }

    /// Whether the output of an attempt is safe.
    pub(crate) fn is_output_safe(attempt: Option<AttemptId>, logs: &BTreeMap<AttemptId, Kept>) -> bool {
        attempt.and_then(|attempt| logs.get(&attempt)).is_some_and(|kept| kept.end.is_some())
    }

    /// The leader said that nobody wants the result.
    pub(crate) fn forget_ordered(&mut self, attempt: AttemptId) {
        self.truths.entry(attempt).or_default().forgotten = true;
    }

    pub(crate) fn declared_lost(&mut self, host: usize) {
        self.declared.insert(host);
    }

    /// A host's worker or daemon ends nothing until then.
    pub(crate) fn unfit(&mut self, host: usize, until: Instant) {
        let last = self.unfit.entry(host).or_default();
        *last = until.max(*last);
    }

    /// A host's daemon may be late until then.
    pub(crate) fn is_late(&mut self, host: usize, until: Instant) {
        let last = self.late.entry(host).or_default();
        *last = until.max(*last);
    }

    /// A machine does nothing until then.
    pub(crate) fn stands_still(&mut self, host: usize, until: Instant) {
        let last = self.still.entry(host).or_default();
        *last = until.max(*last);
    }

    pub(crate) fn drained(&mut self) {
        self.drains += 1;
    }

    /// A worker obeys an epoch (I9).
    pub(crate) fn obeyed(&mut self, worker: usize, epoch: Epoch, remembered: Epoch) {
        let highest = self.obeyed.entry(worker).or_default();
        if epoch < *highest && epoch >= remembered {
            let words = format!("worker {worker} obeyed epoch {epoch} after epoch {highest}");
            self.violate("I9", words);
        } else {
            *highest = epoch.max(*highest);
        }
    }

    /// The real cluster took a step (I10, I15, I16, I18).
    pub(crate) fn stepped(&mut self, epoch: Epoch, cluster: &Cluster, effects: &Effects, steps: u64) {
        let last = self.revision.entry(epoch).or_insert(epoch.0 << 32);
        let before = std::mem::replace(last, cluster.revision());
        if cluster.revision() < before {
            self.violate("I15", format!("the revision went back from {before} to {}", cluster.revision()));
        }
        for id in &effects.changed {
            if let Some(job) = cluster.job(*id)
                && (job.revision <= before || job.revision > cluster.revision())
            {
                self.violate("I15", format!("job {id} changed at revision {}, seen before", job.revision));
            }
        }
        if effects.sends.len() > 4096 {
            self.violate("I16", format!("{} commands in one step", effects.sends.len()));
        }
        if steps.is_multiple_of(RECOUNT_EVERY) {
            self.recount(cluster);
        }
    }

    fn recount(&mut self, cluster: &Cluster) {
        if let Err(problem) = cluster.check_invariants() {
            let invariant = if problem.contains("holds") { "I10" } else { "I18" };
            self.violate(invariant, problem);
        }
        for node in cluster.nodes() {
            let host = &node.host;
            let known = host.capacity.cpu_millis > 0;
            if known && !host.used.fits(host.capacity) && !self.overbooked.contains(&node.id) {
                self.violate("I10", format!("node {} holds {} of {}", node.name, host.used, host.capacity));
            }
        }
    }

    /// A cluster was loaded (I1, I18).
    pub(crate) fn restored(&mut self, cluster: &Cluster) {
        // A group that was cut off may have stored a placement and not the end that made room for it; the worker tells
        // that end again.
        let over = cluster.nodes().filter(|node| !node.host.used.fits(node.host.capacity));
        self.overbooked = over.map(|node| node.id).collect();
        self.recount(cluster);
        let lost = self.confirmed.iter().find(|id| cluster.job(**id).is_none() && !self.deletes.contains(id));
        if let Some(lost) = lost.copied() {
            self.violate("I1", format!("job {lost} was confirmed and is gone"));
        }
    }

    /// Compares what is kept of the output with what was written (I12).
    pub(crate) fn check_output(&mut self, attempt: AttemptId, kept: &Kept, written: Option<Streams>) {
        let truth = self.truths.get(&attempt);
        let Some(written) = truth.and_then(|truth| truth.output.clone()).or(written) else { return };
        for (at, written) in written.iter().enumerate() {
            let whole = kept.end == Some(Finish::Complete);
            let same = if whole { kept.bytes[at] == *written } else { written.starts_with(&kept.bytes[at]) };
            if !same {
                let (has, of) = (kept.bytes[at].len(), written.len());
                self.violate(
                    "I12",
                    format!("stream {at} of {attempt}: {has} bytes kept of {of}, complete: {whole}"),
                );
            }
        }
    }

    /// Whether a program of the attempt ran.
    pub(crate) fn ran(&self, attempt: AttemptId) -> bool {
        self.truths.get(&attempt).is_some_and(|truth| truth.runs > 0)
    }

    /// Whether nobody wants its result.
    pub(crate) fn is_forgotten(&self, attempt: AttemptId) -> bool {
        self.truths.get(&attempt).is_some_and(|truth| truth.forgotten)
    }
}
