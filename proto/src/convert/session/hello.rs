//! A worker's introduction and its signs of life.

use std::collections::BTreeSet;

use dockmgr_core::cluster::{Hello, NodeStatus, WorkerNews};
use dockmgr_core::ids::{ClusterId, Incarnation, NodeId};

use super::super::{Error, Problem, at_most, cut, ids, required, resources};
use super::{report_from_wire, report_to_wire};
use crate::v1;

/// Most image names of one message.
const MAX_IMAGES: usize = 1000;
/// Most bytes of an image name.
const MAX_IMAGE_NAME: usize = 512;
/// Most attempts in one worker's journal that are taken in.
const MAX_ATTEMPTS: usize = 100_000;
/// Most host folders a worker offers.
const MAX_ALLOWED_MOUNTS: usize = 64;
/// Most reasons for not taking work.
const MAX_REASONS: usize = 64;
/// Most bytes of a reason, a version or a boot id.
const MAX_WORDS: usize = 1024;
/// Most bytes of a node's name, as host names have it.
const MAX_NODE_NAME: usize = 253;

/// A Hello with the identities around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The node that registers.
    pub node: NodeId,
    /// The start of its worker.
    pub incarnation: Incarnation,
    /// The cluster it belonged to so far; `None` at its first start.
    pub cluster: Option<ClusterId>,
    /// What it says of itself.
    pub hello: Hello,
}

/// Reads a worker's introduction.
pub fn hello_from_wire(wire: v1::Hello) -> Result<Registration, Error> {
    at_most("hello.attempts", &wire.attempts, MAX_ATTEMPTS)?;
    at_most("hello.allowed_mounts", &wire.allowed_mounts, MAX_ALLOWED_MOUNTS)?;
    if let Some(at) = wire.allowed_mounts.iter().position(|folder| !folder.starts_with('/')) {
        return Err(Error::new(format!("hello.allowed_mounts[{at}]"), Problem::Rule("it must be absolute")));
    }
    let read = |(at, report)| report_from_wire(&format!("hello.attempts[{at}]"), report);
    let cluster = match wire.cluster_id.as_str() {
        "" => None,
        given => Some(ids::cluster_id("hello.cluster_id", given)?),
    };
    Ok(Registration {
        node: ids::node_id("hello.node_id", &wire.node_id)?,
        incarnation: ids::incarnation("hello.incarnation", &wire.incarnation)?,
        cluster,
        hello: Hello {
            name: node_name(wire.display_name)?,
            labels: resources::labels_from_wire("hello.labels", &wire.labels)?,
            capacity: resources::resources_from_wire("hello.capacity", wire.capacity)?,
            worker_version: cut(wire.version, MAX_WORDS),
            runtime_version: cut(wire.runtime_version, MAX_WORDS),
            boot_id: cut(wire.boot_id, MAX_WORDS),
            attempts: wire.attempts.into_iter().enumerate().map(read).collect::<Result<_, _>>()?,
            images: BTreeSet::from_iter(images("hello.images", wire.images)?),
            status: status_from_wire("hello.status", wire.status)?,
            allowed_mounts: wire.allowed_mounts,
        },
    })
}

/// Writes a worker's introduction. Of more images than fit the first are named.
pub fn hello_to_wire(
    node: NodeId,
    incarnation: Incarnation,
    cluster: Option<ClusterId>,
    hello: &Hello,
) -> v1::Hello {
    v1::Hello {
        node_id: node.to_string(),
        incarnation: incarnation.to_string(),
        display_name: hello.name.clone(),
        labels: resources::labels_to_wire(&hello.labels),
        capacity: Some(resources::resources_to_wire(hello.capacity)),
        version: hello.worker_version.clone(),
        runtime_version: hello.runtime_version.clone(),
        boot_id: hello.boot_id.clone(),
        cluster_id: cluster.map(|id| id.to_string()).unwrap_or_default(),
        attempts: hello.attempts.iter().map(report_to_wire).collect(),
        images: hello
            .images
            .iter()
            .filter(|name| name.len() <= MAX_IMAGE_NAME)
            .take(MAX_IMAGES)
            .cloned()
            .collect(),
        status: Some(status_to_wire(&hello.status)),
        allowed_mounts: hello.allowed_mounts.clone(),
    }
}

/// Reads a sign of life; its number is the caller's to answer.
pub fn heartbeat_from_wire(wire: v1::Heartbeat) -> Result<WorkerNews, Error> {
    Ok(WorkerNews::Heartbeat {
        status: status_from_wire("heartbeat.status", wire.status)?,
        images_added: images("heartbeat.images_added", wire.images_added)?,
        images_removed: images("heartbeat.images_removed", wire.images_removed)?,
    })
}

/// Reads the condition of a node.
pub fn status_from_wire(field: &str, wire: Option<v1::NodeStatus>) -> Result<NodeStatus, Error> {
    let wire = required(field, wire)?;
    at_most(&format!("{field}.not_ready_reasons"), &wire.not_ready_reasons, MAX_REASONS)?;
    at_most(&format!("{field}.warnings"), &wire.warnings, MAX_REASONS)?;
    let disk_free = u64::try_from(wire.disk_free_bytes).map_err(|_| {
        Error::new(format!("{field}.disk_free_bytes"), Problem::Rule("it must not be negative"))
    })?;
    Ok(NodeStatus {
        not_ready: wire.not_ready_reasons.into_iter().map(|reason| cut(reason, MAX_WORDS)).collect(),
        disk_free,
        images: wire.images,
        warnings: wire.warnings.into_iter().map(|warning| cut(warning, MAX_WORDS)).collect(),
    })
}

/// Writes the condition of a node.
pub fn status_to_wire(status: &NodeStatus) -> v1::NodeStatus {
    v1::NodeStatus {
        not_ready_reasons: status.not_ready.iter().take(MAX_REASONS).cloned().collect(),
        disk_free_bytes: i64::try_from(status.disk_free).unwrap_or(i64::MAX),
        images: status.images,
        warnings: status.warnings.iter().take(MAX_REASONS).cloned().collect(),
    }
}

/// Reads image names.
fn images(field: &str, wire: Vec<String>) -> Result<Vec<String>, Error> {
    at_most(field, &wire, MAX_IMAGES)?;
    match wire.iter().position(|name| name.is_empty() || name.len() > MAX_IMAGE_NAME) {
        Some(at) => Err(Error::new(format!("{field}[{at}]"), Problem::Rule("it must have 1 to 512 bytes"))),
        None => Ok(wire),
    }
}

/// Reads the name of a node: what a person can type and a terminal can show.
fn node_name(name: String) -> Result<String, Error> {
    let good = (1..=MAX_NODE_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    let rule = Problem::Rule("it must have 1 to 253 printable ASCII characters without a space");
    if good { Ok(name) } else { Err(Error::new("hello.display_name", rule)) }
}
