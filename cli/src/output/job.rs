//! Jobs as rows.

use dockmgr_proto::v1::command::Form;
use dockmgr_proto::v1::job::State;
use dockmgr_proto::v1::{Job, JobSpec, TaskCounts};

use super::{Row, age, reason, seconds_between, task_state};
use crate::terminal::escape_line;

/// Longest command shown in a table.
const COMMAND_SHOWN: usize = 40;

impl Row for Job {
    const LIST: &'static str = "jobs";

    fn head(wide: bool) -> Vec<&'static str> {
        let mut head = vec!["ID", "NAME", "STATE", "EXIT", "TASKS", "AGE", "RAN", "COMMAND"];
        if wide {
            head.extend(["IMAGE", "NODE", "REASON", "PINNED", "LABELS", "UID"]);
        }
        head
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let empty = JobSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let mut cells = vec![
            self.id.to_string(),
            or_dash(escape_line(&spec.name)),
            state_word(self).to_owned(),
            self.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
            self.tasks.as_ref().map_or_else(|| "-".to_owned(), |tasks| bar(tasks, spec.array.is_some())),
            age(self.create_time.as_ref()),
            seconds_between(self.start_time.as_ref(), self.end_time.as_ref()),
            shortened(&command_text(spec)),
        ];
        if wide {
            let node = self.task.as_ref().and_then(|task| task.attempts.last()).map(|a| a.node_name.clone());
            let labels: Vec<String> =
                spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            cells.push(or_dash(escape_line(&spec.image)));
            cells.push(or_dash(escape_line(&node.unwrap_or_default())));
            cells.push(or_dash(reason(self.end_reason()).to_owned()));
            cells.push(if self.pinned { "yes" } else { "-" }.to_owned());
            cells.push(or_dash(escape_line(&labels.join(","))));
            cells.push(or_dash(self.uid.clone()));
        }
        cells
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

/// Where the job stands, in one word: for a plain active job where its task stands.
pub(crate) fn state_word(job: &Job) -> &'static str {
    match job.state() {
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
        State::Unspecified => "?",
        State::Active => match &job.task {
            Some(task) => task_state(task.state()),
            None => active_word(job.tasks.as_ref()),
        },
    }
}

fn active_word(tasks: Option<&TaskCounts>) -> &'static str {
    match tasks {
        Some(tasks) if tasks.running > 0 => "running",
        Some(tasks) if tasks.unknown > 0 => "unknown",
        Some(tasks) if tasks.starting > 0 => "starting",
        _ => "queued",
    }
}

/// `1/1`, and for an array a bar of ended tasks: `[####....] 50/100 2 failed`.
pub(crate) fn bar(tasks: &TaskCounts, is_array: bool) -> String {
    const WIDTH: u64 = 10;
    let ended = u64::from(tasks.succeeded) + u64::from(tasks.failed) + u64::from(tasks.cancelled);
    let total = u64::from(tasks.total.max(1));
    if !is_array {
        return format!("{ended}/{total}");
    }
    let full = usize::try_from(ended.min(total) * WIDTH / total).unwrap_or(0);
    let failed = if tasks.failed > 0 { format!(" {} failed", tasks.failed) } else { String::new() };
    let rest = usize::try_from(WIDTH).unwrap_or(0) - full;
    format!("[{}{}] {ended}/{total}{failed}", "#".repeat(full), ".".repeat(rest))
}

/// The command on one line.
pub(crate) fn command_text(spec: &JobSpec) -> String {
    match spec.command.as_ref().and_then(|command| command.form.as_ref()) {
        Some(Form::Argv(argv)) => escape_line(&quoted(&argv.args)),
        Some(Form::Script(script)) => escape_line(&script.text),
        None => "(the image's own)".to_owned(),
    }
}

/// An argv as a person would type it, so that one argument with spaces does not look like several.
fn quoted(args: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=,@%+".contains(c);
    let word = |arg: &String| {
        if !arg.is_empty() && arg.chars().all(plain) {
            arg.clone()
        } else {
            format!("'{}'", arg.replace('\'', r"'\''"))
        }
    };
    args.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(COMMAND_SHOWN).collect();
    if text.chars().nth(COMMAND_SHOWN).is_some() {
        short.push_str("...");
    }
    short
}
