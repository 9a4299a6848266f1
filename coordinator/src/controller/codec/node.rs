//! A node.

use std::time::Duration;

use dockmgr_core::cluster::{Node, StoredNode};
use dockmgr_core::time::WallTime;
use dockmgr_proto::convert;
use dockmgr_proto::store_v1;
use prost::Message as _;

use super::Error;

/// The stored form of a node.
pub(super) fn encode(node: &Node) -> store_v1::NodeRecord {
    let left = node.drain.and_then(|drain| drain.left);
    store_v1::NodeRecord {
        id: node.id.to_string(),
        incarnation: node.incarnation.to_string(),
        display_name: node.name.to_string(),
        labels: convert::resources::labels_to_wire(&node.host.labels),
        capacity: Some(convert::resources::resources_to_wire(node.host.capacity)),
        draining: node.drain.is_some(),
        register_time_millis: node.registered.0,
        worker_version: node.worker_version.clone(),
        runtime_version: node.runtime_version.clone(),
        boot_id: node.boot_id.clone(),
        allowed_mounts: node.host.allowed_mounts.clone(),
        drain_left_millis: left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        given_up: node.given_up,
    }
}

/// A node as it was stored.
pub(in crate::controller) fn decode(bytes: &[u8]) -> Result<StoredNode, Error> {
    let wire = store_v1::NodeRecord::decode(bytes)?;
    Ok(StoredNode {
        id: convert::ids::node_id("id", &wire.id)?,
        incarnation: convert::ids::incarnation("incarnation", &wire.incarnation)?,
        name: wire.display_name.into(),
        labels: convert::resources::labels_from_wire("labels", &wire.labels)?,
        capacity: convert::resources::resources_from_wire("capacity", wire.capacity)?,
        allowed_mounts: wire.allowed_mounts,
        draining: wire.draining,
        drain_left: wire.drain_left_millis.map(Duration::from_millis),
        given_up: wire.given_up,
        registered: WallTime(wire.register_time_millis),
        worker_version: wire.worker_version,
        runtime_version: wire.runtime_version,
        boot_id: wire.boot_id,
    })
}
