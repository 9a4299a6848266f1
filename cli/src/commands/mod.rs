//! One file a command: its flags, and what it does with them.
//!
//! Each `execute` gives the exit code; a [`crate::failure::Failure`] becomes one in `main`.

mod completion;
mod context;
pub(crate) mod describe;
mod dev;
mod doctor;
mod events;
mod inspect;
mod kill;
mod logs;
mod man;
mod node;
mod pin;
mod prune;
mod ps;
mod remove;
mod retry;
mod run;
mod search;
mod stop;
mod submit;
mod top;
mod unpin;
mod version;
mod wait;

use clap::Subcommand;

use crate::exit::Speaks;
use crate::failure::Failure;
use crate::settings::Reach;

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command in the cluster, show its output, exit with its code
    Run(run::Args),
    /// Queue a job and print its number
    Submit(submit::Args),
    /// List jobs, newest first
    Ps(ps::Args),
    /// Show the records of jobs
    Inspect(inspect::Args),
    /// Show a job for people: spec, attempts, why it waits, events
    Describe(describe::Args),
    /// Show the output of a job
    Logs(logs::Args),
    /// Find lines in the output of all jobs
    Search(search::Args),
    /// End jobs: stop signal, grace, SIGKILL
    Stop(stop::Args),
    /// End jobs at once
    Kill(kill::Args),
    /// Wait for the end of jobs and exit with their code
    Wait(wait::Args),
    /// Make a new job from an ended one
    Retry(retry::Args),
    /// Keep jobs and their output, however old they become
    Pin(pin::Args),
    /// Keep them only as long as others
    Unpin(unpin::Args),
    /// Forget ended jobs; their logs stay unless --logs
    Rm(remove::Args),
    /// Forget all ended jobs that are not pinned
    Prune(prune::Args),
    /// Look at and manage nodes
    Node(node::Args),
    /// Show what happens in the cluster
    Events(events::Args),
    /// Show workers and jobs on one screen, live
    Top(top::Args),
    /// Start a cluster on this machine
    Dev(dev::Args),
    /// Look for what is wrong
    Doctor(doctor::Args),
    /// Show the versions of this program and of the workers
    Version(version::Args),
    /// Print a completion script for a shell
    Completion(completion::Args),
    /// Manage names for clusters
    Context(context::Args),
    /// Write manual pages into a folder
    #[command(hide = true)]
    Man(man::Args),
}

impl Command {
    /// Whose exit code it gives.
    pub(crate) fn speaks(&self) -> Speaks {
        match self {
            Self::Run(args) if args.is_dry() => Speaks::ForItself,
            Self::Run(_) | Self::Wait(_) => Speaks::ForJob,
            Self::Submit(args) if args.waits() => Speaks::ForJob,
            _ => Speaks::ForItself,
        }
    }

    /// Does it.
    pub(crate) async fn execute(self, reach: &Reach) -> Result<u8, Failure> {
        match self {
            Self::Run(args) => run::execute(reach, args).await,
            Self::Submit(args) => submit::execute(reach, args).await,
            Self::Ps(args) => ps::execute(reach, args).await,
            Self::Inspect(args) => inspect::execute(reach, args).await,
            Self::Describe(args) => describe::execute(reach, args).await,
            Self::Logs(args) => logs::execute(reach, args).await,
            Self::Search(args) => search::execute(reach, args).await,
            Self::Stop(args) => stop::execute(reach, args).await,
            Self::Kill(args) => kill::execute(reach, args).await,
            Self::Wait(args) => wait::execute(reach, args).await,
            Self::Retry(args) => retry::execute(reach, args).await,
            Self::Pin(args) => pin::execute(reach, args).await,
            Self::Unpin(args) => unpin::execute(reach, args).await,
            Self::Rm(args) => remove::execute(reach, args).await,
            Self::Prune(args) => prune::execute(reach, args).await,
            Self::Node(args) => node::execute(reach, args).await,
            Self::Events(args) => events::execute(reach, args).await,
            Self::Top(args) => top::execute(reach, args).await,
            Self::Dev(args) => dev::execute(args).await,
            Self::Doctor(args) => doctor::execute(reach, args).await,
            Self::Version(args) => version::execute(reach, args).await,
            Self::Completion(args) => completion::execute(&args),
            Self::Context(args) => context::execute(args, reach),
            Self::Man(args) => man::execute(&args),
        }
    }
}

/// A point in time as the API has it.
fn wire_time(time: jiff::Timestamp) -> dockmgr_proto::wkt::Timestamp {
    dockmgr_proto::wkt::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// What an answer lacked although the API promises it.
fn missing(what: &str) -> Failure {
    Failure::failed(format!("the coordinator's answer has no {what}"))
        .hint("cluster-cli version compares the versions")
}

/// Does one thing to each job, goes on after a failure, and fails if one failed.
async fn each<T, F>(all: Vec<T>, act: impl Fn(T) -> F) -> Result<u8, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let mut first: Option<Failure> = None;
    for one in all {
        match act(one).await {
            Ok(()) => {}
            Err(failure) if first.is_some() => crate::output::say(failure.to_string().trim_end()),
            Err(failure) => first = Some(failure),
        }
    }
    first.map_or(Ok(0), Err)
}
