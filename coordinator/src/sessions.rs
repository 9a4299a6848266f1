//! The live streams to workers.
//!
//! Owns which session of a node is the current one and its bounded way out, and which starts of a worker were replaced by
//! another with the same node id (a data folder that was copied): those are refused, or the two would take the node from each
//! other for ever. Does not decide what is said: commands come
//! from the cluster's effects. Called by the controller only.

use std::collections::{BTreeMap, VecDeque};

use dockmgr_core::ids::{Incarnation, NodeId};
use dockmgr_proto::v1::SessionResponse;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::controller::{SessionId, Speaker};

/// Messages that may wait for a slow worker. A worker that is further behind is cut off; its next Hello repairs everything.
pub const OUTGOING_BOUND: usize = 4096;

/// Replaced starts of one node that are remembered: as many copies of a data folder nobody runs by mistake.
const REPLACED_BOUND: usize = 16;

/// The way out to one worker.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Messages to the stream's writer.
    pub messages: mpsc::Sender<SessionResponse>,
    /// Ends the stream.
    pub cut: CancellationToken,
    /// Said before the cut to a worker that must not come back: another one has its node id.
    pub replaced: CancellationToken,
}

/// The current session of every connected node.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    current: BTreeMap<NodeId, (Incarnation, SessionId, Outgoing)>,
    /// The start of each node that spoke last, and those before it that it replaced.
    starts: BTreeMap<NodeId, Starts>,
}

/// The starts of one node's worker.
#[derive(Debug)]
struct Starts {
    last: Incarnation,
    replaced: VecDeque<Incarnation>,
}

impl Starts {
    /// Whether this start may speak; makes it the last one.
    fn admit(&mut self, start: Incarnation) -> bool {
        if self.last == start {
            return true;
        }
        if self.replaced.contains(&start) {
            return false;
        }
        if self.replaced.len() == REPLACED_BOUND {
            self.replaced.pop_front();
        }
        self.replaced.push_back(std::mem::replace(&mut self.last, start));
        true
    }
}

impl Sessions {
    /// Makes a session the current one of its node and cuts the older one off; `false`, and the session is cut, if its
    /// worker was replaced by a newer start with the same node id.
    pub(crate) fn open(&mut self, speaker: Speaker, outgoing: Outgoing) -> bool {
        let start = speaker.incarnation;
        let starts = self.starts.entry(speaker.node);
        if !starts.or_insert_with(|| Starts { last: start, replaced: VecDeque::new() }).admit(start) {
            tracing::warn!(worker_id = %speaker.node, "a worker with the node id of another one is refused");
            outgoing.replaced.cancel();
            outgoing.cut.cancel();
            return false;
        }
        if let Some((older_start, _, older)) =
            self.current.insert(speaker.node, (start, speaker.session, outgoing))
        {
            if older_start != start {
                tracing::warn!(worker_id = %speaker.node, "another worker took the node id over");
                older.replaced.cancel();
            }
            older.cut.cancel();
        }
        true
    }

    /// Whether `speaker` speaks on the current session of its node.
    pub(crate) fn is_current(&self, speaker: Speaker) -> bool {
        self.current.get(&speaker.node).is_some_and(|(_, session, _)| *session == speaker.session)
    }

    /// Forgets a session that has ended.
    pub(crate) fn close(&mut self, speaker: Speaker) {
        if self.is_current(speaker) {
            self.current.remove(&speaker.node);
        }
    }

    /// Hands a message to a node's current session, if that is of `incarnation`. A full queue cuts the session off.
    pub(crate) fn send(&mut self, node: NodeId, incarnation: Incarnation, message: SessionResponse) {
        let Some((current, _, outgoing)) = self.current.get(&node) else { return };
        if *current != incarnation {
            return;
        }
        if outgoing.messages.try_send(message).is_err() {
            tracing::warn!(worker_id = %node, "worker takes its messages too slowly: cutting its session off");
            outgoing.cut.cancel();
        }
    }

    /// Ends a node's session, if one is up: only a new Hello brings its worker back.
    pub(crate) fn hang_up(&mut self, node: NodeId) {
        if let Some((_, _, outgoing)) = self.current.remove(&node) {
            tracing::info!(worker_id = %node, "worker was given up: its session is ended");
            outgoing.cut.cancel();
        }
    }

    /// Cuts all sessions off; the workers dial again.
    pub(crate) fn cut_all(&mut self) {
        for (_, _, outgoing) in std::mem::take(&mut self.current).into_values() {
            outgoing.cut.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn speaker(start: u128, session: u64) -> Speaker {
        Speaker::new(NodeId(Uuid::from_u128(1)), Incarnation(Uuid::from_u128(start)), SessionId(session))
    }

    fn outgoing() -> Outgoing {
        let (messages, _) = mpsc::channel(1);
        Outgoing { messages, cut: CancellationToken::new(), replaced: CancellationToken::new() }
    }

    #[test]
    fn the_newer_of_two_workers_with_one_node_id_stays_and_the_older_cannot_come_back() {
        let mut sessions = Sessions::default();
        let (first, second) = (outgoing(), outgoing());
        assert!(sessions.open(speaker(1, 1), first.clone()));
        assert!(sessions.open(speaker(2, 2), second.clone()));
        assert!(first.cut.is_cancelled() && first.replaced.is_cancelled(), "it is told");
        let again = outgoing();
        assert!(!sessions.open(speaker(1, 3), again.clone()));
        assert!(again.replaced.is_cancelled() && !second.cut.is_cancelled());
        sessions.close(speaker(2, 2));
        assert!(!sessions.open(speaker(1, 4), outgoing()), "not even while the newer one is away");
        assert!(sessions.open(speaker(2, 5), outgoing()), "a new session of the same start is welcome");
        assert!(sessions.open(speaker(3, 6), outgoing()), "so is a restart");
    }
}
