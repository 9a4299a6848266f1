//! The walk over a draft's fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::super::constraint::Constraint;
use super::super::limits::{MAX_CONSTRAINTS, MAX_LABELS, MAX_SPEC_BYTES};
use super::super::name::{JobName, LabelKey, LabelValue};
use super::super::violation::Violations;
use super::super::{
    ArraySpec, Command, Excerpt, ImageRef, JobSpec, NetworkMode, OnLost, PullPolicy, Signal, Violation, path,
    user,
};
use super::{Choice, Defaults, Draft, DraftArray, DraftConstraint, DraftForm, amounts, command, mounts};

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
        let found = &mut found;
        // Wrong fields get some value here, so that the walk goes on to the end; the spec is not returned then.
        let spec = JobSpec {
            name: optional(found, "spec.name", &self.name, JobName::parse),
            labels: labels(found, &self.labels),
            image: optional(found, "spec.image", &self.image, ImageRef::parse)
                .unwrap_or_else(|| defaults.image.clone()),
            command: command::command(found, self.command).unwrap_or(Command::Image),
            env: command::environment(found, self.env),
            working_dir: optional(found, "spec.working_dir", &self.working_dir, path::working_dir),
            user: optional(found, "spec.user", &self.user, user::parse),
            resources: amounts::resources(found, self.resources.unwrap_or_default()),
            pids_limit: amounts::pids_limit(found, self.pids_limit),
            timeout: amounts::time_out(found, "spec.timeout", self.timeout),
            queue_timeout: amounts::time_out(found, "spec.queue_timeout", self.queue_timeout),
            retries: amounts::retries(found, self.retries),
            priority: amounts::priority(found, self.priority),
            constraints: constraints(found, &self.constraints),
            array: array(found, self.array),
            pull: chosen(found, "spec.pull_policy", self.pull, PullPolicy::Missing),
            grace: amounts::grace(found, self.grace),
            stop_signal: optional(found, "spec.stop_signal", &self.stop_signal, Signal::parse),
            network: chosen(found, "spec.network", self.network, NetworkMode::Outbound),
            mounts: mounts::mounts(found, self.mounts),
            read_only: self.read_only,
            log_limit: amounts::log_limit(found, self.log_limit),
            keep_image: self.keep_image,
            on_lost: chosen(found, "spec.on_lost", self.on_lost, OnLost::Retry),
        };
        let violations = std::mem::take(found).into_list();
        if violations.is_empty() { Ok(spec) } else { Err(violations) }
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
        let field = format!("spec.labels[{}]", Excerpt::of(key));
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
