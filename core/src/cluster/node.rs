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
    /// A person asked for a drain; `None` while it may take work.
    pub drain: Option<Drain>,
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
    /// Not heard for `lost_after`: what may be replaced there has ended as lost. Only a new registration ends this.
    pub given_up: bool,
    /// When it was last heard; `None` if not since this coordinator started.
    pub last_heard: Option<BootTime>,
    /// Attempts placed on it that have not ended.
    pub attempts: BTreeSet<AttemptId>,
    /// Attempts of these that its Hello did not name, until a heartbeat proves that the Hello was not an old one.
    pub(super) unnamed: BTreeSet<AttemptId>,
    /// Its newest session, by the number of its Hello; 0 before the first.
    pub(super) session: u64,
    /// Begin of the time after which it is silent: when it was last heard, or when the coordinator started.
    pub(super) window_from: BootTime,
}

/// A drain, and when it hands over what still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drain {
    /// When; `None` means never.
    pub due: Option<BootTime>,
    /// What is stored of `due`: the time that was left when it was stored last, since clocks differ between leaders.
    pub left: Option<Duration>,
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
    /// Silent for so long that it was given up.
    Lost,
}

impl Node {
    /// Where it stands.
    pub fn state(&self) -> NodeState {
        if self.given_up {
            NodeState::Lost
        } else if self.silent {
            NodeState::Silent
        } else if self.connected && self.status.not_ready.is_empty() {
            NodeState::Ready
        } else {
            NodeState::NotReady
        }
    }

    /// Why it takes no new work, in words; empty when it does.
    pub(super) fn reasons(&self, now: BootTime) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(drain) = self.drain {
            reasons.push(match drain.due.map(|due| due.since(now)) {
                None => "draining".to_owned(),
                Some(Duration::ZERO) => "draining: what ran is being handed over".to_owned(),
                Some(left) => format!("draining: what runs is handed over in {} s", left.as_secs()),
            });
        }
        match (self.silent, self.connected, self.last_heard) {
            (true, _, Some(heard)) => {
                let word = if self.given_up { "given up: not heard" } else { "silent" };
                reasons.push(format!("{word} for {} s", now.since(heard).as_secs()));
            }
            (true, _, None) if self.given_up => {
                reasons.push("given up: not heard since the coordinator started".to_owned());
            }
            (_, _, None) => reasons.push("not heard since the coordinator started".to_owned()),
            (false, false, Some(_)) => reasons.push("disconnected".to_owned()),
            (false, true, Some(_)) => {}
        }
        reasons.extend(self.status.not_ready.iter().map(|reason| format!("not ready: {reason}")));
        reasons
    }

    /// Whether it counted on to do work when it was last heard: it was ready, nobody drains it, it was not given up.
    pub(super) fn was_ready(&self) -> bool {
        self.status.not_ready.is_empty() && self.drain.is_none() && !self.given_up
    }

    /// How long it has not been heard: since the last word, or since this coordinator began to lead.
    pub fn unheard(&self, now: BootTime) -> Duration {
        now.since(self.window_from)
    }

    /// How long ago it was last heard; `None` if not since this coordinator started.
    pub fn silence(&self, now: BootTime) -> Option<Duration> {
        self.last_heard.map(|heard| now.since(heard))
    }

    /// Brings the scheduler's view up to date.
    pub(super) fn refresh(&mut self) {
        self.host.takes_work =
            self.connected && !self.silent && self.drain.is_none() && self.status.not_ready.is_empty();
    }
}

impl AsRef<Host> for Node {
    fn as_ref(&self) -> &Host {
        &self.host
    }
}
