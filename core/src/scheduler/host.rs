//! A node as the scheduler sees it, and the index of nodes that have something free.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::NodeId;
use crate::spec::{LabelKey, LabelValue, Resources};

/// What of a node decides placements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Labels for constraints.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// What it has for attempts.
    pub capacity: Resources,
    /// What its placed attempts hold.
    pub used: Resources,
    /// Host folders jobs may mount from.
    pub allowed_mounts: Vec<String>,
    /// References and digests of the images it has.
    pub images: BTreeSet<String>,
    /// Whether it takes new work at all: connected, heard, ready and not drained.
    pub takes_work: bool,
}

impl Host {
    /// What is free right now.
    pub fn free(&self) -> Resources {
        self.capacity.minus(self.used)
    }
}

impl AsRef<Self> for Host {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The nodes that take work, by free processor share: a full or drained node costs a search nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenHosts {
    by_free_cpu: BTreeSet<(u64, NodeId)>,
    listed: BTreeMap<NodeId, u64>,
}

impl OpenHosts {
    /// Brings the index up to date with a node that changed.
    pub fn update(&mut self, node: NodeId, host: &Host) {
        self.remove(node);
        let free = host.free();
        if host.takes_work && free.cpu_millis > 0 && free.memory > 0 {
            self.by_free_cpu.insert((free.cpu_millis, node));
            self.listed.insert(node, free.cpu_millis);
        }
    }

    /// Takes a node out.
    pub fn remove(&mut self, node: NodeId) {
        if let Some(cpu) = self.listed.remove(&node) {
            self.by_free_cpu.remove(&(cpu, node));
        }
    }

    /// Nodes with at least this much processor free, the fullest first.
    pub fn with_cpu(&self, cpu_millis: u64) -> impl DoubleEndedIterator<Item = NodeId> + '_ {
        let least = NodeId(uuid::Uuid::nil());
        self.by_free_cpu.range((cpu_millis, least)..).map(|(_, node)| *node)
    }
}
