//! What waits in the queue, for people who watch a cluster.
//!
//! Cheap whatever is queued: it costs the number of shapes and of priorities, each looked at up to a bound.

use crate::scheduler::{Place, Shape};
use crate::time::WallTime;

use super::state::Cluster;

/// Shapes that are compared with the nodes. A cluster in good order has a few dozen.
const MAX_SHAPES: usize = 256;
/// Priorities in which the oldest job is looked for. People use a handful.
const MAX_PRIORITIES: usize = 1000;

/// The jobs that could be placed if there were room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Jobs that fit a registered node, which is full, busy or takes no work now.
    pub no_room: u64,
    /// Jobs that no registered node could run even if it were idle.
    pub no_node: u64,
    /// Jobs of shapes beyond the bound, which were not looked at.
    pub unlooked: u64,
    /// When the oldest of them was stored; of those in the first thousand priorities.
    pub oldest: Option<WallTime>,
}

impl Cluster {
    /// What waits, and why.
    pub fn backlog(&self) -> Backlog {
        let mut backlog = Backlog::default();
        for (shape, jobs) in self.queue.shapes().take(MAX_SHAPES) {
            if self.fits_somewhere(shape) {
                backlog.no_room += jobs;
            } else {
                backlog.no_node += jobs;
            }
        }
        backlog.unlooked = self.queue.len() as u64 - backlog.no_room - backlog.no_node;
        // Numbers of jobs grow with the time they were stored.
        let oldest = self.queue.first_of_each_priority().take(MAX_PRIORITIES).map(Place::job).min();
        backlog.oldest = oldest.and_then(|id| self.jobs.get(&id)).map(|job| job.created);
        backlog
    }

    fn fits_somewhere(&self, shape: &Shape) -> bool {
        self.nodes.values().any(|node| shape.fits_idle(&node.host))
    }
}
