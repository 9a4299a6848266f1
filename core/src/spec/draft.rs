//! A spec as it arrives, and its validation.
//!
//! Owns the one way from loose text and numbers to a [`JobSpec`]. The wire conversion fills in a [`Draft`] field by field;
//! absent fields have the wire's defaults (empty text, zero, `None`). Nothing else makes a `JobSpec` from outside input.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::constraint::{Constraint, Operator};
use super::limits::{MAX_CONSTRAINTS, MAX_LABELS, MAX_SPEC_BYTES};
use super::name::{JobName, LabelKey, LabelValue};
use super::violation::Violations;
use super::{ArraySpec, ImageRef, JobSpec, NetworkMode, OnLost, PullPolicy, Signal, Violation, path, user};

mod amounts;
mod command;
mod mounts;

/// What a server fills in where a spec leaves it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Image of a job that names none.
    pub image: ImageRef,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { image: ImageRef::parse("debian:stable-slim").expect("a constant that parses") }
    }
}

/// A spec as it arrives; the fields are those of `dockmgr.v1.JobSpec`.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is the wire field of that name, documented there")]
pub struct Draft {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub image: String,
    pub command: Option<DraftCommand>,
    pub env: Vec<(String, String)>,
    pub working_dir: String,
    pub user: String,
    pub resources: Option<DraftResources>,
    pub pids_limit: i32,
    pub timeout: Option<RawDuration>,
    pub queue_timeout: Option<RawDuration>,
    pub retries: i32,
    pub priority: i32,
    pub constraints: Vec<DraftConstraint>,
    pub array: Option<DraftArray>,
    pub pull: Choice<PullPolicy>,
    pub grace: Option<RawDuration>,
    pub stop_signal: String,
    pub network: Choice<NetworkMode>,
    pub mounts: Vec<DraftMount>,
    pub read_only: bool,
    pub log_limit: i64,
    pub keep_image: bool,
    pub on_lost: Choice<OnLost>,
}

/// One of several named values, as it arrives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice<T> {
    /// Not given.
    #[default]
    Unset,
    /// A value we know.
    Known(T),
    /// A number nobody here knows, perhaps of a newer client.
    Unknown(i32),
}

/// A length of time as it arrives: seconds and nanoseconds, possibly negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RawDuration {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds on top; valid are 0 to 999,999,999.
    pub nanos: i32,
}

impl RawDuration {
    /// The length; `None` if it is negative or the nanoseconds are out of range.
    pub fn get(self) -> Option<Duration> {
        let nanos = u32::try_from(self.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Duration::new(u64::try_from(self.seconds).ok()?, nanos))
    }
}

/// What to run, as it arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftCommand {
    /// An argument vector or a script; `None` if neither was given.
    pub form: Option<DraftForm>,
    /// What precedes it.
    pub entrypoint: Choice<EntrypointKind>,
    /// The program, for [`EntrypointKind::Path`].
    pub entrypoint_path: String,
}

/// The two forms of a command, as they arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftForm {
    /// An exact argument vector.
    Argv(Vec<String>),
    /// A script.
    Script {
        /// The text.
        text: String,
        /// The shell; empty means bash where the image has it, else sh.
        shell: String,
    },
}

/// Kinds of entrypoint, as they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntrypointKind {
    /// Nothing precedes the command.
    None,
    /// The image's own entrypoint does.
    Image,
    /// A given program does.
    Path,
}

/// Amounts, as they arrive; 0 means the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DraftResources {
    /// Thousandths of a core.
    pub cpu_millis: i64,
    /// Bytes.
    pub memory_bytes: i64,
    /// Whole graphics processors.
    pub gpus: i32,
}

/// A demand on a node's label, as it arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftConstraint {
    /// Key of the label.
    pub key: String,
    /// How it is compared.
    pub operator: Choice<Operator>,
    /// The value compared with.
    pub value: String,
}

/// Indices of an array job, as they arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DraftArray {
    /// First index.
    pub first: u32,
    /// Last index, itself included.
    pub last: u32,
    /// Most tasks at the same time; 0 means without limit.
    pub max_running: u32,
}

/// A mount, as it arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftMount {
    /// Which kind.
    pub kind: Choice<MountKind>,
    /// Host path or volume name.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Forbids writing.
    pub read_only: bool,
}

/// Kinds of mounts, as they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A Docker volume.
    Volume,
    /// Memory.
    Tmpfs,
}

impl Draft {
    /// Checks every field and fills in the defaults. Names every wrong field, not only the first, by its path in the
    /// wire message (`spec.resources.cpu_millis`), and says what would be right.
    pub fn validate(self, defaults: &Defaults) -> Result<JobSpec, Vec<Violation>> {
        let mut found = Violations::default();
        let size = self.text_bytes();
        if size > MAX_SPEC_BYTES {
            found.add(
                "spec",
                format_args!("all texts together have {size} bytes; at most {MAX_SPEC_BYTES} are stored"),
            );
        }
        // Every part is checked before the first `?` ends the walk, so that all of them are named.
        let name = optional(&mut found, "spec.name", &self.name, JobName::parse);
        let labels = labels(&mut found, &self.labels);
        let image = match self.image.as_str() {
            "" => Some(defaults.image.clone()),
            given => found.keep("spec.image", ImageRef::parse(given)),
        };
        let command = command::command(&mut found, self.command);
        let env = command::environment(&mut found, self.env);
        let working_dir = optional(&mut found, "spec.working_dir", &self.working_dir, path::working_dir);
        let user = optional(&mut found, "spec.user", &self.user, user::parse);
        let resources = amounts::resources(&mut found, self.resources);
        let limits =
            amounts::limits(&mut found, self.pids_limit, self.retries, self.priority, self.log_limit);
        let times = amounts::times(&mut found, self.timeout, self.queue_timeout, self.grace);
        let constraints = constraints(&mut found, &self.constraints);
        let array = array(&mut found, self.array);
        let pull = chosen(&mut found, "spec.pull_policy", self.pull, PullPolicy::Missing);
        let stop_signal = optional(&mut found, "spec.stop_signal", &self.stop_signal, Signal::parse);
        let network = chosen(&mut found, "spec.network", self.network, NetworkMode::Outbound);
        let mounts = mounts::mounts(&mut found, self.mounts);
        let on_lost = chosen(&mut found, "spec.on_lost", self.on_lost, OnLost::Retry);
        let violations = found.into_list();
        let (Some(image), Some(command), true) = (image, command, violations.is_empty()) else {
            return Err(violations);
        };
        Ok(JobSpec {
            name,
            labels,
            image,
            command,
            env,
            working_dir,
            user,
            resources,
            pids_limit: limits.pids,
            timeout: times.timeout,
            queue_timeout: times.queue_timeout,
            retries: limits.retries,
            priority: self.priority,
            constraints,
            array,
            pull,
            grace: times.grace,
            stop_signal,
            network,
            mounts,
            read_only: self.read_only,
            log_limit: limits.log,
            keep_image: self.keep_image,
            on_lost,
        })
    }

    /// Bytes of all texts.
    fn text_bytes(&self) -> usize {
        let pairs = self.labels.iter().chain(self.env.iter().map(|(name, value)| (name, value)));
        let pairs: usize = pairs.map(|(name, value)| name.len() + value.len()).sum();
        let constraints: usize = self.constraints.iter().map(|c| c.key.len() + c.value.len()).sum();
        let mounts: usize = self.mounts.iter().map(|m| m.source.len() + m.target.len()).sum();
        let single = [&self.name, &self.image, &self.working_dir, &self.user, &self.stop_signal];
        let single: usize = single.into_iter().map(String::len).sum();
        let command = self.command.as_ref().map_or(0, |command| {
            let form = match &command.form {
                Some(DraftForm::Argv(args)) => args.iter().map(String::len).sum(),
                Some(DraftForm::Script { text, shell }) => text.len() + shell.len(),
                None => 0,
            };
            form + command.entrypoint_path.len()
        });
        pairs + constraints + mounts + single + command
    }
}

/// Checks a text that may be empty, which means absent.
fn optional<T, E: fmt::Display>(
    found: &mut Violations,
    field: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    if text.is_empty() { None } else { found.keep(field, parse(text)) }
}

/// The value that was chosen, or `default`; an unknown one is a violation.
fn chosen<T>(found: &mut Violations, field: &str, choice: Choice<T>, default: T) -> T {
    match choice {
        Choice::Unset => default,
        Choice::Known(value) => value,
        Choice::Unknown(number) => {
            found.add(field, format_args!("{number} is not a value this server knows"));
            default
        }
    }
}

/// Checks the labels of a job.
fn labels(found: &mut Violations, draft: &BTreeMap<String, String>) -> BTreeMap<LabelKey, LabelValue> {
    if draft.len() > MAX_LABELS {
        found.add("spec.labels", format_args!("there are {}; at most {MAX_LABELS} are allowed", draft.len()));
    }
    let mut labels = BTreeMap::new();
    for (key, value) in draft {
        let field = format!("spec.labels[{}]", super::Excerpt::of(key));
        let parsed_key = found.keep(field.as_str(), LabelKey::parse(key));
        let parsed_value = found.keep(field.as_str(), LabelValue::parse(value));
        match (parsed_key, parsed_value) {
            (Some(key), _) if key.is_reserved() => {
                found.add(field, "keys that begin with 'dockmgr.' are dockmgr's own; choose another one");
            }
            (Some(key), Some(value)) => {
                labels.insert(key, value);
            }
            (_, None) | (None, _) => {}
        }
    }
    labels
}

/// Checks the demands on nodes.
fn constraints(found: &mut Violations, draft: &[DraftConstraint]) -> Vec<Constraint> {
    if draft.len() > MAX_CONSTRAINTS {
        let count = draft.len();
        found.add(
            "spec.constraints",
            format_args!("there are {count}; at most {MAX_CONSTRAINTS} are allowed"),
        );
    }
    let mut seen = BTreeSet::new();
    let mut constraints = Vec::new();
    for (at, draft) in draft.iter().enumerate() {
        let field = format!("spec.constraints[{at}]");
        let key = found.keep(format!("{field}.key"), LabelKey::parse(&draft.key));
        let value = found.keep(format!("{field}.value"), LabelValue::parse(&draft.value));
        let operator = match draft.operator {
            Choice::Known(operator) => operator,
            Choice::Unset | Choice::Unknown(_) => {
                found.add(format!("{field}.operator"), "it must be OPERATOR_EQUAL or OPERATOR_NOT_EQUAL");
                continue;
            }
        };
        let (Some(key), Some(value)) = (key, value) else { continue };
        let constraint = Constraint { key, operator, value };
        // The same demand twice says nothing more.
        if seen.insert(constraint.clone()) {
            constraints.push(constraint);
        }
    }
    constraints
}

/// Checks the indices of an array.
fn array(found: &mut Violations, draft: Option<DraftArray>) -> Option<ArraySpec> {
    let DraftArray { first, last, max_running } = draft?;
    let array = ArraySpec::new(first, last, max_running);
    if array.is_none() && last < first {
        found.add("spec.array.last", format_args!("{last} is less than the first index {first}"));
    } else if array.is_none() {
        let most = ArraySpec::MAX_TASKS;
        let count = u64::from(last - first) + 1;
        found.add(
            "spec.array.last",
            format_args!("{first} to {last} are {count} tasks; a job has at most {most}"),
        );
    }
    array
}

#[cfg(test)]
mod tests;
