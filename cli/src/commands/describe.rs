//! `describe`: a job on a page for people.

use std::fmt::Write as _;

use dockmgr_client::Client;
use dockmgr_proto::v1::{
    Attempt, Event, GetJobRequest, GetJobResponse, GetUsageRequest, Job, JobSpec, ListTasksRequest,
    NodeVerdict, Task, TaskState, WatchEventsRequest,
};

use super::{submit, wait};
use crate::failure::{Failure, Kind};
use crate::job_ref::{self, JobRef};
use crate::output;
use crate::settings::Reach;
use crate::terminal::escape_line;

/// Newest events shown.
const EVENTS: u32 = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Job (number, name, uid, last) or task (42.7)
    #[arg(value_name = "JOB", value_parser = job_ref::parse)]
    job: JobRef,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    output::print(&page(&reach.connect().await?, &args.job).await?)?;
    Ok(0)
}

/// What is known of a job, for people; hostile text in it is made harmless.
pub(crate) async fn page(client: &Client, wanted: &JobRef) -> Result<String, Failure> {
    let answer = client.get_job(GetJobRequest { job: wanted.job.clone(), explain: true }).await?;
    let job = answer.job.as_ref().ok_or_else(|| super::missing("job"))?;
    let mut page = summary(job, &answer);
    let shown = match wanted.task {
        Some(_) => Some(task(client, wanted).await?),
        None => job.task.clone(),
    };
    match &shown {
        Some(task) => {
            attempts(&mut page, task);
            now(&mut page, client, job.id, task).await;
            place(&mut page, client, job.id, task).await?;
        }
        None => array(&mut page, client, job).await?,
    }
    waits(&mut page, &answer.verdicts);
    events(&mut page, &newest_events(client, job).await?);
    Ok(page)
}

/// One task by `42.7`.
pub(super) async fn task(client: &Client, wanted: &JobRef) -> Result<Task, Failure> {
    let index = wanted.task.unwrap_or_default();
    let mut request =
        ListTasksRequest { job: wanted.job.clone(), page_size: 1000, ..ListTasksRequest::default() };
    loop {
        let page = client.list_tasks(request.clone()).await?;
        if let Some(task) = page.tasks.into_iter().find(|task| task.index == index) {
            return Ok(task);
        }
        if page.next_page_token.is_empty() {
            return Err(Failure::new(Kind::Failed, format!("job {} has no task {index}", wanted.job)));
        }
        request.page_token = page.next_page_token;
    }
}

fn summary(job: &Job, answer: &GetJobResponse) -> String {
    let none = JobSpec::default();
    let spec = job.spec.as_ref().unwrap_or(&none);
    let is_array = spec.array.is_some();
    let resources = spec.resources.unwrap_or_default();
    let asks =
        format!("{} cpus, {}", output::cores(resources.cpu_millis), output::bytes(resources.memory_bytes));
    let limit = |d: Option<&dockmgr_proto::wkt::Duration>| {
        d.and_then(|d| std::time::Duration::try_from(*d).ok()).map(output::duration).unwrap_or_default()
    };
    let exit = job.exit_code.map(|code| code.to_string()).unwrap_or_default();
    let labels: Vec<String> = spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let place =
        if job.queue_position > 0 { format!("{} (1 is next)", job.queue_position) } else { String::new() };
    let tasks =
        job.tasks.as_ref().filter(|_| is_array).map(|tasks| output::bar(tasks, true)).unwrap_or_default();
    let retry_of = if job.retry_of > 0 { job.retry_of.to_string() } else { String::new() };
    let overlap =
        if job.overlap_possible { "possible: an attempt may have run after it was given up" } else { "" };
    let pinned = if job.pinned { "the job and its output are kept until it is unpinned" } else { "" };
    let mut page = String::new();
    for (head, value) in [
        ("Job", job.id.to_string()),
        ("Name", spec.name.clone()),
        ("Uid", job.uid.clone()),
        ("State", output::state_word(job).to_owned()),
        ("Exit code", exit),
        ("Reason", output::reason(job.end_reason()).to_owned()),
        ("Message", job.message.clone()),
        ("Place in queue", place),
        ("Tasks", tasks),
        ("Failed tasks", answer.failed_tasks.clone()),
        ("Overlap", overlap.to_owned()),
        ("Pinned", pinned.to_owned()),
        ("Output", output::deletion(job).unwrap_or_default()),
        ("Retry of", retry_of),
        ("Command", output::command_text(spec)),
        ("Image", spec.image.clone()),
        ("Asks for", asks),
        ("Timeout", limit(spec.timeout.as_ref())),
        ("Queue timeout", limit(spec.queue_timeout.as_ref())),
        ("Labels", labels.join(", ")),
        ("Submitted", output::ago(job.create_time.as_ref())),
        ("Started", output::ago(job.start_time.as_ref())),
        ("Ended", output::ago(job.end_time.as_ref())),
    ] {
        if !value.is_empty() {
            let _infallible = writeln!(page, "{head:<16}{}", escape_line(&value));
        }
    }
    page
}

fn attempts(page: &mut String, task: &Task) {
    if task.attempts.is_empty() {
        return;
    }
    let rows = task.attempts.iter().rev().map(|attempt| {
        vec![
            attempt.number.to_string(),
            escape_line(&attempt.node_name),
            output::attempt_state(attempt).to_owned(),
            attempt.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
            output::seconds_between(attempt.start_time.as_ref(), attempt.end_time.as_ref()),
            usage(attempt),
            output::reason(attempt.end_reason()).to_owned(),
            escape_line(&attempt.message),
        ]
    });
    page.push_str("\nAttempts\n");
    page.push_str(&output::columns(
        &["NO", "NODE", "STATE", "EXIT", "RAN", "USED", "REASON", "MESSAGE"],
        rows,
    ));
    for attempt in task.attempts.iter().rev() {
        if let Some(text) = loss(attempt) {
            let _infallible = writeln!(page, "Attempt {}: {}", attempt.number, text);
        }
    }
}

/// The windows of an attempt that was given up: from when on it was not counted on, and when it ran as its worker told
/// later; `None` if its worker said nothing later.
fn loss(attempt: &Attempt) -> Option<String> {
    let (lost, late) = (attempt.lost_time.as_ref()?, attempt.late_time.as_ref()?);
    let ran = match (&attempt.late_start_time, &attempt.late_end_time) {
        (None, None) => "whether it ran is not known".to_owned(),
        (None, Some(_)) => "it never ran".to_owned(),
        (Some(start), None) => format!("it ran from {} on", output::rfc3339(start)),
        (Some(start), Some(end)) => {
            format!("it ran from {} to {} (its worker's clock)", output::rfc3339(start), output::rfc3339(end))
        }
    };
    let overlap = if attempt.overlap_possible { "; it may have run after it was given up" } else { "" };
    Some(format!(
        "given up at {}; its worker returned at {}: superseded; {ran}{overlap}",
        output::rfc3339(lost),
        output::rfc3339(late)
    ))
}

/// What the newest attempt uses while it runs; nothing where nobody knows, and with a coordinator that is older than this.
async fn now(page: &mut String, client: &Client, job: u64, task: &Task) {
    let Some(attempt) = task.attempts.last().filter(|attempt| attempt.end_time.is_none()) else { return };
    let (task_index, attempt) = (Some(task.index), Some(attempt.number));
    let request = GetUsageRequest { job: job.to_string(), task_index, attempt };
    let points = client.get_usage(request).await.map(|usage| usage.points).unwrap_or_default();
    let (Some(last), Some(peak)) = (points.last(), points.iter().map(|point| point.memory_bytes).max())
    else {
        return;
    };
    let shown = |bytes: u64| output::bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    let cpu = output::cores(i64::try_from(last.cpu_millis).unwrap_or(i64::MAX));
    let _infallible = writeln!(
        page,
        "\nUses now: {cpu} cpus, {}; at most {} so far",
        shown(last.memory_bytes),
        shown(peak)
    );
}

/// What is wrong with the node that runs the newest attempt.
async fn place(page: &mut String, client: &Client, job: u64, task: &Task) -> Result<(), Failure> {
    let Some(attempt) = task.attempts.last().filter(|attempt| attempt.end_time.is_none()) else {
        return Ok(());
    };
    let nodes = client.all_nodes().await?;
    let Some(node) = nodes.iter().find(|node| node.display_name == attempt.node_name) else { return Ok(()) };
    let own = format!("attempt {job}.{}.{}:", task.index, attempt.number);
    let concerns = |warning: &&String| !warning.starts_with("attempt ") || warning.starts_with(&own);
    let conditions = node.reasons.iter().chain(node.warnings.iter().filter(concerns));
    let words: Vec<String> = conditions
        .map(|condition| {
            let waits = if condition.contains("disk low") { " (its output waits for the disk)" } else { "" };
            format!("{}{waits}\n", escape_line(condition))
        })
        .collect();
    if !words.is_empty() {
        let _infallible = write!(page, "\nIts node {}\n{}", escape_line(&node.display_name), words.concat());
    }
    Ok(())
}

fn usage(attempt: &Attempt) -> String {
    let oom = if attempt.oom_seen { ", oom seen" } else { "" };
    attempt.usage.as_ref().map_or_else(
        || format!("unknown{oom}"),
        |usage| format!("{:.1}s cpu, {}{oom}", usage.cpu_seconds, output::bytes(usage.peak_memory_bytes)),
    )
}

async fn array(page: &mut String, client: &Client, job: &Job) -> Result<(), Failure> {
    let live = [
        TaskState::Placed,
        TaskState::Pulling,
        TaskState::Starting,
        TaskState::Running,
        TaskState::Stopping,
        TaskState::Unknown,
    ];
    for (head, states) in [("Running tasks", live.as_slice()), ("Failed tasks", &[TaskState::Failed])] {
        let tasks = wait::tasks_in(client, &job.id.to_string(), states).await?;
        if !tasks.is_empty() {
            let _infallible = writeln!(page, "\n{head} (first {})", tasks.len());
            page.push_str(&output::rows(&tasks));
        }
    }
    Ok(())
}

fn waits(page: &mut String, verdicts: &[NodeVerdict]) {
    if !verdicts.is_empty() {
        page.push_str("\nWhy it waits\n");
        page.push_str(&submit::verdicts(verdicts));
    }
}

async fn newest_events(client: &Client, job: &Job) -> Result<Vec<Event>, Failure> {
    let request =
        WatchEventsRequest { job: job.id.to_string(), newest: EVENTS, ..WatchEventsRequest::default() };
    let mut watch = client.watch_events(request);
    let mut newest = Vec::new();
    while let Some(event) = watch.next().await? {
        newest.push(event);
    }
    Ok(newest)
}

fn events(page: &mut String, events: &[Event]) {
    if !events.is_empty() {
        page.push_str("\nEvents\n");
        page.push_str(&output::rows(events));
    }
}
