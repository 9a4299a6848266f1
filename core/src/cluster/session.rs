//! Workers' sessions: registration, reconciliation, heartbeats, silence.
//!
//! ```text
//! unseen (after a restart) --Hello--> connected --Disconnected--> disconnected
//!    \                                 ^   \                        /
//!     \--no word for suspect_after--> silent <---------------------/      (any word of its incarnation ends it)
//! ```
//! A disconnected node keeps its attempts as they are: the end of a session alone says nothing about them. What silence
//! does is in `loss`. A worker that was given up is heard again only by its next Hello.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::{AttemptId, Incarnation, NodeId};
use crate::mutants::{self, Mutant};
use crate::outcome::{EndReason, TaskState};
use crate::scheduler::Host;

use super::effect::{Command, NoteKind, Record};
use super::end::live_attempt;
use super::event::{Hello, NodeStatus, Report, WorkerNews};
use super::node::Node;
use super::nodes::infra_end;
use super::place::start_command;
use super::state::Cluster;
use super::timers::Timer;

/// Most images remembered of a node; they only sway the choice among nodes.
const MAX_IMAGES: usize = 4096;

impl Cluster {
    pub(super) fn on_worker(&mut self, id: NodeId, incarnation: Incarnation, news: WorkerNews) {
        if let WorkerNews::Hello(hello) = news {
            self.on_hello(id, incarnation, *hello);
            return;
        }
        // Another process with this identity has registered since, or none has, or it was given up: only Hello can begin.
        let speaks = |node: &&mut Node| node.incarnation == incarnation && !node.given_up;
        let Some(node) = self.nodes.get_mut(&id).filter(speaks) else { return };
        match news {
            WorkerNews::Hello(_) => {}
            WorkerNews::Disconnected => {
                node.connected = false;
                self.refresh_node(id, false);
                if mutants::active(Mutant::SessionIsLiveness) {
                    self.give_node_up(id);
                }
            }
            WorkerNews::Heartbeat { status, images_added, images_removed } => {
                for image in &images_removed {
                    node.host.images.remove(image);
                }
                let room = MAX_IMAGES.saturating_sub(node.host.images.len());
                node.host.images.extend(images_added.into_iter().take(room));
                self.heard(id);
                self.set_status(id, status);
                self.believe_hello(id);
            }
            WorkerNews::Report(report) => {
                self.heard(id);
                self.on_report(id, report, false);
            }
        }
    }

    /// Takes a worker in and brings what it has and what the cluster believes together.
    fn on_hello(&mut self, id: NodeId, incarnation: Incarnation, hello: Hello) {
        self.hellos += 1;
        let name: Arc<str> = Arc::from(hello.name.as_str());
        let before = self.nodes.remove(&id);
        let (used, attempts) =
            before.as_ref().map(|node| (node.host.used, node.attempts.clone())).unwrap_or_default();
        let host = Host {
            labels: hello.labels,
            capacity: hello.capacity,
            used,
            allowed_mounts: hello.allowed_mounts,
            images: hello.images.into_iter().take(MAX_IMAGES).collect(),
            takes_work: false,
        };
        let believed = attempts.clone();
        let node = Node {
            id,
            incarnation,
            name: Arc::clone(&name),
            host,
            drain: before.as_ref().and_then(|node| node.drain),
            registered: self.now.wall,
            worker_version: hello.worker_version,
            runtime_version: hello.runtime_version,
            boot_id: hello.boot_id,
            status: hello.status,
            connected: true,
            silent: before.is_some_and(|node| node.silent),
            given_up: false,
            last_heard: None,
            attempts,
            unnamed: BTreeSet::new(),
            session: self.hellos,
            window_from: self.now.boot,
        };
        self.nodes.insert(id, node);
        self.totals.nodes = self.nodes.len() as u64;
        self.review_losses = true;
        self.out.dirty.insert(Record::Node(id));
        self.send(id, Command::Welcome);
        self.note_node(NoteKind::NodeRegistered, id, name.to_string());
        self.heard(id);
        self.timers.set(self.now.boot + self.config.suspect_after, Timer::Silence(id));
        self.reconcile(id, &believed, hello.attempts);
        self.refresh_node(id, true);
    }

    fn reconcile(&mut self, id: NodeId, believed: &BTreeSet<AttemptId>, has: Vec<Report>) {
        let known: BTreeSet<AttemptId> = has.iter().map(|report| report.attempt).collect();
        for report in has {
            self.on_report(id, report, true);
        }
        for attempt in believed.difference(&known) {
            if self.never_confirmed(*attempt) {
                self.missing_attempt(id, *attempt);
            } else if let Some(node) = self.nodes.get_mut(&id) {
                node.unnamed.insert(*attempt);
            }
        }
    }

    /// Whether sending an attempt's start again is all there is to do when its worker does not name it.
    fn never_confirmed(&mut self, id: AttemptId) -> bool {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return true };
        let stopped = job.stop_of(position).is_some();
        let current = job.tasks.get(&position).and_then(|task| task.current());
        if mutants::active(Mutant::HelloBelieved) {
            return true;
        }
        current.is_none_or(|attempt| attempt.report_sequence == 0 && !attempt.handed_over && !stopped)
    }

    /// The session lives: it answered the Welcome, so its Hello told what the worker has. A Hello alone may be an old one
    /// that was held up on its way while the worker went on in a newer session.
    fn believe_hello(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        for attempt in std::mem::take(&mut node.unnamed) {
            self.missing_attempt(id, attempt);
        }
    }

    /// An attempt that was placed on a worker whose journal does not have it.
    fn missing_attempt(&mut self, node: NodeId, id: AttemptId) {
        let Some((job, position)) = live_attempt(&mut self.jobs, id) else { return };
        let stop = job.stop_of(position);
        let Some(attempt) = job.tasks.get(&position).and_then(|task| task.current()) else { return };
        if attempt.report_sequence > 0 {
            let message = "the worker's journal does not know it".to_owned();
            self.end_attempt(id, infra_end(EndReason::InfraUnknown, message));
        } else if let Some(wish) = stop {
            // It never arrived, and now it need not.
            let mut end = infra_end(wish.end_reason(), "ended before its worker began".to_owned());
            end.retryable = false;
            self.end_attempt(id, end);
        } else if attempt.handed_over {
            self.end_attempt(id, infra_end(EndReason::Lost, "it had not begun".to_owned()));
        } else {
            let command = start_command(job, position, id.number);
            self.set_attempt_state(id, TaskState::Placed);
            self.send(node, command);
        }
    }

    /// A node gave a sign of life.
    fn heard(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.connected = true;
        node.last_heard = Some(self.now.boot);
        node.window_from = self.now.boot;
        if !std::mem::take(&mut node.silent) {
            return;
        }
        let name = node.name.to_string();
        let attempts = node.attempts.clone();
        self.timers.set(self.now.boot + self.config.suspect_after, Timer::Silence(id));
        for attempt in attempts {
            self.back_from_unknown(attempt);
        }
        self.refresh_node(id, true);
        self.review_losses = true;
        self.note_node(NoteKind::NodeReadiness, id, format!("{name} is heard again"));
    }

    fn set_status(&mut self, id: NodeId, status: NodeStatus) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let was = std::mem::replace(&mut node.status, status);
        let took_work = node.host.takes_work;
        let reasons = node.status.not_ready.join("; ");
        let changed = was.not_ready != node.status.not_ready;
        node.refresh();
        let room = node.host.takes_work && !took_work;
        self.refresh_node(id, room);
        if changed {
            self.review_losses = true;
            let text = if reasons.is_empty() { "ready".to_owned() } else { format!("not ready: {reasons}") };
            self.note_node(NoteKind::NodeReadiness, id, text);
        }
    }
}
