//! How the cluster stands, read from it at the moment of a scrape.
//!
//! The look runs inside the controller, so it copies a few numbers a node and nothing else; writing them down is done here.

use std::fmt;
use std::time::Duration;

use dockmgr_core::cluster::{Backlog, Cluster, Node, NodeState, Totals};
use dockmgr_core::ids::NodeId;
use dockmgr_core::outcome::JobState;
use dockmgr_core::spec::Resources;
use dockmgr_core::time::Now;
use dockmgr_support::metrics::exposition::{count, gauge, gauges};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::facts::state_word;

/// All states of nodes.
const STATES: [NodeState; 4] = [NodeState::Ready, NodeState::NotReady, NodeState::Silent, NodeState::Lost];

/// What a scrape shows of the cluster.
#[derive(Debug)]
pub(super) struct View {
    totals: Totals,
    backlog: Backlog,
    /// How long the oldest job in the queue is there.
    oldest: Option<Duration>,
    nodes: Vec<NodeView>,
}

#[derive(Debug)]
struct NodeView {
    id: NodeId,
    name: std::sync::Arc<str>,
    state: NodeState,
    draining: bool,
    capacity: Resources,
    used: Resources,
    unheard: Duration,
    disk_free: u64,
    attempts: usize,
}

impl View {
    /// Looks at the cluster.
    pub(super) fn of(cluster: &Cluster, now: Now) -> Self {
        let backlog = cluster.backlog();
        let waited = |since: i64| u64::try_from(now.wall.0.saturating_sub(since)).unwrap_or(0);
        Self {
            totals: cluster.counts(),
            backlog,
            oldest: backlog.oldest.map(|since| Duration::from_millis(waited(since.0))),
            nodes: cluster.nodes().map(|node| NodeView::of(node, now)).collect(),
        }
    }
}

impl NodeView {
    fn of(node: &Node, now: Now) -> Self {
        Self {
            id: node.id,
            name: std::sync::Arc::clone(&node.name),
            state: node.state(),
            draining: node.drain.is_some(),
            capacity: node.host.capacity,
            used: node.host.used,
            unheard: node.unheard(now.boot),
            disk_free: node.status.disk_free,
            attempts: node.attempts.len(),
        }
    }

    /// Two nodes may have one name, so the id is there as well.
    fn labels(&self) -> [(&'static str, String); 2] {
        [("node", self.name.to_string()), ("node_id", self.id.to_string())]
    }

    fn labels_of(&self, kind: &'static str) -> [(&'static str, String); 3] {
        let [name, id] = self.labels();
        [name, id, ("kind", kind.to_owned())]
    }
}

impl Collector for View {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.jobs(&mut encoder)?;
        self.queue(&mut encoder)?;
        self.node_states(&mut encoder)?;
        self.node_rooms(&mut encoder)
    }
}

impl View {
    fn jobs(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let totals = &self.totals;
        let jobs = [
            (JobState::Active, totals.active_jobs),
            (JobState::Succeeded, totals.succeeded_jobs),
            (JobState::Failed, totals.failed_jobs),
            (JobState::Cancelled, totals.cancelled_jobs),
        ];
        let rows = jobs.map(|(state, jobs)| ([("state", state_word(state))], count(jobs)));
        gauges(
            to,
            "cluster_jobs",
            "Jobs that are known, by state; ended ones until they are forgotten",
            rows,
        )?;
        let tasks = [
            ("queued", totals.queued_tasks),
            ("starting", totals.starting_tasks),
            ("running", totals.running_tasks),
            ("unknown", totals.unknown_tasks),
        ];
        let rows = tasks.map(|(state, tasks)| ([("state", state)], count(tasks)));
        let help = "Tasks of active jobs, by state: starting is placed, pulling or starting, running includes stopping";
        gauges(to, "cluster_tasks", help, rows)
    }

    fn queue(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let Backlog { no_room, no_node, unlooked, oldest: _ } = self.backlog;
        let rows = [("no_room", no_room), ("no_node", no_node), ("not_looked_at", unlooked)];
        let rows = rows.map(|(reason, jobs)| ([("reason", reason)], count(jobs)));
        let help = "Jobs in the queue, by what keeps them there: nodes that could run them have no room, or there is none";
        gauges(to, "cluster_scheduler_unplaceable_jobs", help, rows)?;
        let oldest = self.oldest.map_or(0.0, |oldest| oldest.as_secs_f64());
        let help = "Time since the submit of the oldest job in the queue; 0 if it is empty";
        gauge(to, "cluster_queue_oldest_seconds", help, oldest)
    }

    fn node_states(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let rows = STATES.map(|state| {
            let nodes = self.nodes.iter().filter(|node| node.state == state).count();
            ([("state", node_word(state))], count(nodes as u64))
        });
        gauges(to, "cluster_nodes", "Registered nodes, by state", rows)?;
        let draining = self.nodes.iter().filter(|node| node.draining).count();
        gauge(
            to,
            "cluster_nodes_draining",
            "Nodes that take no new work because of a drain",
            count(draining as u64),
        )?;
        let rows = self.nodes.iter().map(|node| (node.labels(), node.unheard.as_secs_f64()));
        let help = "Time since the last word of a worker, or since this coordinator leads";
        gauges(to, "cluster_heartbeat_age_seconds", help, rows)?;
        let rows = self.nodes.iter().map(|node| (node.labels(), count(node.attempts as u64)));
        gauges(to, "cluster_node_attempts", "Attempts that hold a place on a node", rows)
    }

    fn node_rooms(&self, to: &mut DescriptorEncoder) -> fmt::Result {
        let cores = |node: &NodeView| {
            [("total", node.capacity), ("reserved", node.used)]
                .map(|(kind, what)| (node.labels_of(kind), count(what.cpu_millis) / 1000.0))
        };
        let help = "Cores a node has for attempts, and how many of them attempts hold";
        gauges(to, "cluster_node_cpu_cores", help, self.nodes.iter().flat_map(cores))?;
        let bytes = |node: &NodeView| {
            [("total", node.capacity), ("reserved", node.used)]
                .map(|(kind, what)| (node.labels_of(kind), count(what.memory)))
        };
        let help = "Memory a node has for attempts, and how much of it attempts hold";
        gauges(to, "cluster_node_memory_bytes", help, self.nodes.iter().flat_map(bytes))?;
        let rows = self.nodes.iter().map(|node| (node.labels(), count(node.disk_free)));
        gauges(
            to,
            "cluster_node_disk_free_bytes",
            "Bytes free on a node's disk, as its worker said last",
            rows,
        )
    }
}

fn node_word(state: NodeState) -> &'static str {
    match state {
        NodeState::Ready => "ready",
        NodeState::NotReady => "not_ready",
        NodeState::Silent => "silent",
        NodeState::Lost => "lost",
    }
}
