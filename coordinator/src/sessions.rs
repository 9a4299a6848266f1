//! The live streams to workers.
//!
//! Owns which session of a node is the current one and its bounded way out. Does not decide what is said: commands come
//! from the cluster's effects. Called by the controller only.

use std::collections::BTreeMap;

use dockmgr_core::ids::{Incarnation, NodeId};
use dockmgr_proto::v1::SessionResponse;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::controller::{SessionId, Speaker};

/// Messages that may wait for a slow worker. A worker that is further behind is cut off; its next Hello repairs everything.
pub const OUTGOING_BOUND: usize = 4096;

/// The way out to one worker.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Messages to the stream's writer.
    pub messages: mpsc::Sender<SessionResponse>,
    /// Ends the stream.
    pub cut: CancellationToken,
}

/// The current session of every connected node.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    current: BTreeMap<NodeId, (Incarnation, SessionId, Outgoing)>,
}

impl Sessions {
    /// Makes a session the current one of its node and cuts the older one off.
    pub(crate) fn open(&mut self, speaker: Speaker, outgoing: Outgoing) {
        let session = (speaker.incarnation, speaker.session, outgoing);
        if let Some((_, _, older)) = self.current.insert(speaker.node, session) {
            older.cut.cancel();
        }
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
