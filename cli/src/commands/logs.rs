//! `logs`: the kept and the live output of a job, or of many.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use dockmgr_client::Client;
use dockmgr_core::search::Query;
use dockmgr_proto::v1::{GetJobRequest, Job, ListJobsRequest, LogStream, TailLogsRequest, WatchJobsRequest};
use jiff::Timestamp;
use tonic::Code;

use crate::failure::Failure;
use crate::follow::{OnInterrupt, Printer, Progress, Shown, Style};
use crate::job_ref::{self, JobRef};
use crate::lines::{self, Lines};
use crate::output;
use crate::parse::{self, Pair};
use crate::settings::Reach;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on until the job has ended; Ctrl-C leaves, the job goes on
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines of each attempt
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<u32>,
    /// Only from this time on: RFC 3339, or how long ago
    #[arg(long, value_name = "T", value_parser = parse::moment)]
    since: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "T", value_parser = parse::moment)]
    until: Option<Timestamp>,
    /// Begin each line with its time
    #[arg(short, long)]
    timestamps: bool,
    /// Only one stream
    #[arg(long, value_enum)]
    stream: Option<Stream>,
    /// Only this attempt [default: the last]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Write control bytes to a terminal as they are
    #[arg(long)]
    raw: bool,
    /// jsonl: the API's JSON, one event a line
    #[arg(short, long, value_enum, conflicts_with_all = ["grep", "label"])]
    output: Option<Output>,
    /// Only lines that match, in the language of `search`
    #[arg(long, value_name = "QUERY")]
    grep: Option<String>,
    /// All jobs with this label, their lines in the order of time
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::label, conflicts_with_all = ["job", "attempt"])]
    label: Vec<Pair>,
    /// Job (number, name, uid, last), task (42.7) or attempt (42.7.2)
    #[arg(value_name = "JOB", value_parser = job_ref::parse_attempt, required_unless_present = "label")]
    job: Option<JobRef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Jsonl,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let query = query(&args)?;
    let client = reach.connect().await?;
    let Some(wanted) = &args.job else {
        return many(&client, &args, query).await;
    };
    let attempt = args.attempt.or(wanted.attempt);
    let job = match client.get_job(GetJobRequest { job: wanted.job.clone(), explain: false }).await {
        Ok(found) => {
            let job = found.job.ok_or_else(|| super::missing("job"))?;
            known(&job, wanted.task, attempt)?;
            job
        }
        // The output of a forgotten job is found by its number; without its record nobody knows whether it was an array.
        Err(error) if error.code() == Some(Code::NotFound) => {
            Job { id: wanted.job.parse().map_err(|_| error)?, ..Job::default() }
        }
        Err(error) => return Err(error.into()),
    };
    let is_array = job.spec.as_ref().is_some_and(|spec| spec.array.is_some());
    let request =
        TailLogsRequest { job: job.id.to_string(), task_index: wanted.task, attempt, ..request_of(&args) };
    let prefixed = is_array && wanted.task.is_none();
    if args.grep.is_some() {
        let any = lines(&client, &args, request, query, prefixed).show(vec![job], None).await?;
        return Ok(u8::from(!any));
    }
    let [guard_stdout, guard_stderr] = guards(&args);
    let json = args.output == Some(Output::Jsonl);
    let style = Style { prefixed, timestamps: args.timestamps, json, guard_stdout, guard_stderr };
    let shown = Shown {
        client: &client,
        request,
        printer: Printer::new(style),
        progress: Progress::none(),
        on_interrupt: OnInterrupt::Leave,
    };
    shown.until_the_end().await?;
    Ok(0)
}

/// The lines of all jobs with the labels.
async fn many(client: &Client, args: &Args, query: Query) -> Result<u8, Failure> {
    let filter = super::ps::labels(&args.label);
    let page_size = i32::try_from(lines::MOST_SOURCES).unwrap_or(i32::MAX);
    let request = ListJobsRequest { page_size, filter: filter.clone(), ..ListJobsRequest::default() };
    let page = client.list_jobs(request).await?;
    if !page.next_page_token.is_empty() {
        output::say(&format!(
            "cluster-cli: more than {page_size} jobs have these labels: only the newest {page_size} are shown"
        ));
    }
    // Watched from the list on: what the list has not is new.
    let watch =
        args.follow.then(|| client.watch_jobs(WatchJobsRequest { filter, ..WatchJobsRequest::default() }));
    let any = lines(client, args, request_of(args), query, true).show(page.jobs, watch).await?;
    Ok(u8::from(args.grep.is_some() && !any))
}

fn lines<'a>(
    client: &'a Client,
    args: &Args,
    request: TailLogsRequest,
    query: Query,
    prefixed: bool,
) -> Lines<'a> {
    Lines { client, request, query, prefixed, timestamps: args.timestamps, guard: guards(args) }
}

/// What is asked of lines.
fn query(args: &Args) -> Result<Query, Failure> {
    let query = Query::parse(args.grep.as_deref().unwrap_or_default());
    query.map_err(|error| Failure::usage(format!("no query: {error}")))
}

/// What is asked of each job.
fn request_of(args: &Args) -> TailLogsRequest {
    let stream = match args.stream {
        None => LogStream::Unspecified,
        Some(Stream::Stdout) => LogStream::Stdout,
        Some(Stream::Stderr) => LogStream::Stderr,
    };
    TailLogsRequest {
        follow: args.follow,
        tail_lines: args.tail,
        since_time: args.since.map(super::wire_time),
        until_time: args.until.map(super::wire_time),
        stream: stream.into(),
        ..TailLogsRequest::default()
    }
}

/// Whether control bytes are made harmless on standard output and standard error.
fn guards(args: &Args) -> [bool; 2] {
    [std::io::stdout().is_terminal(), std::io::stderr().is_terminal()].map(|terminal| terminal && !args.raw)
}

/// Refuses a task or an attempt that the job cannot have, rather than showing nothing.
fn known(job: &Job, task: Option<u32>, attempt: Option<u32>) -> Result<(), Failure> {
    let array = job.spec.as_ref().and_then(|spec| spec.array);
    let (first, last) = array.map_or((0, 0), |array| (array.first, array.last));
    if let Some(task) = task.filter(|task| !(first..=last).contains(task)) {
        return Err(Failure::failed(format!("job {} has no task {task}", job.id)));
    }
    let newest = job.task.as_ref().map(|task| task.attempts.last().map_or(0, |attempt| attempt.number));
    match (attempt, newest) {
        (Some(attempt), Some(newest)) if attempt > newest => {
            Err(Failure::failed(format!("job {} has no attempt {attempt} (its newest: {newest})", job.id)))
        }
        _ => Ok(()),
    }
}
