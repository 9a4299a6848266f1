//! Losing a worker: silence, and after more of it giving up.
//!
//! ```text
//! heard --suspect_after--> silent: no new work, its attempts are unknown
//!            silent --lost_after--> lost: its `retry` and `fail` attempts end as lost, `wait` ones stay unknown
//!            silent or lost --Hello--> heard again; what was given up is superseded (see `late`)
//! ```
//! The mass-loss brake: while two or more of the nodes that were ready are silent, and these are more than half of them,
//! it is likelier that the leader is cut off than that all of them died, and nobody is given up by time. It is looked at
//! anew whenever a node falls silent, is heard again, registers, is forgotten or changes its readiness. When it is let
//! go, what is still silent has `suspect_after` more.

use crate::ids::{AttemptId, NodeId};
use crate::outcome::{EndReason, TaskState};
use crate::spec::OnLost;
use crate::time::BootTime;

use super::effect::{Note, NoteKind, Record};
use super::end::live_attempt;
use super::node::Node;
use super::nodes::infra_end;
use super::state::Cluster;
use super::task::Loss;
use super::timers::Timer;

/// How many of the nodes that were ready are silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) silent: usize,
    pub(super) of: usize,
}

impl Census {
    /// Whether so many are silent that nobody may be given up by time.
    fn is_mass_loss(self) -> bool {
        self.silent >= 2 && self.silent * 2 > self.of
    }
}

impl std::fmt::Display for Census {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} nodes are silent", self.silent, self.of)
    }
}

impl Cluster {
    /// Looks whether a node has been silent for too long to be given work.
    pub(super) fn check_silence(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.silent) else { return };
        let deadline = node.window_from + self.config.suspect_after;
        if self.now.boot < deadline {
            self.timers.set(deadline, Timer::Silence(id));
            return;
        }
        node.silent = true;
        let name = node.name.to_string();
        let attempts = node.attempts.clone();
        self.timers.set(node.window_from + self.config.lost_after, Timer::Loss(id));
        self.review_losses = true;
        self.refresh_node(id, false);
        self.note_node(NoteKind::NodeSilent, id, name);
        for attempt in attempts {
            self.set_attempt_state(attempt, TaskState::Unknown);
            self.out.notes.push(Note {
                kind: NoteKind::AttemptUnknown,
                job: Some(attempt.job()),
                attempt: Some(attempt),
                node: Some(id),
                message: "its worker is silent".to_owned(),
            });
        }
    }

    /// Holds or lets go the brake, then gives up every worker whose time is up.
    pub(super) fn give_up_overdue(&mut self) {
        let census = self.census();
        let brake = census.is_mass_loss().then_some(census);
        let held = std::mem::replace(&mut self.brake, brake).is_some();
        match (held, brake) {
            (false, Some(census)) => {
                self.note_mass_loss(format!("{census}: no worker is given up by time while they are"));
            }
            (true, None) => {
                self.brake_released = Some(self.now.boot);
                self.note_mass_loss(format!("{census}: workers are given up by time again"));
                self.rearm_losses();
            }
            (false, None) | (true, Some(_)) => {}
        }
        if self.brake.is_some() {
            return;
        }
        let is_due = |node: &&Node| self.loss_due(node).is_some_and(|due| due <= self.now.boot);
        let due: Vec<NodeId> = self.nodes.values().filter(is_due).map(|node| node.id).collect();
        for node in due {
            self.give_node_up(node);
        }
    }

    /// When a silent node is given up unless it is heard or the brake holds; `None` if it is not silent or was given up.
    pub(super) fn loss_due(&self, node: &Node) -> Option<BootTime> {
        let due = node.window_from + self.config.lost_after;
        let after_brake = self.brake_released.map(|released| released + self.config.suspect_after);
        (node.silent && !node.given_up).then(|| after_brake.map_or(due, |after| after.max(due)))
    }

    fn census(&self) -> Census {
        let counted = || self.nodes.values().filter(|node| node.was_ready());
        Census { silent: counted().filter(|node| node.silent).count(), of: counted().count() }
    }

    fn rearm_losses(&mut self) {
        for node in self.nodes.values() {
            if let Some(due) = self.loss_due(node) {
                self.timers.set(due, Timer::Loss(node.id));
            }
        }
    }

    /// Ends what may be replaced of a worker that was silent for too long.
    pub(super) fn give_node_up(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.given_up = true;
        if std::mem::take(&mut node.connected) {
            // It sends nothing, and if it wakes up, only a Hello can tell what it still runs.
            self.out.hang_ups.insert(id);
        }
        let name = node.name.to_string();
        let (attempts, silence) = (node.attempts.clone(), self.now.boot.since(node.window_from));
        let waits =
            |id: &AttemptId| self.jobs.get(&id.job()).is_some_and(|job| job.spec.on_lost == OnLost::Wait);
        let (waiting, lost): (Vec<_>, Vec<_>) = attempts.into_iter().partition(waits);
        let seconds = silence.as_secs();
        self.out.dirty.insert(Record::Node(id));
        self.note_node(
            NoteKind::NodeLost,
            id,
            format!(
                "{name} was not heard for {seconds} s: {} of its attempts end as lost, {} wait for it",
                lost.len(),
                waiting.len()
            ),
        );
        for attempt in lost {
            self.give_attempt_up(attempt, format!("worker {name} was not heard for {seconds} s"));
        }
    }

    /// Ends a live attempt as lost although its worker did not say so.
    pub(super) fn give_attempt_up(&mut self, id: AttemptId, message: String) {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return };
        let Some(entry) = job.tasks.get_mut(&position).and_then(|task| task.current_mut()) else { return };
        let (given_up, given_up_at) = (self.now.wall, Some(self.now.boot));
        entry.loss = Some(Box::new(Loss { given_up, given_up_at, late: None }));
        self.end_attempt(id, infra_end(EndReason::Lost, message));
    }

    fn note_mass_loss(&mut self, message: String) {
        let kind = NoteKind::MassLoss;
        self.out.notes.push(Note { kind, job: None, attempt: None, node: None, message });
    }
}
