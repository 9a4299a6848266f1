//! `ps`: jobs, newest first.

use clap::ValueEnum;
use dockmgr_client::Client;
use dockmgr_proto::v1::watch_jobs_response::Event;
use dockmgr_proto::v1::{Job, ListJobsRequest, WatchJobsRequest};

use crate::failure::{Failure, Kind};
use crate::follow::Interrupts;
use crate::output::{self, Format};
use crate::parse::{self, Pair};
use crate::settings::Reach;

/// Ended jobs that are shown beside the active ones when nothing else was asked for.
const RECENT: usize = 10;
/// Jobs a call.
const PAGE: i32 = 1000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// All jobs, not only the active and the last ten ended ones
    #[arg(short, long)]
    all: bool,
    /// Only jobs with this label
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse::label)]
    label: Vec<Pair>,
    /// Only jobs in this state, or with a task in it
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only the numbers
    #[arg(short, long, conflicts_with = "output")]
    quiet: bool,
    /// Go on and write every change (one line each)
    #[arg(short, long)]
    watch: bool,
    /// How jobs are written
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Not ended
    Active,
    /// A task waits for a place
    Queued,
    /// A task has a place and its container does not run yet
    Starting,
    /// A task runs
    Running,
    /// A task is on a silent worker
    Unknown,
    /// All tasks succeeded
    Succeeded,
    /// A task failed
    Failed,
    /// Stopped or killed
    Cancelled,
}

impl State {
    /// The state of the whole job in the API's filter.
    fn filter(self) -> &'static str {
        match self {
            Self::Active | Self::Queued | Self::Starting | Self::Running | Self::Unknown => "state = ACTIVE",
            Self::Succeeded => "state = SUCCEEDED",
            Self::Failed => "state = FAILED",
            Self::Cancelled => "state = CANCELLED",
        }
    }

    /// Whether a job that passed the filter has a task there.
    fn has(self, job: &Job) -> bool {
        let tasks = job.tasks.unwrap_or_default();
        match self {
            Self::Active | Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Queued => tasks.queued > 0,
            Self::Starting => tasks.starting > 0,
            Self::Running => tasks.running > 0,
            Self::Unknown => tasks.unknown > 0,
        }
    }
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let client = reach.connect().await?;
    let format = if args.quiet { Format::Name } else { args.output };
    if args.watch {
        return watch(&client, &args, format).await;
    }
    let mut jobs = if args.all || args.state.is_some() {
        all(&client, filter(&args)).await?
    } else {
        recent(&client, &filter(&args)).await?
    };
    jobs.retain(|job| args.state.is_none_or(|state| state.has(job)));
    output::list(format, &jobs)?;
    Ok(0)
}

/// The filter in the API's language.
fn filter(args: &Args) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(state) = args.state {
        parts.push(state.filter().to_owned());
    }
    parts.extend(Some(labels(&args.label)).filter(|labels| !labels.is_empty()));
    parts.join(" AND ")
}

/// The filter for jobs that have all of these labels.
pub(super) fn labels(labels: &[Pair]) -> String {
    let label = |label: &Pair| {
        let value = label.value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("labels.{} = \"{value}\"", label.key)
    };
    labels.iter().map(label).collect::<Vec<_>>().join(" AND ")
}

/// Every job the filter lets through.
pub(super) async fn all(client: &Client, filter: String) -> Result<Vec<Job>, Failure> {
    let mut jobs = Vec::new();
    let mut request = ListJobsRequest { page_size: PAGE, filter, ..ListJobsRequest::default() };
    loop {
        let page = client.list_jobs(request.clone()).await?;
        jobs.extend(page.jobs);
        if page.next_page_token.is_empty() {
            return Ok(jobs);
        }
        request.page_token = page.next_page_token;
    }
}

/// The active jobs and the last ended ones.
async fn recent(client: &Client, filter: &str) -> Result<Vec<Job>, Failure> {
    let and = |condition: &str| {
        if filter.is_empty() { condition.to_owned() } else { format!("{filter} AND {condition}") }
    };
    let mut jobs = all(client, and("state = ACTIVE")).await?;
    let request = ListJobsRequest {
        page_size: i32::try_from(RECENT).unwrap_or(10),
        filter: and("state != ACTIVE"),
        ..ListJobsRequest::default()
    };
    jobs.extend(client.list_jobs(request).await?.jobs.into_iter().take(RECENT));
    jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
    jobs.dedup_by_key(|job| job.id);
    Ok(jobs)
}

async fn watch(client: &Client, args: &Args, format: Format) -> Result<u8, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let mut watch =
        client.watch_jobs(WatchJobsRequest { filter: filter(args), ..WatchJobsRequest::default() });
    let head = matches!(format, Format::Table | Format::Wide);
    if head {
        output::print("ID      STATE       TASKS                 COMMAND\n")?;
    }
    loop {
        tokio::select! {
            // A job changed.
            step = watch.next() => match step? {
                Event::Changed(job) if args.state.is_none_or(|state| state.has(&job)) => line(&job, format)?,
                Event::Changed(_) | Event::DeletedId(_) | Event::Bookmark(_) => {}
            },
            // A person wants to go.
            () = interrupts.next() => return Err(Failure::new(Kind::Interrupted, "")),
        }
    }
}

fn line(job: &Job, format: Format) -> Result<(), Failure> {
    match format {
        Format::Table | Format::Wide => {
            let is_array = job.spec.as_ref().is_some_and(|spec| spec.array.is_some());
            let tasks = job.tasks.as_ref().map(|tasks| output::bar(tasks, is_array)).unwrap_or_default();
            let command = job.spec.as_ref().map(output::command_text).unwrap_or_default();
            output::print(&format!("{:<7} {:<11} {tasks:<21} {command}\n", job.id, output::state_word(job)))
        }
        Format::Name => output::print(&format!("{}\n", job.id)),
        Format::Json | Format::Jsonl | Format::Yaml => output::print(&output::json_line(job)?),
    }
}
