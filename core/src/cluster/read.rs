//! Reads. They look at the cluster directly and change nothing.

use std::ops::Bound;

use crate::ids::{JobId, JobUid, NodeId};

use super::counts::Totals;
use super::job::Job;
use super::node::Node;
use super::state::Cluster;

/// What a full resource name of a job begins with.
const JOB_PREFIX: &str = "namespaces/default/jobs/";
/// What a full resource name of a node begins with.
const NODE_PREFIX: &str = "nodes/";
/// Positions beyond this are not counted: nobody needs the exact number, and a read must stay cheap.
const MAX_POSITION: usize = 100_000;

impl Cluster {
    /// A job.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id).map(|job| &**job)
    }

    /// The job a person means: a number, `namespaces/default/jobs/N`, a full uid, `last`, or a name, which means the
    /// newest job of that name.
    pub fn resolve(&self, text: &str) -> Option<JobId> {
        let text = text.strip_prefix(JOB_PREFIX).unwrap_or(text);
        if let Ok(id) = text.parse::<JobId>() {
            return self.jobs.contains_key(&id).then_some(id);
        }
        if text == "last" {
            return self.jobs.last_key_value().map(|(id, _)| *id);
        }
        if let Some(ids) = self.names.get(text) {
            return ids.last().copied();
        }
        text.parse::<JobUid>().ok().and_then(|uid| self.uids.get(&uid).copied())
    }

    /// The node a person means: `nodes/ID`, an id, or a name; of several nodes of a name the one heard last.
    pub fn resolve_node(&self, text: &str) -> Option<NodeId> {
        let text = text.strip_prefix(NODE_PREFIX).unwrap_or(text);
        if let Some(id) = text.parse::<NodeId>().ok().filter(|id| self.nodes.contains_key(id)) {
            return Some(id);
        }
        let named = self.nodes.values().filter(|node| node.name.as_ref() == text);
        named.max_by_key(|node| (node.last_heard, node.id)).map(|node| node.id)
    }

    /// Jobs from the newest to the oldest; with `before` only those older than it.
    pub fn jobs_newest_first(&self, before: Option<JobId>) -> impl Iterator<Item = &Job> + '_ {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        self.jobs.range((Bound::Unbounded, end)).rev().map(|(_, job)| &**job)
    }

    /// Jobs from the oldest to the newest; with `after` only those newer than it.
    pub fn jobs_oldest_first(&self, after: Option<JobId>) -> impl Iterator<Item = &Job> + '_ {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.jobs.range((start, Bound::Unbounded)).map(|(_, job)| &**job)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> + '_ {
        self.nodes.values()
    }

    /// Place of a job in the queue, from 1; 0 if none of its tasks could be placed even with room, because none is
    /// queued, all wait for their back-off, or its array limit is reached. Counts to 100,000 and costs what it counts.
    pub fn queue_position(&self, id: JobId) -> u64 {
        self.jobs.get(&id).map_or(0, |job| self.queue.position(job.place_in_queue(), MAX_POSITION))
    }

    /// What the whole cluster holds.
    pub fn counts(&self) -> Totals {
        self.totals
    }

    /// Revision of the newest change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The number the next job gets.
    pub fn next_job_id(&self) -> u64 {
        self.next_job_id
    }
}
