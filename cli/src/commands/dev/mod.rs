//! `dev`: a coordinator and workers on this machine, for one person.
//!
//! Owns the order of things: token, coordinator, workers, ready; then, at a signal: jobs, workers, coordinator, token. It
//! starts the programs that stand beside it and speaks to them as any client does.

mod machine;
mod program;
mod shutdown;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use dockmgr_client::Client;
use dockmgr_proto::v1::node::State;
use dockmgr_support::dev_token;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::program::Programs;
use crate::contexts::write_private;
use crate::failure::Failure;
use crate::follow::Interrupts;
use crate::output;
use crate::settings::Reach;

/// Longest wait until the cluster takes work: a cold start of all programs on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How often is looked whether it does: a person does not notice this delay.
const READY_POLL: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of workers; they share the machine
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Folder for all data.
    #[arg(long, help = "Folder for all data [default: $XDG_STATE_HOME/dockmgr/dev]", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of the API, on loopback; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:7443", value_name = "ADDR")]
    listen: SocketAddr,
    /// Where the state is kept
    #[arg(long, value_enum, default_value_t = Store::Redb)]
    store: Store,
    /// etcd endpoints, for --store etcd
    #[arg(long, value_name = "URL,..", required_if_eq("store", "etcd"))]
    etcd: Option<String>,
    /// What runs the containers
    #[arg(long, value_enum, default_value_t = Runtime::Docker)]
    runtime: Runtime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    /// A file of this machine
    Redb,
    /// An etcd cluster
    Etcd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Runtime {
    /// The Docker daemon of this machine
    Docker,
    /// Nothing is run: a few shell words are acted out, with 64 cores a worker
    Fake,
}

pub(crate) async fn execute(args: Args) -> Result<u8, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let plan = Plan::make(args)?;
    let (fatal, mut fatals) = mpsc::channel(1);
    let programs = Programs::start(&plan, &fatal)?;
    let reach = plan.reach();
    let ended = tokio::select! {
        // Everything is up; then it runs until someone ends it.
        up = ready(&reach, &plan) => match up {
            Err(failure) => Err(failure),
            Ok(client) => serve(&client, &plan, &mut interrupts, &mut fatals).await,
        },
        // A program cannot run at all: starting it again would not help.
        Some(failure) = fatals.recv() => Err(failure),
        // Ended before it was up: there are no jobs yet.
        () = interrupts.next() => Ok(()),
    };
    programs.end().await;
    let _gone_already = std::fs::remove_file(&plan.token_file);
    ended.map(|()| 0)
}

/// Runs until a signal, then ends the jobs.
async fn serve(
    client: &Client,
    plan: &Plan,
    interrupts: &mut Interrupts,
    fatals: &mut mpsc::Receiver<Failure>,
) -> Result<(), Failure> {
    let workers =
        if plan.args.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", plan.args.workers) };
    output::print(&format!(
        "ready: {} with {workers}; data and logs in {}\npage: {}\n",
        plan.server(),
        plan.data.display(),
        plan.page
    ))?;
    tokio::select! {
        // A person or a supervisor wants it to end.
        () = interrupts.next() => {}
        // A program cannot run any more.
        Some(failure) = fatals.recv() => return Err(failure),
    }
    output::say("ending: stopping the jobs, then the workers, then the coordinator (again to hurry)");
    tokio::select! {
        // All jobs have ended and are cleaned up, or the time for it is over.
        () = shutdown::end_jobs(client) => {}
        // A person is in a hurry: what runs is cleaned up at the next start.
        () = interrupts.next() => {}
    }
    Ok(())
}

/// Waits until the coordinator serves and every worker is ready.
async fn ready(reach: &Reach, plan: &Plan) -> Result<Client, Failure> {
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        let problem = match look(reach).await {
            Ok((client, ready)) if ready >= usize::from(plan.args.workers) => return Ok(client),
            Ok((_, ready)) => format!("{ready} of {} workers are ready", plan.args.workers),
            Err(failure) => failure.what,
        };
        if Instant::now() >= deadline {
            return Err(Failure::failed(format!(
                "the cluster is not ready after {} s: {problem}",
                READY_LIMIT.as_secs()
            ))
            .hint(format!("see the logs in {}", plan.data.display())));
        }
        tokio::time::sleep(READY_POLL).await;
    }
}

async fn look(reach: &Reach) -> Result<(Client, usize), Failure> {
    let client = reach.connect().await?;
    if !client.is_serving().await? {
        return Ok((client, 0));
    }
    let nodes = client.all_nodes().await?;
    let ready = nodes.iter().filter(|node| node.state() == State::Ready || node.draining).count();
    Ok((client, ready))
}

/// Everything that is decided before the first program starts.
struct Plan {
    args: Args,
    data: PathBuf,
    listen: SocketAddr,
    token_file: PathBuf,
    /// Address of the web page with the token: a browser sends nothing behind the `#` to anybody.
    page: String,
    /// Whether a store or a daemon must be named to the workers, and what each worker may use.
    share: machine::Share,
}

impl Plan {
    fn make(args: Args) -> Result<Self, Failure> {
        if !args.listen.ip().is_loopback() {
            return Err(Failure::usage(format!("dev listens on loopback only, not on {}", args.listen.ip()))
                .hint("start dockmgr-coordinator and dockmgr-worker yourself to serve a network, with TLS and a token"));
        }
        let cannot = |what: &str, error: &std::io::Error| Failure::failed(format!("{what}: {error}"));
        let listen = free_address(args.listen).map_err(|error| {
            cannot(&format!("listen on {}", args.listen), &error)
                .hint("another dev may be running: cluster-cli doctor; --listen takes another address")
        })?;
        let data =
            args.data.clone().or_else(machine::default_data).ok_or_else(|| {
                Failure::usage("no folder for the data").hint("give --data DIR, or set HOME")
            })?;
        let data =
            std::path::absolute(&data).map_err(|error| cannot("make the data path absolute", &error))?;
        std::fs::create_dir_all(&data)
            .map_err(|error| cannot(&format!("make {}", data.display()), &error))?;
        let token_file = dev_token::path(listen.port()).unwrap_or_else(|| data.join("token"));
        let token = machine::fresh_token().map_err(|error| cannot("make a token", &error))?;
        write_private(&token_file, &token)
            .map_err(|error| cannot(&format!("write the token file {}", token_file.display()), &error))?;
        let share = match args.runtime {
            Runtime::Docker => machine::share(args.workers),
            Runtime::Fake => machine::PRETENDED,
        };
        let page = format!("http://{listen}/#token={}", token.trim_end());
        Ok(Self { args, data, listen, token_file, page, share })
    }

    fn server(&self) -> String {
        format!("http://{}", self.listen)
    }

    fn reach(&self) -> Reach {
        Reach { server: Some(self.server()), token_file: Some(self.token_file.clone()), ..Reach::default() }
    }
}

/// The address itself if nobody listens there yet; for port 0 one that is free now.
fn free_address(wanted: SocketAddr) -> std::io::Result<SocketAddr> {
    TcpListener::bind(wanted)?.local_addr()
}
