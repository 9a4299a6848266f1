//! `prune`: forget all ended jobs that are not pinned, after asking.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use dockmgr_proto::v1::DeleteJobRequest;

use super::ps;
use crate::failure::Failure;
use crate::output;
use crate::settings::Reach;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Delete their logs too
    #[arg(long)]
    logs: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Only say which jobs would be forgotten
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let client = &reach.connect().await?;
    let mut jobs = ps::all(client, "state != ACTIVE".to_owned()).await?;
    jobs.retain(|job| !job.pinned);
    if args.dry_run {
        output::list(output::Format::Name, &jobs)?;
        return Ok(0);
    }
    if jobs.is_empty() {
        return Ok(0);
    }
    if !args.yes && !agreed(jobs.len(), args.logs)? {
        return Err(Failure::failed("nothing was forgotten"));
    }
    let delete_logs = args.logs;
    super::each(jobs, |job| async move {
        let number = job.id.to_string();
        client.delete_job(DeleteJobRequest { job: number.clone(), delete_logs, force: false }).await?;
        output::print(&format!("{number}\n"))
    })
    .await
}

/// Asks the person; without one, `--yes` must be written out.
fn agreed(count: usize, logs: bool) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(
            Failure::usage(format!("{count} ended jobs would be forgotten")).hint("say so with --yes")
        );
    }
    let with = if logs { " and their logs" } else { "" };
    write!(io::stderr().lock(), "Forget {count} ended jobs{with}? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
