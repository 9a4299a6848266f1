//! The worker put together: the only place that names concrete parts.
//!
//! Stop order: the session says goodbye, the drivers and captures end (their containers run on and are adopted at the
//! next start), the journal writes what is still to be written.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use dockmgr_core::agent::ContainerIdentity;
use dockmgr_core::ids::{Incarnation, NodeId};
use dockmgr_support::metrics::Listener;
use dockmgr_support::metrics::disks::Disks;
use dockmgr_support::shutdown;
use dockmgr_support::tasks::Tasks;
use dockmgr_support::traces::{Service, Tracer};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::attempt::{AllowedMounts, Attempts, Context, UsageBoard};
use crate::capacity;
use crate::config::{Config, RuntimeChoice};
use crate::data_dir::DataDir;
use crate::fence::{LeaderContact, watch_forever};
use crate::guard::{Keeper, Mode, Records};
use crate::health::{Health, probe_forever};
use crate::images::{ImageNames, Images, Index, clean_up_forever, list_forever};
use crate::journal::{Journal, JournalFile};
use crate::metrics::{Metrics, WorkerPage};
use crate::outbox::Outbox;
use crate::runtime::AnyRuntime;
use crate::runtime::docker::Docker;
use crate::runtime::docker::auth::Credentials;
use crate::runtime::fake::{self, Fake};
use crate::session::{Node, Session};
use crate::spool::Spool;
use crate::sweep::sweep_forever;
use crate::upload::Upload;

/// Time for everything to end after a signal; a supervisor's own limit is usually ten seconds.
const SHUTDOWN: Duration = Duration::from_secs(8);
/// Containers created or started at the same time, for each core: one waits for the disk while the other computes.
const STARTS_PER_CORE: usize = 2;

/// Runs the worker until a signal, or until its journal breaks.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let tasks = Tasks::of_program(CancellationToken::new());
    let stop = shutdown::on_signals(&tasks).context("listen for signals")?;
    let broken = CancellationToken::new();
    serve(config, &tasks, &stop, &broken).await?;
    let late = tasks.shut_down(SHUTDOWN).await;
    if !late.is_empty() {
        tracing::warn!(tasks = ?late, "some tasks did not end in time");
    }
    if broken.is_cancelled() {
        anyhow::bail!("the journal cannot be written");
    }
    Ok(())
}

/// Puts everything together and holds the session.
async fn serve(
    config: Config,
    tasks: &Tasks,
    stop: &CancellationToken,
    broken: &CancellationToken,
) -> anyhow::Result<()> {
    let data = DataDir::open(&config.data)?;
    let (node_id, data_root) = (data.node(), data.root().to_owned());
    let journal = JournalFile::open(&data.root().join("journal"))?;
    let entries = journal.entries().clone();
    let runtime = runtime(&config, data.root())?;
    let health = Health::default();
    // Known before the first driver looks back: whether the daemon keeps containers alive over its restarts.
    health.probe(&runtime, data.root(), config.watermark).await;
    let boot_id = boot_id(&config.boot_id_file)?;
    let contact = LeaderContact::open(data.root(), &boot_id).context("open the contact file")?;
    let metrics = Metrics::default();
    let attempts = Attempts::new(Arc::new(Context {
        journal: Journal::start(journal, tasks, broken.clone()),
        outbox: Outbox::new(data.starts()),
        spool: Spool::open(data.root().join("spool")).await.context("open the spool")?,
        images: images(&config, &runtime, data.root(), tasks, &metrics),
        health: health.clone(),
        identity: Arc::new(identity(&data)),
        node_name: config.name.clone(),
        guard: guard_records(&config, data.root(), &boot_id)?,
        boot_id,
        contact,
        allowed_mounts: allowed_mounts(&config)?,
        starts: Arc::new(Semaphore::new(starts())),
        tracer: tracer(&config, &metrics, tasks)?,
        usage: UsageBoard::default(),
        metrics,
        tasks: tasks.clone(),
        runtime: runtime.clone(),
    }));
    tracing::info!(%node_id, data = %config.data.display(), attempts = entries.len(), "worker starts");
    let (names, image_names) = ImageNames::new();
    let node = Arc::new(Node {
        incarnation: Incarnation(Uuid::now_v7()),
        labels: capacity::labels(config.labels.clone(), &config.name),
        name: config.name.clone(),
        capacity: capacity::detect(config.capacity),
        data: Mutex::new(data),
        images: image_names,
    });
    keep_guard(&config, &attempts, data_root.as_path(), tasks).await?;
    attempts.adopt(entries);
    background(&config, tasks, &attempts, names);
    show_metrics(&config, tasks, &attempts).await?;
    tasks.spawn("upload", upload(&config, node_id, node.incarnation, &attempts).run(tasks.token().clone()));
    let session =
        Session { node, attempts, coordinators: config.coordinators, credentials: config.credentials };
    // It ends after a signal, when it has said goodbye; or when nothing can be remembered any more: then the supervisor
    // starts us again.
    broken.run_until_cancelled(session.run(stop.clone())).await;
    Ok(())
}

/// Where the guard is told of containers; nowhere without a guard.
fn guard_records(config: &Config, root: &Path, boot_id: &str) -> anyhow::Result<Option<Records>> {
    if config.guard == Mode::Off {
        return Ok(None);
    }
    Records::open(root, boot_id).context("make the guard's folder").map(Some)
}

/// Starts the guard, where that is the worker's to do, and sees to it that there is one.
async fn keep_guard(config: &Config, attempts: &Attempts, root: &Path, tasks: &Tasks) -> anyhow::Result<()> {
    let context = attempts.context();
    let Some(records) = context.guard.clone() else { return Ok(()) };
    let keeper = Keeper::open(config.guard, root, &config.boot_id_file, records, context.health.clone());
    let mut keeper = keeper.context("open the guard's folder")?;
    keeper.first_look().await;
    tasks.spawn("guard keeper", keeper.keep_forever(tasks.token().clone()));
    Ok(())
}

/// What sends the spool to the coordinator and tells the attempts what has arrived.
fn upload(config: &Config, node: NodeId, incarnation: Incarnation, attempts: &Attempts) -> Upload {
    let delivered = attempts.clone();
    Upload {
        spool: attempts.context().spool.clone(),
        node,
        incarnation,
        coordinators: config.coordinators.clone(),
        credentials: config.credentials.clone(),
        sent: attempts.context().metrics.sent.clone(),
        delivered: Arc::new(move |attempt| delivered.log_end_durable(attempt)),
    }
}

/// Starts the loops that belong to no attempt.
fn background(
    config: &Config,
    tasks: &Tasks,
    attempts: &Attempts,
    names: tokio::sync::watch::Sender<std::collections::BTreeSet<String>>,
) {
    let context = attempts.context();
    let token = || tasks.token().clone();
    let (runtime, health) = (context.runtime.clone(), context.health.clone());
    tasks.spawn(
        "health",
        probe_forever(health, runtime.clone(), config.data.clone(), config.watermark, token()),
    );
    tasks.spawn("image names", list_forever(runtime, names, token()));
    tasks.spawn("image clean-up", clean_up_forever(context.images.clone(), config.images, token()));
    tasks.spawn("sweep", sweep_forever(attempts.clone(), token()));
    tasks.spawn("fence", watch_forever(attempts.clone(), token()));
}

/// Shows the numbers, where that is asked for.
async fn show_metrics(config: &Config, tasks: &Tasks, attempts: &Attempts) -> anyhow::Result<()> {
    let Some(settings) = &config.metrics else { return Ok(()) };
    let listener = Listener::bind(settings).await?;
    tracing::info!(address = %listener.address(), "numbers are shown at /metrics");
    let page = WorkerPage::new(attempts.clone(), Disks::new(vec![("data", config.data.clone())]));
    tasks.spawn("metrics", listener.run(page, tasks.clone()));
    Ok(())
}

fn allowed_mounts(config: &Config) -> anyhow::Result<AllowedMounts> {
    AllowedMounts::new(&config.allow_mounts).context("find the folders of --allow-mount")
}

/// Where spans go; nowhere unless asked for.
fn tracer(config: &Config, metrics: &Metrics, tasks: &Tasks) -> anyhow::Result<Tracer> {
    let service = Service { name: "dockmgr-worker", instance: config.name.clone() };
    Ok(Tracer::open(config.traces.as_ref(), &service, metrics.spans.clone(), tasks)?)
}

fn runtime(config: &Config, root: &Path) -> anyhow::Result<AnyRuntime> {
    Ok(match config.runtime {
        RuntimeChoice::Docker => AnyRuntime::Docker(Docker::new(&config.docker)),
        RuntimeChoice::Fake => {
            let fake = Fake::open(&root.join(fake::FOLDER), &boot_id(&config.boot_id_file)?, 64, 256 << 30);
            AnyRuntime::Fake(fake.context("open the state of the fake runtime")?)
        }
    })
}

fn images(config: &Config, runtime: &AnyRuntime, root: &Path, tasks: &Tasks, metrics: &Metrics) -> Images {
    let (folder, home) = &config.docker_config;
    let credentials = Credentials::from_environment(folder.as_deref(), home.as_deref());
    Images::new(runtime.clone(), credentials, Index::open(root), tasks.clone(), metrics.clone())
}

/// Whose containers these are, if the folder has joined a cluster before.
fn identity(data: &DataDir) -> OnceLock<ContainerIdentity> {
    let known = OnceLock::new();
    if let Some(cluster) = data.cluster() {
        known.get_or_init(|| ContainerIdentity { cluster, node: data.node() });
    }
    known
}

fn boot_id(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("read the boot id of the host from '{}'", file.display()))?;
    let id = text.trim();
    let fits = !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_graphic());
    anyhow::ensure!(fits, "'{}' has no boot id", file.display());
    Ok(id.to_owned())
}

fn starts() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get) * STARTS_PER_CORE
}
