//! Which of the nodes that fit is taken.
//!
//! | a plain job's task goes to | an array's task goes to |
//! |---|---|
//! | another node than the one its last attempt failed on for infrastructure reasons | the same |
//! | a node that has the image | the node with the most free, in eighths: an array fills a cluster evenly |
//! | the fullest node that fits, so that large jobs find room | a node that has the image |
//! | the smaller node id, so that the choice is the same every time | the same |

use std::collections::BTreeMap;

use super::{Host, OpenHosts, Shape};
use crate::ids::NodeId;

/// How many fitting nodes are compared. Beyond it the choice is good, not best; the search stays flat.
pub const MAX_CANDIDATES: usize = 64;

/// What a task would like, besides what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Reference of its image.
    pub image: &'a str,
    /// Digest an earlier attempt pinned.
    pub digest: Option<&'a str>,
    /// The task is one of an array.
    pub spread: bool,
    /// Where it failed last.
    pub avoid: Option<NodeId>,
}

/// Chooses a node for a task, or `None` where none fits now.
pub fn pick<N: AsRef<Host>>(
    shape: &Shape,
    wish: Wish<'_>,
    open: &OpenHosts,
    nodes: &BTreeMap<NodeId, N>,
) -> Option<NodeId> {
    let hosts = open.with_cpu(shape.resources.cpu_millis);
    let fitting = |id: NodeId| {
        let host = nodes.get(&id)?.as_ref();
        shape.fits_now(host).then(|| (score(shape, wish, id, host), id))
    };
    let best = if wish.spread {
        hosts.rev().filter_map(fitting).take(MAX_CANDIDATES).min()
    } else {
        hosts.filter_map(fitting).take(MAX_CANDIDATES).min()
    };
    best.map(|(_, id)| id)
}

/// Smaller is better.
fn score(shape: &Shape, wish: Wish<'_>, id: NodeId, host: &Host) -> (bool, u64, u64) {
    let avoided = wish.avoid == Some(id);
    let has_image =
        host.images.contains(wish.image) || wish.digest.is_some_and(|digest| host.images.contains(digest));
    let pull = u64::from(!has_image);
    let left = host.free().minus(shape.resources);
    if wish.spread {
        let eighth = left.cpu_millis.saturating_mul(8) / host.capacity.cpu_millis.max(1);
        (avoided, 8_u64.saturating_sub(eighth), pull)
    } else {
        (avoided, pull, left.cpu_millis)
    }
}
