//! `submit`: queue a job, print its number, perhaps wait for it or follow it.

use std::io::IsTerminal as _;

use dockmgr_client::Client;
use dockmgr_proto::v1::{CreateJobRequest, Job, NodeVerdict, TailLogsRequest};

use super::wait;
use crate::failure::{Failure, Kind};
use crate::follow::{OnInterrupt, Printer, Progress, Shown, Style, explain_end};
use crate::settings::Reach;
use crate::spec::{SpecFlags, Wish};
use crate::terminal::escape_line;
use crate::{exit, output};

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    spec: SpecFlags,
    /// Wait for the end and exit with the job's code
    #[arg(long)]
    wait: bool,
    /// Show the output meanwhile; Ctrl-C leaves, the job goes on
    #[arg(long)]
    follow: bool,
    /// Check everything and say where it could run, but queue nothing
    #[arg(long)]
    dry_run: bool,
    /// Write control bytes to a terminal as they are
    #[arg(long, requires = "follow")]
    raw: bool,
    /// How the job is written
    #[arg(short, long, value_enum, default_value_t)]
    output: output::Format,
    /// Command: several words run exactly, one with spaces or shell characters is a script, - reads one from standard input
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Args {
    /// Whether the exit code is the job's.
    pub(crate) fn waits(&self) -> bool {
        self.wait && !self.dry_run
    }
}

/// A job that was taken.
pub(super) struct Sent {
    pub(super) job: Job,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let wish = crate::spec::wish(args.spec, &args.command)?;
    let client = reach.connect().await?;
    if args.dry_run {
        return dry_run(&client, wish, args.output).await;
    }
    let Sent { job } = send(&client, wish).await?;
    output::object(args.output, &job, &job.id.to_string())?;
    if args.follow {
        return follow(&client, &job, args.raw, args.wait).await;
    }
    if args.wait {
        return wait::until_ended(&client, &job.id.to_string(), None).await;
    }
    Ok(0)
}

/// Sends a wish.
pub(super) async fn send(client: &Client, wish: Wish) -> Result<Sent, Failure> {
    let request = CreateJobRequest { spec: Some(wish.spec), key: wish.key, ..CreateJobRequest::default() };
    let job = client.create_job(request).await?.job.ok_or_else(|| super::missing("job"))?;
    Ok(Sent { job })
}

/// How the job's output looks on our streams.
pub(super) fn style(job: &Job, raw: bool) -> Style {
    Style {
        prefixed: job.spec.as_ref().is_some_and(|spec| spec.array.is_some()),
        guard_stdout: !raw && std::io::stdout().is_terminal(),
        guard_stderr: !raw && std::io::stderr().is_terminal(),
        ..Style::default()
    }
}

/// Has the coordinator check a wish and says what each node thinks of it.
pub(super) async fn dry_run(client: &Client, wish: Wish, format: output::Format) -> Result<u8, Failure> {
    let request = CreateJobRequest {
        spec: Some(wish.spec),
        key: wish.key,
        validate_only: true,
        ..CreateJobRequest::default()
    };
    let answer = client.create_job(request).await?;
    match format {
        output::Format::Table | output::Format::Wide | output::Format::Name => {
            output::print(&verdicts(&answer.verdicts))?;
        }
        output::Format::Jsonl => output::print(&output::json_line(&answer)?)?,
        output::Format::Json => output::print(&output::pretty(&answer)?)?,
        output::Format::Yaml => output::print(&output::yaml(&answer)?)?,
    }
    if !answer.verdicts.is_empty() && answer.verdicts.iter().all(|verdict| !verdict.fits_ever) {
        return Err(Failure::new(Kind::Impossible, "no node can ever run this job"));
    }
    Ok(0)
}

/// What each node says, as a table.
pub(super) fn verdicts(verdicts: &[NodeVerdict]) -> String {
    if verdicts.is_empty() {
        return "no node has registered yet: the job would wait for one\n".to_owned();
    }
    let yes = |truth: bool| if truth { "yes".to_owned() } else { "no".to_owned() };
    output::columns(
        &["NODE", "NOW", "EVER", "REASON"],
        verdicts.iter().map(|v| {
            vec![escape_line(&v.node_name), yes(v.fits_now), yes(v.fits_ever), escape_line(&v.reason)]
        }),
    )
}

async fn follow(client: &Client, job: &Job, raw: bool, waits: bool) -> Result<u8, Failure> {
    let progress = Progress::of(client, job);
    let seen = progress.is_seen();
    let number = job.id.to_string();
    let shown = Shown {
        client,
        request: TailLogsRequest { job: number.clone(), follow: true, ..TailLogsRequest::default() },
        printer: Printer::new(style(job, raw)),
        progress,
        on_interrupt: OnInterrupt::Leave,
    };
    let ended = shown.until_the_end().await?;
    if let Some(words) = ended.as_ref().and_then(|job| explain_end(job, seen)) {
        output::say(&words);
    }
    match ended {
        _ if !waits => Ok(0),
        Some(job) => Ok(exit::of_job(&job)),
        None => wait::until_ended(client, &number, None).await,
    }
}
