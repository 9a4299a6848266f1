//! `logs`: the kept and the live output of a job.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use dockmgr_proto::v1::{GetJobRequest, Job, LogStream, TailLogsRequest};
use jiff::Timestamp;
use tonic::Code;

use crate::failure::Failure;
use crate::follow::{OnInterrupt, Printer, Progress, Shown, Style};
use crate::job_ref::{self, JobRef};
use crate::parse;
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
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    /// Job (number, name, uid, last), task (42.7) or attempt (42.7.2)
    #[arg(value_name = "JOB", value_parser = job_ref::parse_attempt)]
    job: JobRef,
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
    let client = reach.connect().await?;
    let attempt = args.attempt.or(args.job.attempt);
    let (job, is_array) =
        match client.get_job(GetJobRequest { job: args.job.job.clone(), explain: false }).await {
            Ok(found) => {
                let job = found.job.ok_or_else(|| super::missing("job"))?;
                known(&job, args.job.task, attempt)?;
                (job.id.to_string(), job.spec.is_some_and(|spec| spec.array.is_some()))
            }
            // The output of a forgotten job is found by its number; without its record nobody knows whether it was an array.
            Err(error) if error.code() == Some(Code::NotFound) => (args.job.job.clone(), false),
            Err(error) => return Err(error.into()),
        };
    let stream = match args.stream {
        None => LogStream::Unspecified,
        Some(Stream::Stdout) => LogStream::Stdout,
        Some(Stream::Stderr) => LogStream::Stderr,
    };
    let request = TailLogsRequest {
        job,
        task_index: args.job.task,
        attempt,
        follow: args.follow,
        tail_lines: args.tail,
        since_time: args.since.map(super::wire_time),
        until_time: args.until.map(super::wire_time),
        stream: stream.into(),
        resume_token: String::new(),
    };
    let style = Style {
        prefixed: is_array && args.job.task.is_none(),
        timestamps: args.timestamps,
        json: args.output == Some(Output::Jsonl),
        guard_stdout: !args.raw && std::io::stdout().is_terminal(),
        guard_stderr: !args.raw && std::io::stderr().is_terminal(),
    };
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
