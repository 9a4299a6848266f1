//! The program put together: the only place that names concrete parts.
//!
//! ```text
//! open store -> bind -> serve -> campaign -> lead --lease lost--> campaign again
//!                                             \--stop--> not serving -> finish the commit -> resign -> exit
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockmgr_core::ids::ClusterId;
use dockmgr_core::spec::Defaults;
use dockmgr_support::backoff::Backoff;
use dockmgr_support::error_chain::Chain;
use dockmgr_support::metrics::disks::Disks;
use dockmgr_support::metrics::{self, Listener};
use dockmgr_support::tasks::Tasks;
use dockmgr_support::traces::{self, Service, Tracer};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::compaction;
use crate::config::Config;
use crate::controller::{self, Handle, Publisher, Terms};
use crate::export::{self, Hold, Shipper};
use crate::forward::{ForwardLayer, Leading, Place, peer_tls};
use crate::logs::{self, LogStore, Sharing};
use crate::metrics::Metrics;
use crate::metrics::page::CoordinatorPage;
use crate::retention;
use crate::rpc::{Events, Gate, Jobs, Logs, Nodes, Overview, SessionDesk, UploadDesk, Workers};
use crate::server::{self, Bound, Health, Services};
use crate::store::{self, Candidate, Outlook, Store};
use crate::usage::UsageBook;
use crate::witness::Witness;

/// How long open calls may take to end after the coordinator was asked to: streams hear at once, unary calls take moments.
const DRAIN: Duration = Duration::from_secs(3);
/// Wait before the first new try after the store failed.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// A term or a campaign that lasted this long was no failure: the next wait is the first again.
const GOOD_TERM: Duration = Duration::from_secs(10);
/// Longest wait between two tries.
const RETRY_MOST: Duration = Duration::from_secs(5);

/// Why the coordinator ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be used.
    #[error("use data folder '{}'", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The store failed for good.
    #[error("keep the state")]
    Store(#[from] store::Error),
    /// The API cannot be served.
    #[error("serve")]
    Server(#[from] server::Error),
    /// The kept output cannot be used.
    #[error("keep the output of jobs")]
    Logs(#[from] logs::Error),
    /// The numbers cannot be shown.
    #[error("show numbers")]
    Metrics(#[from] metrics::Error),
    /// Spans cannot be sent.
    #[error("send traces")]
    Traces(#[from] traces::Error),
}

impl Error {
    /// The program's exit code: 75 when another process has the store, so that a supervisor may try later; else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(store::Error::Locked { .. }) => 75,
            Self::Data { .. }
            | Self::Store(_)
            | Self::Server(_)
            | Self::Logs(_)
            | Self::Metrics(_)
            | Self::Traces(_) => 1,
        }
    }
}

/// Runs a coordinator until `stop` is cancelled.
///
/// # Errors
/// [`Error`] when it cannot go on.
pub async fn run(config: Config, tasks: &Tasks, stop: CancellationToken) -> Result<(), Error> {
    make_private(&config.data).map_err(|source| Error::Data { path: config.data.clone(), source })?;
    let metrics = Metrics::default();
    let Some(store) = open(&config.store, &stop).await? else { return Ok(()) };
    let store = store.metered(metrics.store.clone());
    let witness = Witness::new(&config.data);
    if !believe(&witness, &store, config.accept_data_loss, &stop).await? {
        return Ok(());
    }
    let log_store = open_logs(&config, tasks)?;
    let (publisher, handle) = controller::handle();
    let seen = watch::Sender::new(Outlook::default());
    let leading = Leading::new(handle.clone(), seen.subscribe(), stop.clone());
    let hold = ship(&config, &store, &handle, &log_store, &metrics, tasks);
    let bound = bind(&config, &handle, &leading, &log_store, &metrics, hold, tasks).await?;
    show_metrics(&config, &handle, &leading, &log_store, &metrics, tasks).await?;
    let url = config.public_url(bound.address);
    leading.set_own_address(&url);
    let candidate = Candidate { name: format!("coordinator-{}", std::process::id()), address: url };
    tasks.spawn("health", tell_health(bound.health.clone(), leading, tasks.token().clone()));
    tasks.spawn("health-changes", tell_changes(bound.health.clone(), handle.clone(), tasks.token().clone()));
    let health = bound.health.clone();
    tracing::info!(address = %bound.address, store = store.kind(), data = %config.data.display(), "coordinator is up");
    let watching = tasks.spawn("witness", witness.clone().watch(store.clone(), stop.clone()));
    let service = Service { name: "dockmgr-coordinator", instance: candidate.address.clone() };
    let election = Election { witness, candidate, seen };
    let compaction = match &config.store {
        store::Config::Memory | store::Config::Redb(_) => None,
        store::Config::Etcd(etcd) => etcd.compaction,
    };
    let tracer = Tracer::open(config.traces.as_ref(), &service, metrics.spans.clone(), tasks)?;
    let terms = Terms { store, config: config.cluster.clone(), compaction, metrics, tracer };
    let closing = CancellationToken::new();
    let serving = tasks.spawn("api", bound.run(closing.clone()));
    let ended = tokio::select! {
        // The API server failed.
        served = serving => match served {
            Ok(served) => served.map_err(Error::from),
            Err(_) => Ok(()),
        },
        // etcd was exchanged or went back while this coordinator runs.
        Ok(Err(error)) = watching => Err(error.into()),
        // Leading ended: the program stops, or the store cannot be believed any more.
        led = lead_for_ever(&terms, &election, &publisher, &log_store, tasks, &stop) => led,
    };
    health.set(false).await;
    closing.cancel();
    let late = tasks.shut_down(DRAIN).await;
    if !late.is_empty() {
        tracing::warn!(tasks = ?late, "ended without waiting for these");
    }
    ended
}

/// Opens the store; `None` if `stop` came first. An etcd that does not answer yet is waited for: after a power cut everything
/// starts at once.
async fn open(config: &store::Config, stop: &CancellationToken) -> Result<Option<Store>, Error> {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
    let mut told = false;
    loop {
        match Store::open(config).await {
            Err(error) if error.is_retryable() => {
                if !told {
                    tracing::warn!(error = %Chain(&error), "waiting for the store");
                }
                told = true;
            }
            Err(error) => return Err(error.into()),
            Ok(store) => return Ok(Some(store)),
        }
        if stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await.is_none() {
            return Ok(None);
        }
    }
}

/// Compares the store with what this coordinator remembers of it; false if `stop` came first.
async fn believe(
    witness: &Witness,
    store: &Store,
    accept: bool,
    stop: &CancellationToken,
) -> Result<bool, Error> {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
    loop {
        match witness.check(store, accept).await {
            Ok(()) => return Ok(true),
            Err(error) if error.is_retryable() => {
                tracing::warn!(error = %Chain(&error), "waiting for the store");
            }
            Err(error) => return Err(error.into()),
        }
        if stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await.is_none() {
            return Ok(false);
        }
    }
}

/// What a coordinator brings to an election and learns from it.
struct Election {
    witness: Witness,
    candidate: Candidate,
    seen: watch::Sender<Outlook>,
}

/// Serves while this coordinator leads or knows who does.
async fn tell_health(health: Health, leading: Leading, stop: CancellationToken) {
    let mut served = false;
    loop {
        let serves = leading.place() != Place::Nowhere;
        if serves != served {
            health.set(serves).await;
            served = serves;
        }
        tokio::select! {
            // The program ends.
            () = stop.cancelled() => return,
            // Somebody leads now, or nobody does.
            () = leading.turned(serves) => {}
        }
    }
}

/// Tells whether this coordinator leads and can change anything.
async fn tell_changes(health: Health, handle: Handle, stop: CancellationToken) {
    let mut can = false;
    loop {
        tokio::select! {
            // The program ends.
            () = stop.cancelled() => return,
            // It leads now or leads no more, or its store takes writes or does not.
            () = handle.ability_turned(can) => {}
        }
        can = !can;
        health.set_changes(can).await;
    }
}

async fn bind(
    config: &Config,
    handle: &Handle,
    leading: &Leading,
    log_store: &LogStore,
    metrics: &Metrics,
    hold: Hold,
    tasks: &Tasks,
) -> Result<Bound, Error> {
    let (doomed_logs, doomed) = mpsc::channel(retention::DOOMED_BOUND);
    tasks.spawn(
        "log-retention",
        retention::run(
            log_store.clone(),
            handle.clone(),
            retention::Rules { keep: config.cluster.finished_keep, limits: config.limits },
            retention::Needs { hold, meter: metrics.export.clone() },
            doomed,
            tasks.token().clone(),
        ),
    );
    let defaults = Defaults { image: config.default_image.clone() };
    let usage = UsageBook::default();
    let services = Services {
        jobs: Jobs::new(handle.clone(), defaults, doomed_logs, usage.clone()),
        logs: Logs::new(handle.clone(), log_store.clone(), metrics.logs.read.clone()),
        nodes: Nodes::new(handle.clone()),
        events: Events::new(handle.clone()),
        overview: Overview::new(handle.clone()),
        workers: Workers::new(
            SessionDesk::new(handle.clone(), tasks.clone(), usage),
            UploadDesk::new(handle.clone(), log_store.clone(), tasks.clone(), metrics.logs.received.clone()),
        ),
        gate: Gate::new(config.token.clone()),
        forward: ForwardLayer::new(leading.clone(), config.tls.as_ref().map(peer_tls)),
        calls: metrics.calls.clone(),
        web_hosts: config.web_hosts(),
    };
    Ok(server::bind(config.listen, config.tls.as_ref(), config.connections, services).await?)
}

/// Shows the numbers, where that is asked for.
async fn show_metrics(
    config: &Config,
    handle: &Handle,
    leading: &Leading,
    log_store: &LogStore,
    metrics: &Metrics,
    tasks: &Tasks,
) -> Result<(), Error> {
    let Some(settings) = &config.metrics else { return Ok(()) };
    let listener = Listener::bind(settings).await?;
    tracing::info!(address = %listener.address(), "numbers are shown at /metrics");
    let disks = Disks::new(vec![("data", config.data.clone()), ("logs", config.logs.clone())]);
    let page =
        CoordinatorPage::new(metrics.clone(), handle.clone(), leading.clone(), log_store.clone(), disks);
    tasks.spawn("metrics", listener.run(page, tasks.clone()));
    Ok(())
}

/// Ships output, where that is asked for, while this coordinator leads; what is not shipped is held.
fn ship(
    config: &Config,
    store: &Store,
    handle: &Handle,
    log_store: &LogStore,
    metrics: &Metrics,
    tasks: &Tasks,
) -> Hold {
    let hold = Hold::default();
    let folder = config.data.join("export");
    for target in &config.exports {
        let meter = metrics.export.of(&target.name);
        let (handle, logs) = (handle.clone(), log_store.clone());
        let shipper = Shipper::new(target, &folder, store.clone(), handle, logs, meter, hold.clone());
        tasks.spawn("export", export::run(shipper, tasks.token().clone()));
    }
    hold
}

fn open_logs(config: &Config, tasks: &Tasks) -> Result<LogStore, logs::Error> {
    let (root, sharing, sealing) = (config.logs.clone(), sharing(&config.store), config.sealing);
    match &config.sealed_at {
        Some(at) => LogStore::open_at(root, at, sharing, sealing, tasks),
        None => LogStore::open(root, sharing, sealing, tasks),
    }
}

/// Whether other coordinators may use the log folder, too.
fn sharing(store: &store::Config) -> Sharing {
    match store {
        store::Config::Memory | store::Config::Redb(_) => Sharing::Alone,
        store::Config::Etcd(_) => Sharing::Terms,
    }
}

/// Campaigns and leads, again and again, until `stop` is cancelled or the store fails for good.
async fn lead_for_ever(
    terms: &Terms,
    election: &Election,
    publisher: &Publisher,
    log_store: &LogStore,
    tasks: &Tasks,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
    loop {
        let began = tokio::time::Instant::now();
        let ended = lead_once(terms, election, publisher, log_store, tasks, stop).await;
        log_store.end_term();
        if began.elapsed() >= GOOD_TERM {
            backoff.reset();
        }
        match ended {
            Ok(()) if stop.is_cancelled() => return Ok(()),
            Ok(()) => {}
            Err(store::Error::Cancelled) => return Ok(()),
            Err(error) if error.ends_leadership() || error.is_retryable() => {
                tracing::warn!(error = %Chain(&error), "leadership ended: campaigning again");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            // The program ends.
            () = stop.cancelled() => return Ok(()),
            // Time for the next try.
            () = tokio::time::sleep(backoff.next_delay()) => {}
        }
    }
}

async fn lead_once(
    terms: &Terms,
    election: &Election,
    publisher: &Publisher,
    log_store: &LogStore,
    tasks: &Tasks,
    stop: &CancellationToken,
) -> Result<(), store::Error> {
    let (lease, keeper) = terms.store.campaign(&election.candidate, &election.seen, stop).await?;
    let resign = CancellationToken::new();
    let keeping = tasks.spawn("lease", keeper.run(resign.clone()));
    if let Some(plan) = terms.compaction {
        tasks.spawn("compaction", compaction::run(terms.store.clone(), plan, resign.clone()));
    }
    let ended = async {
        // Before anything is concluded from what is stored.
        election.witness.check(&terms.store, false).await?;
        let cluster_id = terms.store.cluster_id(lease.epoch(), ClusterId(Uuid::now_v7())).await?;
        tracing::info!(epoch = %lease.epoch(), %cluster_id, "leading");
        log_store.begin_term(lease.epoch());
        controller::lead(terms, cluster_id, &lease, publisher, stop.clone()).await
    }
    .await;
    resign.cancel();
    if keeping.await.is_err() {
        tracing::error!("the keeper of the lease panicked");
    }
    ended
}

/// Makes a folder that only this user may enter: it holds what jobs were asked to do and what they wrote.
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
