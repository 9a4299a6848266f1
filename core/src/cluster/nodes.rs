//! Forgetting nodes. Drains are in `drain`.

use crate::ids::NodeId;
use crate::outcome::{AttemptEnd, EndReason};

use super::effect::{NoteKind, Record, Reply};
use super::refusal::Refusal;
use super::state::Cluster;

impl Cluster {
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
            self.give_attempt_up(attempt, format!("worker {name} was declared lost"));
        }
        self.nodes.remove(&id);
        self.out.hang_ups.insert(id);
        self.review_losses = true;
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
