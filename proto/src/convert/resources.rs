//! Amounts and labels of nodes on the wire.

use std::collections::BTreeMap;

use dockmgr_core::spec::{LabelKey, LabelValue, Resources};

use super::{Error, Problem, parsed, required};
use crate::v1;

/// Most labels a node may have.
const MAX_NODE_LABELS: usize = 64;

/// Reads amounts a node has or holds; zero is allowed.
pub fn resources_from_wire(field: &str, wire: Option<v1::Resources>) -> Result<Resources, Error> {
    let wire = required(field, wire)?;
    let negative =
        |name: &str| Error::new(format!("{field}.{name}"), Problem::Rule("it must not be negative"));
    Ok(Resources {
        cpu_millis: u64::try_from(wire.cpu_millis).map_err(|_| negative("cpu_millis"))?,
        memory: u64::try_from(wire.memory_bytes).map_err(|_| negative("memory_bytes"))?,
        gpus: u32::try_from(wire.gpus).map_err(|_| negative("gpus"))?,
    })
}

/// Writes amounts; what does not fit the wire becomes its largest number.
pub fn resources_to_wire(resources: Resources) -> v1::Resources {
    v1::Resources {
        cpu_millis: i64::try_from(resources.cpu_millis).unwrap_or(i64::MAX),
        memory_bytes: i64::try_from(resources.memory).unwrap_or(i64::MAX),
        gpus: i32::try_from(resources.gpus).unwrap_or(i32::MAX),
    }
}

/// Reads the labels of a node.
pub fn labels_from_wire(
    field: &str,
    wire: &BTreeMap<String, String>,
) -> Result<BTreeMap<LabelKey, LabelValue>, Error> {
    if wire.len() > MAX_NODE_LABELS {
        return Err(Error::new(field, Problem::TooMany { count: wire.len(), limit: MAX_NODE_LABELS }));
    }
    let read = |(key, value): (&String, &String)| {
        Ok((parsed(field, key, LabelKey::parse)?, parsed(field, value, LabelValue::parse)?))
    };
    wire.iter().map(read).collect()
}

/// Writes labels.
pub fn labels_to_wire(labels: &BTreeMap<LabelKey, LabelValue>) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}
