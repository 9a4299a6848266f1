//! The record of a node: who it is, how it is, what is placed on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AttemptId, Incarnation, NodeId};
use crate::scheduler::Host;
use crate::time::{BootTime, WallTime};

use super::event::NodeStatus;

/// A host as the cluster knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Identity; survives restarts of the worker.
    pub id: NodeId,
    /// The start of the worker that registered last; what others say is ignored.
    pub incarnation: Incarnation,
    /// Name for people.
    pub name: Arc<str>,
    /// Labels, capacity, what is held of it, images, allowed mounts.
    pub host: Host,
    /// A person asked for a drain.
    pub draining: bool,
    /// When its worker last registered.
    pub registered: WallTime,
    /// Version of the worker program.
    pub worker_version: String,
    /// Version of the Docker daemon, or `fake`.
    pub runtime_version: String,
    /// Boot id of the host.
    pub boot_id: String,
    /// Condition when last heard.
    pub status: NodeStatus,
    /// Its session is up.
    pub connected: bool,
    /// Not heard for `suspect_after`: its attempts are unknown.
    pub silent: bool,
    /// When it was last heard; `None` if not since this coordinator started.
    pub last_heard: Option<BootTime>,
    /// Attempts placed on it that have not ended.
    pub attempts: BTreeSet<AttemptId>,
    /// Begin of the time after which it is silent: when it was last heard, or when the coordinator started.
    pub(super) window_from: BootTime,
}

/// Where a node stands, as people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeState {
    /// Takes work, unless it is drained.
    Ready,
    /// Takes no work; the reasons say why.
    NotReady,
    /// No word from its worker.
    Silent,
}

impl Node {
    /// Where it stands.
    pub fn state(&self) -> NodeState {
        if self.silent {
            NodeState::Silent
        } else if self.connected && self.status.not_ready.is_empty() {
            NodeState::Ready
        } else {
            NodeState::NotReady
        }
    }

    /// Why it takes no new work, in words; empty when it does.
    pub fn reasons(&self, now: BootTime) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.draining {
            reasons.push("draining".to_owned());
        }
        match (self.silent, self.connected, self.last_heard) {
            (true, _, Some(heard)) => reasons.push(format!("silent for {} s", now.since(heard).as_secs())),
            (_, _, None) => reasons.push("not heard since the coordinator started".to_owned()),
            (false, false, Some(_)) => reasons.push("disconnected".to_owned()),
            (false, true, Some(_)) => {}
        }
        reasons.extend(self.status.not_ready.iter().map(|reason| format!("not ready: {reason}")));
        reasons
    }

    /// How long ago it was last heard; `None` if not since this coordinator started.
    pub fn silence(&self, now: BootTime) -> Option<Duration> {
        self.last_heard.map(|heard| now.since(heard))
    }

    /// Brings the scheduler's view up to date.
    pub(super) fn refresh(&mut self) {
        self.host.takes_work =
            self.connected && !self.silent && !self.draining && self.status.not_ready.is_empty();
    }
}

impl AsRef<Host> for Node {
    fn as_ref(&self) -> &Host {
        &self.host
    }
}
