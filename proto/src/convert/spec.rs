//! The job spec on the wire.

use dockmgr_core::spec::command::{Command, Entrypoint, Shell};
use dockmgr_core::spec::draft::{
    Choice, Draft, DraftArray, DraftCommand, DraftConstraint, DraftForm, DraftMount, DraftResources,
    EntrypointKind, MountKind,
};
use dockmgr_core::spec::{
    ArraySpec, Defaults, JobSpec, Mount, NetworkMode, OnLost, Operator, PullPolicy, Violation,
};

use super::time::{duration_to_wire, raw_duration};
use super::{Error, required, resources};
use crate::v1;

/// Checks a spec from a user and fills in the defaults. Every wrong field is named, with `spec.` before it.
pub fn from_wire(wire: Option<v1::JobSpec>, defaults: &Defaults) -> Result<JobSpec, Vec<Violation>> {
    draft(required("spec", wire)?).validate(defaults)
}

/// Reads a spec that was filled in before, from the store or the leader; no image is an error, not a default.
pub fn filled_from_wire(wire: Option<v1::JobSpec>) -> Result<JobSpec, Vec<Violation>> {
    let wire = required("spec", wire)?;
    if wire.image.is_empty() {
        return Err(Error::missing("spec.image").into());
    }
    draft(wire).validate(&Defaults::default())
}

/// Takes a spec apart into the draft that `core` checks.
pub fn draft(wire: v1::JobSpec) -> Draft {
    Draft {
        name: wire.name,
        labels: wire.labels,
        image: wire.image,
        command: wire.command.map(command),
        env: wire.env.into_iter().map(|v1::EnvVar { name, value }| (name, value)).collect(),
        working_dir: wire.working_dir,
        user: wire.user,
        resources: wire.resources.map(|v1::Resources { cpu_millis, memory_bytes, gpus }| DraftResources {
            cpu_millis,
            memory_bytes,
            gpus,
        }),
        pids_limit: wire.pids_limit,
        timeout: wire.timeout.map(raw_duration),
        queue_timeout: wire.queue_timeout.map(raw_duration),
        retries: wire.retries,
        priority: wire.priority,
        constraints: wire.constraints.into_iter().map(constraint).collect(),
        array: wire.array.map(|v1::ArraySpec { first, last, max_running }| DraftArray {
            first,
            last,
            max_running,
        }),
        pull: choice(wire.pull_policy, |known| match known {
            v1::PullPolicy::Unspecified => None,
            v1::PullPolicy::Always => Some(PullPolicy::Always),
            v1::PullPolicy::Missing => Some(PullPolicy::Missing),
            v1::PullPolicy::Never => Some(PullPolicy::Never),
        }),
        grace: wire.grace_period.map(raw_duration),
        stop_signal: wire.stop_signal,
        network: choice(wire.network, |known| match known {
            v1::NetworkMode::Unspecified => None,
            v1::NetworkMode::Outbound => Some(NetworkMode::Outbound),
            v1::NetworkMode::None => Some(NetworkMode::None),
        }),
        mounts: wire.mounts.into_iter().map(mount).collect(),
        read_only: wire.read_only,
        log_limit: wire.log_limit_bytes,
        keep_image: wire.keep_image,
        on_lost: choice(wire.on_lost, |known| match known {
            v1::OnLost::Unspecified => None,
            v1::OnLost::Retry => Some(OnLost::Retry),
            v1::OnLost::Wait => Some(OnLost::Wait),
            v1::OnLost::Fail => Some(OnLost::Fail),
        }),
    }
}

/// Reads an enum field whose "unspecified" `known` maps to `None`.
fn choice<W: TryFrom<i32>, T>(number: i32, known: impl FnOnce(W) -> Option<T>) -> Choice<T> {
    match W::try_from(number) {
        Ok(value) => known(value).map_or(Choice::Unset, Choice::Known),
        Err(_) => Choice::Unknown(number),
    }
}

/// Takes a command apart.
fn command(wire: v1::Command) -> DraftCommand {
    use v1::command::Form;
    use v1::entrypoint::Kind;
    let v1::Entrypoint { kind, path } = wire.entrypoint.unwrap_or_default();
    DraftCommand {
        form: wire.form.map(|form| match form {
            Form::Argv(v1::Argv { args }) => DraftForm::Argv(args),
            Form::Script(v1::Script { text, shell }) => DraftForm::Script { text, shell },
        }),
        entrypoint: choice(kind, |known| match known {
            Kind::Unspecified => None,
            Kind::None => Some(EntrypointKind::None),
            Kind::Image => Some(EntrypointKind::Image),
            Kind::Path => Some(EntrypointKind::Path),
        }),
        entrypoint_path: path,
    }
}

/// Takes a constraint apart.
fn constraint(wire: v1::Constraint) -> DraftConstraint {
    use v1::constraint::Operator as Wire;
    DraftConstraint {
        key: wire.key,
        operator: choice(wire.operator, |known| match known {
            Wire::Unspecified => None,
            Wire::Equal => Some(Operator::Equal),
            Wire::NotEqual => Some(Operator::NotEqual),
        }),
        value: wire.value,
    }
}

/// Takes a mount apart.
fn mount(wire: v1::Mount) -> DraftMount {
    use v1::mount::Kind;
    DraftMount {
        kind: choice(wire.kind, |known| match known {
            Kind::Unspecified => None,
            Kind::Bind => Some(MountKind::Bind),
            Kind::Volume => Some(MountKind::Volume),
            Kind::Tmpfs => Some(MountKind::Tmpfs),
        }),
        source: wire.source,
        target: wire.target,
        read_only: wire.read_only,
    }
}

/// Writes a spec with all defaults filled in; `from_wire` gives the same spec back.
pub fn to_wire(spec: &JobSpec) -> v1::JobSpec {
    v1::JobSpec {
        name: text(spec.name.as_ref()),
        labels: resources::labels_to_wire(&spec.labels),
        image: spec.image.to_string(),
        command: Some(command_to_wire(&spec.command)),
        env: spec
            .env
            .iter()
            .map(|var| v1::EnvVar { name: var.name.clone(), value: var.value.clone() })
            .collect(),
        working_dir: text(spec.working_dir.as_ref()),
        user: text(spec.user.as_ref()),
        resources: Some(resources::resources_to_wire(spec.resources)),
        pids_limit: signed(spec.pids_limit),
        timeout: spec.timeout.map(duration_to_wire),
        queue_timeout: spec.queue_timeout.map(duration_to_wire),
        retries: signed(spec.retries),
        priority: spec.priority,
        constraints: spec.constraints.iter().map(constraint_to_wire).collect(),
        array: spec.array.map(array_to_wire),
        pull_policy: match spec.pull {
            PullPolicy::Always => v1::PullPolicy::Always,
            PullPolicy::Missing => v1::PullPolicy::Missing,
            PullPolicy::Never => v1::PullPolicy::Never,
        }
        .into(),
        grace_period: Some(duration_to_wire(spec.grace)),
        stop_signal: text(spec.stop_signal.as_ref()),
        network: match spec.network {
            NetworkMode::Outbound => v1::NetworkMode::Outbound,
            NetworkMode::None => v1::NetworkMode::None,
        }
        .into(),
        mounts: spec.mounts.iter().map(mount_to_wire).collect(),
        read_only: spec.read_only,
        log_limit_bytes: i64::try_from(spec.log_limit).unwrap_or(i64::MAX),
        keep_image: spec.keep_image,
        on_lost: match spec.on_lost {
            OnLost::Retry => v1::OnLost::Retry,
            OnLost::Wait => v1::OnLost::Wait,
            OnLost::Fail => v1::OnLost::Fail,
        }
        .into(),
    }
}

/// The text of a part that may be absent; absent is empty.
fn text(part: Option<&impl ToString>) -> String {
    part.map(ToString::to_string).unwrap_or_default()
}

/// A count as the wire has it; validated specs hold far smaller ones.
fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Writes a command.
fn command_to_wire(command: &Command) -> v1::Command {
    use v1::command::Form;
    use v1::entrypoint::Kind;
    let (form, entrypoint) = match command {
        Command::Argv { args, entrypoint } => (Some(Form::Argv(v1::Argv { args: args.clone() })), entrypoint),
        Command::Script { text, shell, entrypoint } => {
            let shell = match shell {
                Shell::Auto => String::new(),
                Shell::Path(path) => path.clone(),
            };
            (Some(Form::Script(v1::Script { text: text.clone(), shell })), entrypoint)
        }
        Command::Image => (None, &Entrypoint::Image),
    };
    let (kind, path) = match entrypoint {
        Entrypoint::None => (Kind::None, String::new()),
        Entrypoint::Image => (Kind::Image, String::new()),
        Entrypoint::Path(path) => (Kind::Path, path.clone()),
    };
    v1::Command { form, entrypoint: Some(v1::Entrypoint { kind: kind.into(), path }) }
}

/// Writes a constraint.
fn constraint_to_wire(constraint: &dockmgr_core::spec::Constraint) -> v1::Constraint {
    let operator = match constraint.operator {
        Operator::Equal => v1::constraint::Operator::Equal,
        Operator::NotEqual => v1::constraint::Operator::NotEqual,
    };
    v1::Constraint {
        key: constraint.key.to_string(),
        operator: operator.into(),
        value: constraint.value.to_string(),
    }
}

/// Writes the indices of an array.
fn array_to_wire(array: ArraySpec) -> v1::ArraySpec {
    v1::ArraySpec { first: array.first(), last: array.last(), max_running: array.max_running().unwrap_or(0) }
}

/// Writes a mount.
fn mount_to_wire(mount: &Mount) -> v1::Mount {
    use v1::mount::Kind;
    let (kind, source, target, read_only) = match mount {
        Mount::Bind { source, target, read_only } => (Kind::Bind, source.clone(), target, *read_only),
        Mount::Volume { source, target, read_only } => {
            (Kind::Volume, source.clone().unwrap_or_default(), target, *read_only)
        }
        Mount::Tmpfs { target } => (Kind::Tmpfs, String::new(), target, false),
    };
    v1::Mount { kind: kind.into(), source, target: target.clone(), read_only }
}

#[cfg(test)]
mod tests;
