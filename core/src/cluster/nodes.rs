//! What people do to nodes: drain, resume, forget.

use crate::ids::NodeId;
use crate::outcome::{AttemptEnd, EndReason};

use super::effect::{NoteKind, Record, Reply};
use super::refusal::Refusal;
use super::request::DONE;
use super::state::Cluster;

impl Cluster {
    /// Gives a node no new work, or work again. What runs there goes on.
    pub(super) fn set_drain(&mut self, id: NodeId, draining: bool) -> Result<Reply, Refusal> {
        let node = self.nodes.get_mut(&id).ok_or(Refusal::UnknownNode(id))?;
        if node.draining == draining {
            return DONE;
        }
        node.draining = draining;
        let name = node.name.to_string();
        self.out.dirty.insert(Record::Node(id));
        self.refresh_node(id, !draining);
        let kind = if draining { NoteKind::NodeDrained } else { NoteKind::NodeResumed };
        self.note_node(kind, id, name);
        DONE
    }

    /// Forgets a node whose worker is gone; with `declare_lost` its attempts end as lost.
    pub(super) fn delete_node(&mut self, id: NodeId, declare_lost: bool) -> Result<Reply, Refusal> {
        let node = self.nodes.get(&id).ok_or(Refusal::UnknownNode(id))?;
        // A session that is up but has been silent is as good as none.
        if node.connected && !node.silent {
            return Err(Refusal::NodeConnected(id));
        }
        let lost = u32::try_from(node.attempts.len()).unwrap_or(u32::MAX);
        if lost > 0 && !declare_lost {
            return Err(Refusal::NodeHasAttempts { node: id, attempts: lost });
        }
        let name = node.name.to_string();
        for attempt in node.attempts.clone() {
            self.end_attempt(attempt, infra_end(EndReason::Lost, format!("worker {name} was declared lost")));
        }
        self.nodes.remove(&id);
        self.open.remove(id);
        self.totals.nodes = self.nodes.len() as u64;
        self.out.dirty.insert(Record::Node(id));
        self.note_node(NoteKind::NodeDeleted, id, name);
        Ok(Reply::NodeDeleted { lost })
    }
}

/// The end of an attempt of which the cluster, not the worker, says that it is over.
pub(super) fn infra_end(reason: EndReason, message: String) -> AttemptEnd {
    AttemptEnd {
        reason,
        exit_code: None,
        message,
        oom_seen: false,
        started: None,
        ended: None,
        run: std::time::Duration::ZERO,
        usage: None,
        log_end: None,
        container: None,
        image_digest: None,
        retryable: true,
    }
}
