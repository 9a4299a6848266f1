//! From a job's spec to the container of one attempt.
//!
//! Owns names, labels, environment and the command's words. What a container may be made of at all is the runtime's
//! allow-list.

use dockmgr_core::agent::container_name;
use dockmgr_core::cluster::Start;
use dockmgr_core::spec::{Command, Entrypoint, Mount, NetworkMode, Signal};
use dockmgr_core::trace::{self, JobTrace};

use super::Context;
use super::shell::script_words;
use crate::runtime;

/// Size limit of memory-backed mounts; their bytes count as the container's memory besides.
const TMPFS_BYTES: u64 = 64 * 1024 * 1024;
/// The kernel takes attempts before the worker and the daemon when memory runs out.
const OOM_SCORE: i16 = 500;

/// The container of an attempt; `Err` says why this worker refuses it.
pub(super) fn container_spec(
    context: &Context,
    start: &Start,
    image: &str,
) -> Result<runtime::ContainerSpec, String> {
    let spec = &start.spec;
    let identity = context.identity();
    let mounts = spec.mounts.iter().map(|mount| mounted(context, mount, spec.user.as_deref()));
    Ok(runtime::ContainerSpec {
        labels: identity.labels_of(start.attempt),
        command: words(&spec.command, stop_signal(start)),
        env: environment(context, start),
        working_dir: spec.working_dir.clone(),
        user: spec.user.clone(),
        cpu_millis: spec.resources.cpu_millis,
        memory_bytes: spec.resources.memory,
        pids_limit: spec.pids_limit,
        gpus: spec.resources.gpus,
        network: match spec.network {
            NetworkMode::Outbound => runtime::Network::Outbound,
            NetworkMode::None => runtime::Network::None,
        },
        mounts: mounts.collect::<Result<_, _>>()?,
        read_only: spec.read_only,
        stop_signal: Some(stop_signal(start).to_string()),
        log_cap_bytes: spec.log_limit,
        oom_score_adj: OOM_SCORE,
        ..runtime::ContainerSpec::new(container_name(identity.cluster, start.attempt), image, Vec::new())
    })
}

/// The signal of a stop that names none.
pub(super) fn stop_signal(start: &Start) -> Signal {
    start.spec.stop_signal.unwrap_or(Signal::TERM)
}

fn words(command: &Command, stop: Signal) -> runtime::Command {
    let (words, entrypoint) = match command {
        Command::Argv { args, entrypoint } => (args.clone(), entrypoint),
        Command::Script { text, shell, entrypoint } => (script_words(text, shell, stop), entrypoint),
        Command::Image => return runtime::Command::ImageEntrypoint(Vec::new()),
    };
    match entrypoint {
        Entrypoint::None => runtime::Command::Exact(words),
        Entrypoint::Image => runtime::Command::ImageEntrypoint(words),
        Entrypoint::Path(path) => {
            runtime::Command::Exact(std::iter::once(path.clone()).chain(words).collect())
        }
    }
}

/// The job's environment, then ours: a job cannot pretend to be another one. Where spans are recorded the command's own
/// hang below its run; where they are not, it gets what its submitter gave.
fn environment(context: &Context, start: &Start) -> Vec<(String, String)> {
    let attempt = start.attempt;
    let own = [
        ("DOCKMGR_JOB", attempt.job().to_string()),
        ("DOCKMGR_TASK", attempt.task.index.to_string()),
        ("DOCKMGR_TASK_COUNT", start.task_count.to_string()),
        ("DOCKMGR_ATTEMPT", attempt.number.to_string()),
        ("DOCKMGR_NODE", context.node_name.clone()),
        // The init process passes signals to all processes of the command's group, not only to the first.
        ("TINI_KILL_PROCESS_GROUP", "1".to_owned()),
    ];
    let traced = context.tracer.is_on();
    let parent = traced.then(|| {
        let trace = JobTrace::of(context.identity().cluster, attempt.job(), &start.spec);
        (trace::VARIABLE.to_owned(), trace.for_command(attempt).to_string())
    });
    let kept = start.spec.env.iter().filter(|variable| !traced || variable.name != trace::VARIABLE);
    let users = kept.map(|variable| (variable.name.clone(), variable.value.clone()));
    users.chain(own.map(|(name, value)| (name.to_owned(), value))).chain(parent).collect()
}

fn mounted(context: &Context, mount: &Mount, user: Option<&str>) -> Result<runtime::Mount, String> {
    Ok(match mount.clone() {
        Mount::Bind { source, target, read_only } => {
            runtime::Mount::Bind { source: context.allowed_mounts.resolve(&source)?, target, read_only }
        }
        // A volume without a name is made by the daemon and removed with the container.
        Mount::Volume { source, target, read_only } => {
            runtime::Mount::Volume { source: source.unwrap_or_default(), target, read_only }
        }
        Mount::Tmpfs { target } => {
            runtime::Mount::Tmpfs { target, size_bytes: TMPFS_BYTES, owner: user.and_then(numeric_owner) }
        }
    })
}

/// Owner of memory-backed mounts where the user is given in numbers; by name only the container knows it.
fn numeric_owner(user: &str) -> Option<(u32, u32)> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    Some((uid.parse().ok()?, gid.parse().ok()?))
}
