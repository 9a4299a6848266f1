//! `events`: what happens in the cluster.

use dockmgr_proto::v1::WatchEventsRequest;

use crate::failure::{Failure, Kind};
use crate::follow::Interrupts;
use crate::job_ref::{self, JobRef};
use crate::output::{self, Format, Row as _};
use crate::settings::Reach;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on with what happens from now
    #[arg(short, long)]
    follow: bool,
    /// Only about this job
    #[arg(long, value_name = "JOB", value_parser = job_ref::parse)]
    job: Option<JobRef>,
    /// Only about this node
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// How events are written
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let client = reach.connect().await?;
    let mut interrupts = Interrupts::listen()?;
    let mut watch = client.watch_events(WatchEventsRequest {
        job: args.job.map(|job| job.job).unwrap_or_default(),
        node: args.node.unwrap_or_default(),
        follow: args.follow,
        ..WatchEventsRequest::default()
    });
    let mut kept = Vec::new();
    loop {
        let event = tokio::select! {
            // Something happened, or all that is kept was sent.
            event = watch.next() => event?,
            // A person wants to go.
            () = interrupts.next() => return Err(Failure::new(Kind::Interrupted, "")),
        };
        match (event, args.output) {
            (None, Format::Jsonl) => return Ok(0),
            (None, format) if args.follow => {
                return Err(Failure::failed(format!("the events ended ({format:?})")));
            }
            (None, format) => {
                output::list(format, &kept)?;
                return Ok(0);
            }
            (Some(event), Format::Table | Format::Wide) if args.follow => {
                output::print(&(event.cells(false).join("  ") + "\n"))?;
            }
            (Some(event), Format::Name) if args.follow => output::print(&(event.name() + "\n"))?,
            (Some(event), Format::Jsonl) => output::print(&output::json_line(&event)?)?,
            (Some(event), Format::Json | Format::Yaml) if args.follow => {
                output::print(&output::json_line(&event)?)?;
            }
            (Some(event), _) => kept.push(event),
        }
    }
}
