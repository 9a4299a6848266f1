//! The mounts of a spec.

use std::collections::BTreeSet;

use super::super::limits::MAX_MOUNTS;
use super::super::mount::Mount;
use super::super::path;
use super::super::violation::Violations;
use super::{Choice, DraftMount, MountKind};

/// Checks all mounts of a container.
pub(super) fn mounts(found: &mut Violations, draft: Vec<DraftMount>) -> Vec<Mount> {
    if draft.len() > MAX_MOUNTS {
        found.add("spec.mounts", format_args!("there are {}; at most {MAX_MOUNTS} are allowed", draft.len()));
    }
    let mut targets = BTreeSet::new();
    let mut mounts = Vec::new();
    for (at, draft) in draft.into_iter().enumerate() {
        let field = format!("spec.mounts[{at}]");
        let target = found.keep(format!("{field}.target"), path::mount_target(&draft.target));
        if let Some(target) = &target
            && !targets.insert(target.clone())
        {
            found.add(format!("{field}.target"), "another mount has the same target");
        }
        mounts.extend(mount(found, &field, draft, target));
    }
    mounts
}

/// Checks one mount whose target was checked; `None` after a violation.
fn mount(found: &mut Violations, field: &str, draft: DraftMount, target: Option<String>) -> Option<Mount> {
    let source_field = format!("{field}.source");
    let DraftMount { kind, source, target: _, read_only } = draft;
    match kind {
        Choice::Known(MountKind::Bind) => {
            let source = found.keep(source_field, path::bind_source(&source))?;
            Some(Mount::Bind { source, target: target?, read_only })
        }
        Choice::Known(MountKind::Volume) => {
            let source = if source.is_empty() {
                None
            } else {
                Some(found.keep(source_field, path::volume_name(&source))?)
            };
            Some(Mount::Volume { source, target: target?, read_only })
        }
        Choice::Known(MountKind::Tmpfs) => {
            if !source.is_empty() {
                found.add(source_field, "memory has no source; leave it out");
            }
            if read_only {
                found
                    .add(format!("{field}.read_only"), "memory is empty at start: read-only it is of no use");
            }
            Some(Mount::Tmpfs { target: target? })
        }
        Choice::Unset | Choice::Unknown(_) => {
            found.add(format!("{field}.kind"), "it must be KIND_BIND, KIND_VOLUME or KIND_TMPFS");
            None
        }
    }
}
