//! What a task demands of a node, apart from taste. Jobs of the same shape fit the same nodes.

use crate::spec::{Constraint, JobSpec, Mount, Resources};

/// Hard demands of a job's tasks. Equal shapes are tried once in a pass, however many jobs share them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// What one task needs.
    pub resources: Resources,
    /// What the node's labels must say, sorted.
    pub constraints: Vec<Constraint>,
    /// Host folders and files that must be under an allowed folder, sorted.
    pub bind_sources: Vec<String>,
}

impl Shape {
    /// The shape of a spec.
    pub fn of(spec: &JobSpec) -> Self {
        let mut constraints = spec.constraints.clone();
        constraints.sort();
        constraints.dedup();
        let mut bind_sources: Vec<String> = spec.mounts.iter().filter_map(bind_source).collect();
        bind_sources.sort();
        bind_sources.dedup();
        Self { resources: spec.resources, constraints, bind_sources }
    }
}

fn bind_source(mount: &Mount) -> Option<String> {
    match mount {
        Mount::Bind { source, .. } => Some(source.clone()),
        Mount::Volume { .. } | Mount::Tmpfs { .. } => None,
    }
}
