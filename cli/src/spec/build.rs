//! Puts a job spec together and checks it before anything is sent.

use std::io::IsTerminal;

use dockmgr_core::spec::draft::Defaults;
use dockmgr_core::spec::limits::MAX_SCRIPT_BYTES;
use dockmgr_proto::{convert, v1};

use super::command::{self, ScriptSource};
use super::flags::{Network, OnLost, Pull, SpecFlags};
use super::{environment, file};
use crate::failure::Failure;
use crate::input;

/// Largest script on standard input: what the API takes.
const MOST_SCRIPT: u64 = MAX_SCRIPT_BYTES as u64;

/// What a person asked for, complete and checked.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// The job.
    pub(crate) spec: v1::JobSpec,
    /// Idempotency key; empty for none.
    pub(crate) key: String,
}

/// Puts flags, job file and command together.
pub(crate) fn wish(flags: SpecFlags, words: &[String]) -> Result<Wish, Failure> {
    let (flags, file_words) = match flags.file.clone() {
        Some(path) => {
            let (base, words) = file::read(&path)?;
            (flags.over(base), words)
        }
        None => (flags, None),
    };
    let key = flags.key.clone().unwrap_or_default();
    if flags.key.is_some()
        && (key.is_empty() || key.len() > 128 || !key.bytes().all(|b| (b' '..=b'~').contains(&b)))
    {
        return Err(Failure::usage("--key must be 1 to 128 printable characters"));
    }
    let command =
        command::command(words, file_words, flags.entrypoint.as_deref(), flags.shell.as_deref(), &Stdin)?;
    let spec = spec(flags, command)?;
    check(&spec)?;
    Ok(Wish { spec, key })
}

struct Stdin;

impl ScriptSource for Stdin {
    fn is_piped(&self) -> bool {
        !std::io::stdin().is_terminal()
    }

    fn read(&self) -> Result<String, Failure> {
        input::read_stdin(MOST_SCRIPT, "the script")
    }
}

fn spec(flags: SpecFlags, command: v1::Command) -> Result<v1::JobSpec, Failure> {
    let resources = v1::Resources {
        cpu_millis: flags.cpus.unwrap_or_default(),
        memory_bytes: flags.memory.unwrap_or_default(),
        gpus: flags.gpus.map(i32::from).unwrap_or_default(),
    };
    for (flag, value) in [
        ("--image", &flags.image),
        ("--workdir", &flags.workdir),
        ("--user", &flags.user),
        ("--name", &flags.name),
        ("--stop-signal", &flags.stop_signal),
    ] {
        if value.as_deref() == Some("") {
            return Err(Failure::usage(format!("{flag} must not be empty")));
        }
    }
    Ok(v1::JobSpec {
        name: flags.name.unwrap_or_default(),
        labels: flags.label.into_iter().map(|pair| (pair.key, pair.value)).collect(),
        image: flags.image.unwrap_or_default(),
        command: Some(command),
        env: environment::variables(&flags.env, &flags.env_file)?,
        working_dir: flags.workdir.unwrap_or_default(),
        user: flags.user.unwrap_or_default(),
        resources: (resources != v1::Resources::default()).then_some(resources),
        pids_limit: 0,
        timeout: flags.timeout.map(Into::into),
        queue_timeout: flags.queue_timeout.map(Into::into),
        retries: flags.retries.map(i32::from).unwrap_or_default(),
        priority: flags.priority.unwrap_or_default(),
        constraints: flags.constraint,
        array: flags.array,
        pull_policy: flags.pull.map_or(v1::PullPolicy::Unspecified, pull).into(),
        grace_period: flags.grace.map(Into::into),
        stop_signal: flags.stop_signal.unwrap_or_default(),
        network: flags.network.map_or(v1::NetworkMode::Unspecified, network).into(),
        mounts: flags.mount,
        read_only: flags.read_only,
        log_limit_bytes: flags.log_limit.unwrap_or_default(),
        keep_image: flags.keep_image,
        on_lost: flags.on_lost.map_or(v1::OnLost::Unspecified, on_lost).into(),
    })
}

fn pull(pull: Pull) -> v1::PullPolicy {
    match pull {
        Pull::Always => v1::PullPolicy::Always,
        Pull::Missing => v1::PullPolicy::Missing,
        Pull::Never => v1::PullPolicy::Never,
    }
}

fn network(network: Network) -> v1::NetworkMode {
    match network {
        Network::Outbound => v1::NetworkMode::Outbound,
        Network::None => v1::NetworkMode::None,
    }
}

fn on_lost(on_lost: OnLost) -> v1::OnLost {
    match on_lost {
        OnLost::Retry => v1::OnLost::Retry,
        OnLost::Wait => v1::OnLost::Wait,
        OnLost::Fail => v1::OnLost::Fail,
    }
}

/// Applies the server's own rules here, so that what is wrong is said at once and nothing is sent.
fn check(spec: &v1::JobSpec) -> Result<(), Failure> {
    let Err(violations) = convert::spec::from_wire(Some(spec.clone()), &Defaults::default()) else {
        return Ok(());
    };
    let mut words = violations.iter().map(|v| format!("{}: {}", flag(&v.field), v.description));
    let mut failure = Failure::usage(words.next().unwrap_or_else(|| "the job is not right".to_owned()));
    for more in words.take(9) {
        failure = failure.hint(more);
    }
    Err(failure)
}

/// The flag a person would correct, for the field of the message.
fn flag(field: &str) -> String {
    let path = field.trim_start_matches("spec.");
    let known = [
        ("image", "--image"),
        ("command.entrypoint", "--entrypoint"),
        ("command.form.script.shell", "--shell"),
        ("command", "command"),
        ("env", "--env"),
        ("working_dir", "--workdir"),
        ("user", "--user"),
        ("name", "--name"),
        ("labels", "--label"),
        ("resources.cpu_millis", "--cpus"),
        ("resources.memory_bytes", "--memory"),
        ("resources.gpus", "--gpus"),
        ("timeout", "--timeout"),
        ("queue_timeout", "--queue-timeout"),
        ("retries", "--retries"),
        ("priority", "--priority"),
        ("constraints", "--constraint"),
        ("array", "--array"),
        ("grace_period", "--grace"),
        ("stop_signal", "--stop-signal"),
        ("mounts", "--mount"),
        ("log_limit_bytes", "--log-limit"),
    ];
    let found = known.iter().find(|(prefix, _)| path.starts_with(prefix));
    found.map_or_else(|| path.to_owned(), |(_, flag)| (*flag).to_owned())
}
