//! Drains: no new work for a node, and after a deadline none at all.
//!
//! ```text
//! drain --> no new work, what runs goes on --deadline--> stop and grace of each spec --> its task is placed elsewhere
//!    \--resume--> takes work again (what was already being handed over still is)
//! ```
//! An attempt that ends by itself before its stop takes effect keeps its own end. One that was handed over ends as lost
//! and spends no retries; with `on_lost=fail` its task ends. A stop of a person is stronger than a hand-over.

use std::time::Duration;

use crate::ids::{AttemptId, NodeId};
use crate::outcome::TaskState;
use crate::time::BootTime;

use super::effect::{Command, NoteKind, Record, Reply, StopCause};
use super::end::live_attempt;
use super::node::Drain;
use super::refusal::Refusal;
use super::request::DONE;
use super::state::Cluster;
use super::timers::Timer;

/// How often the time that is left of a drain is stored, so that a change of leader adds no more than this to it.
const STORED_EVERY: Duration = Duration::from_secs(30);

impl Cluster {
    /// Gives a node no new work. What runs there goes on, until the deadline if there is one.
    pub(super) fn drain(&mut self, id: NodeId, deadline: Option<Duration>) -> Result<Reply, Refusal> {
        let node = self.nodes.get_mut(&id).ok_or(Refusal::UnknownNode(id))?;
        let drain = Drain { due: deadline.map(|deadline| self.now.boot + deadline), left: deadline };
        if node.drain == Some(drain) {
            return DONE;
        }
        node.drain = Some(drain);
        let name = node.name.to_string();
        let text = deadline.map_or_else(
            || name.clone(),
            |deadline| format!("{name}: what still runs after {} s is handed over", deadline.as_secs()),
        );
        self.out.dirty.insert(Record::Node(id));
        self.review_losses = true;
        self.refresh_node(id, false);
        self.note_node(NoteKind::NodeDrained, id, text);
        match drain.due {
            Some(due) if due <= self.now.boot => self.hand_over(id),
            Some(due) => self.arm_drain(id, due),
            None => {}
        }
        DONE
    }

    /// Gives a node work again.
    pub(super) fn resume(&mut self, id: NodeId) -> Result<Reply, Refusal> {
        let node = self.nodes.get_mut(&id).ok_or(Refusal::UnknownNode(id))?;
        if node.drain.take().is_none() {
            return DONE;
        }
        let name = node.name.to_string();
        self.out.dirty.insert(Record::Node(id));
        self.review_losses = true;
        self.refresh_node(id, true);
        self.note_node(NoteKind::NodeResumed, id, name);
        DONE
    }

    /// Looks at a drain: stores what is left of its time, or hands over.
    pub(super) fn check_drain(&mut self, id: NodeId, due: BootTime) {
        let now = self.now.boot;
        let Some(drain) = self.nodes.get_mut(&id).and_then(|node| node.drain.as_mut()) else { return };
        if drain.due != Some(due) {
            return;
        }
        drain.left = Some(due.since(now));
        self.out.dirty.insert(Record::Node(id));
        if now < due {
            self.arm_drain(id, due);
        } else {
            self.hand_over(id);
        }
    }

    pub(super) fn arm_drain(&mut self, id: NodeId, due: BootTime) {
        self.timers.set(due.min(self.now.boot + STORED_EVERY), Timer::Drain(id, due));
    }

    /// Hands over everything on a node.
    fn hand_over(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        let attempts = node.attempts.clone();
        let text = format!("{}: {} attempts are handed over", node.name, attempts.len());
        self.note_node(NoteKind::NodeHandedOver, id, text);
        for attempt in attempts {
            self.hand_attempt_over(attempt);
        }
    }

    /// Stops a live attempt so that its task can go on elsewhere. One that is stopped for good stays as it is.
    pub(super) fn hand_attempt_over(&mut self, id: AttemptId) {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return };
        if job.stop_of(position).is_some() {
            return;
        }
        let Some(entry) = job.tasks.get_mut(&position).and_then(|task| task.current_mut()) else { return };
        let (node, state) = (entry.node, entry.state);
        if !std::mem::replace(&mut entry.handed_over, true) {
            self.dirty_task(id.job(), position);
        }
        if state != TaskState::Unknown {
            self.set_attempt_state(id, TaskState::Stopping);
        }
        self.send(node, Command::Stop { attempt: id, cause: StopCause::Stop, signal: None, grace: None });
    }
}
