//! `run`: submit, follow the output, exit with the command's own code.

use dockmgr_proto::v1::TailLogsRequest;

use super::submit::{self, Sent};
use crate::exit;
use crate::failure::Failure;
use crate::follow::{OnInterrupt, Printer, Progress, Shown, explain_end};
use crate::output;
use crate::settings::Reach;
use crate::spec::SpecFlags;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    spec: SpecFlags,
    /// Check everything and say where it could run, but run nothing
    #[arg(long)]
    dry_run: bool,
    /// Write control bytes to a terminal as they are
    #[arg(long)]
    raw: bool,
    /// How --dry-run writes its verdicts
    #[arg(short, long, value_enum, default_value_t, requires = "dry_run")]
    output: output::Format,
    /// Command: several words run exactly, one with spaces or shell characters is a script, - reads one from standard input
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Args {
    /// Whether nothing is run, so that there is no job to speak for.
    pub(crate) fn is_dry(&self) -> bool {
        self.dry_run
    }
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let wish = crate::spec::wish(args.spec, &args.command)?;
    let client = reach.connect().await?;
    if args.dry_run {
        return submit::dry_run(&client, wish, args.output).await;
    }
    let Sent { job } = submit::send(&client, wish).await?;
    let progress = Progress::of(&client, &job);
    let seen = progress.is_seen();
    let number = job.id.to_string();
    let shown = Shown {
        client: &client,
        request: TailLogsRequest { job: number.clone(), follow: true, ..TailLogsRequest::default() },
        printer: Printer::new(submit::style(&job, args.raw)),
        progress,
        on_interrupt: OnInterrupt::End,
    };
    let ended = match shown.until_the_end().await? {
        Some(job) => job,
        None => client.wait_until_ended(&number, None).await?.ok_or_else(|| super::missing("job"))?,
    };
    if let Some(words) = explain_end(&ended, seen) {
        output::say(&words);
    }
    Ok(exit::of_job(&ended))
}
