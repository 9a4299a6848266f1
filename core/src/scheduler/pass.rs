//! One walk over the queue.

use std::collections::{BTreeMap, BTreeSet};

use super::{Host, OpenHosts, Place, Queue, ShapeId, Wish, pick};
use crate::ids::{JobId, NodeId};

/// What may have become possible since the last walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Room was made: everything is looked at.
    All,
    /// Only these shapes got new jobs: no other can have become placeable.
    Shapes(BTreeSet<ShapeId>),
}

impl Scope {
    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::All => false,
            Self::Shapes(shapes) => shapes.is_empty(),
        }
    }
}

/// The next task of `job` goes onto `node`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Which job.
    pub job: JobId,
    /// Where to.
    pub node: NodeId,
}

/// A walk over the queue. A shape that fits nowhere is left out of the rest of the walk: placements only take room, so
/// it cannot begin to fit.
#[derive(Debug)]
pub struct Pass {
    heads: BTreeSet<(Place, ShapeId)>,
}

impl Pass {
    /// Begins a walk.
    pub fn new(queue: &Queue, scope: &Scope) -> Self {
        let heads = match scope {
            Scope::All => queue.heads().collect(),
            Scope::Shapes(shapes) => {
                shapes.iter().filter_map(|id| queue.head(*id).map(|place| (place, *id))).collect()
            }
        };
        Self { heads }
    }

    /// The next choice, or `None` when nothing more fits. The caller carries it out, in `queue`, `open` and `nodes`,
    /// before it asks again.
    pub fn next<'w, N: AsRef<Host>>(
        &mut self,
        queue: &Queue,
        open: &OpenHosts,
        nodes: &BTreeMap<NodeId, N>,
        wish: impl Fn(JobId) -> Option<Wish<'w>>,
    ) -> Option<Choice> {
        while let Some((place, id)) = self.heads.pop_first() {
            let (Some(head), Some(shape)) = (queue.head(id), queue.shape(id)) else { continue };
            if head != place {
                self.heads.insert((head, id));
                continue;
            }
            let job = head.job();
            let Some(node) = wish(job).and_then(|wish| pick(shape, wish, open, nodes)) else { continue };
            self.heads.insert((head, id));
            return Some(Choice { job, node });
        }
        None
    }
}
