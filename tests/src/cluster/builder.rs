//! What a cluster is made of, and the command lines of its parts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use dockmgr_support::secret::ApiToken;
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

use super::{Cluster, Coordinator};
use crate::etcd::Etcd;
use crate::process::Process;
use crate::s3::S3Server;
use crate::{base_image, needs, ports, programs};

/// Where the cluster keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The embedded store.
    Redb,
    /// An etcd under a prefix of its own.
    Etcd,
}

/// What runs the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// The fake in the worker's memory.
    Fake,
    /// The machine's Docker daemon.
    Docker,
}

/// A cluster to be.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(super) runtime: Runtime,
    store: Store,
    workers: usize,
    coordinators: usize,
    etcd: Option<(usize, Vec<String>)>,
    cpus: String,
    memory: String,
    pub(super) coordinator_args: Vec<String>,
    coordinator_env: Vec<(String, String)>,
    worker_args: Vec<String>,
    worker_env: Vec<(String, String)>,
    labels: Vec<String>,
    suspect_after: Duration,
    fence_after: Duration,
    lost_after: Duration,
    prefix: String,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            runtime: Runtime::Fake,
            store: Store::Redb,
            workers: 1,
            coordinators: 1,
            etcd: None,
            cpus: "4".to_owned(),
            memory: "8GiB".to_owned(),
            coordinator_args: Vec::new(),
            coordinator_env: Vec::new(),
            worker_args: Vec::new(),
            worker_env: Vec::new(),
            labels: Vec::new(),
            suspect_after: Duration::from_secs(5),
            fence_after: Duration::from_secs(240),
            lost_after: Duration::from_secs(300),
            prefix: format!("dockmgr-test-{}", Uuid::now_v7().simple()),
        }
    }
}

impl Builder {
    /// Number of workers; 1 unless said otherwise.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Number of coordinators, which share an etcd; 1 on the embedded store unless said otherwise.
    #[must_use]
    pub fn coordinators(mut self, coordinators: usize) -> Self {
        self.coordinators = coordinators;
        self.store(Store::Etcd)
    }

    /// An etcd of the cluster's own, of so many members, each with `args` added to its command line.
    #[must_use]
    pub fn own_etcd(mut self, members: usize, args: &[&str]) -> Self {
        self.etcd = Some((members, args.iter().map(|arg| (*arg).to_owned()).collect()));
        self.store(Store::Etcd)
    }

    /// More arguments for every coordinator.
    #[must_use]
    pub fn coordinator_args(mut self, args: &[&str]) -> Self {
        self.coordinator_args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Packed output goes to a server of S3.
    #[must_use]
    pub fn log_store(mut self, s3: &S3Server) -> Self {
        self.coordinator_env.extend(s3.variables());
        self.coordinator_args(&["--log-store", &s3.place()])
    }

    /// Runtime of the workers; the fake unless said otherwise.
    #[must_use]
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    /// Real Docker.
    #[must_use]
    pub fn docker(self) -> Self {
        self.runtime(Runtime::Docker)
    }

    /// Store of the coordinator; redb unless said otherwise.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// What every worker claims to have; 4 cores unless said otherwise.
    #[must_use]
    pub fn cpus(mut self, cpus: &str) -> Self {
        cpus.clone_into(&mut self.cpus);
        self
    }

    /// Memory every worker claims to have; 8 GiB unless said otherwise.
    #[must_use]
    pub fn memory(mut self, memory: &str) -> Self {
        memory.clone_into(&mut self.memory);
        self
    }

    /// More arguments for every worker.
    #[must_use]
    pub fn worker_args(mut self, args: &[&str]) -> Self {
        self.worker_args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// A variable in the environment of every worker.
    #[must_use]
    pub fn worker_env(mut self, name: &str, value: &str) -> Self {
        self.worker_env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A label of the next worker: the n-th call labels worker n-1.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.labels.push(label.to_owned());
        self
    }

    /// How long a worker may be silent; 5 s unless said otherwise.
    #[must_use]
    pub fn suspect_after(mut self, time: Duration) -> Self {
        self.suspect_after = time;
        self
    }

    /// When a silent worker is suspected, when it must have ended its attempts itself, when it is given up.
    #[must_use]
    pub fn loss_times(mut self, suspect: Duration, fence: Duration, lost: Duration) -> Self {
        (self.suspect_after, self.fence_after, self.lost_after) = (suspect, fence, lost);
        self
    }

    /// Starts everything and waits until all workers take work.
    pub async fn start(self) -> Cluster {
        let mut cluster = self.coordinator_only().await;
        for n in 0..cluster.settings.workers {
            cluster.launch_worker(n);
        }
        cluster.wait_ready().await;
        cluster
    }

    /// Starts the coordinators alone.
    pub async fn coordinator_only(self) -> Cluster {
        let folder = TempDir::new().expect("a folder for the cluster");
        let text = format!("test-{}", Uuid::now_v7().simple());
        let token_file = folder.path().join("token");
        fs::write(&token_file, &text).expect("write the token");
        fs::set_permissions(&token_file, fs::Permissions::from_mode(0o600)).expect("protect the token");
        let token = ApiToken::parse(&text).expect("long enough");
        let etcd = match self.store {
            Store::Etcd if needs::etcd() => Some(match &self.etcd {
                Some((members, args)) => {
                    let args: Vec<&str> = args.iter().map(String::as_str).collect();
                    Etcd::start_members(folder.path(), *members, &args).await
                }
                None => Etcd::find(folder.path()).await,
            }),
            Store::Etcd => panic!("ask needs::etcd() before building such a cluster"),
            Store::Redb => None,
        };
        let count = self.coordinators;
        let coordinators = (0..count).map(|_| Coordinator { port: ports::free(), process: None }).collect();
        let mut cluster = Cluster { settings: self, coordinators, workers: Vec::new(), etcd, token, folder };
        for n in 0..count {
            cluster.start_coordinator_n(n).await;
        }
        cluster
    }

    /// Starts coordinator `n` on this cluster's folder.
    pub(super) fn coordinator(&self, folder: &Path, n: usize, port: u16, etcd: Option<&Etcd>) -> Process {
        let mut command = self.coordinator_command(folder, n, port, etcd);
        Process::start(&format!("coordinator-{n}"), &mut command, &folder.join(coordinator_log(n)))
    }

    fn coordinator_command(&self, folder: &Path, n: usize, port: u16, etcd: Option<&Etcd>) -> Command {
        let config = folder.join("coordinator.toml");
        fs::write(&config, "[timing]\nheartbeat = \"500ms\"\n").expect("write the coordinator's settings");
        let mut command = program("dockmgr-coordinator", folder);
        command
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .arg("--data")
            .arg(folder.join(coordinator_folder(n)))
            .arg("--token-file")
            .arg(folder.join("token"))
            .arg("--config")
            .arg(config)
            .args(["--suspect-after", &format!("{}ms", self.suspect_after.as_millis())])
            .args(["--fence-after", &format!("{}ms", self.fence_after.as_millis())])
            .args(["--lost-after", &format!("{}ms", self.lost_after.as_millis())])
            .args(["--default-image", &base_image()]);
        command.args(&self.coordinator_args);
        command.envs(self.coordinator_env.iter().map(|(name, value)| (name, value)));
        if self.coordinators > 1 {
            command.arg("--logs").arg(folder.join("logs"));
        }
        if let Some(etcd) = etcd {
            command.args(["--store", "etcd", "--etcd", &etcd.url, "--etcd-prefix", &self.prefix]);
        }
        command
    }

    /// Starts worker `n` on this cluster's folder.
    pub(super) fn worker(&self, folder: &Path, n: usize, server: &str) -> Process {
        let name = format!("worker-{n}");
        let mut command = program("dockmgr-worker", folder);
        command
            .args(["--coordinator", server, "--name", &name, "--cpus", &self.cpus, "--memory", &self.memory])
            .arg("--data")
            .arg(folder.join(&name))
            .arg("--token-file")
            .arg(folder.join("token"))
            .args(["--runtime", if self.runtime == Runtime::Fake { "fake" } else { "docker" }])
            .args(&self.worker_args)
            .envs(self.worker_env.iter().map(|(name, value)| (name, value)));
        if let Some(label) = self.labels.get(n) {
            command.args(["--label", label]);
        }
        Process::start(&name, &mut command, &folder.join(format!("{name}.log")))
    }
}

/// Name of the data folder of coordinator `n`.
fn coordinator_folder(n: usize) -> String {
    if n == 0 { "coordinator".to_owned() } else { format!("coordinator-{n}") }
}

/// Name of the log of coordinator `n`.
pub(super) fn coordinator_log(n: usize) -> String {
    format!("{}.log", coordinator_folder(n))
}

/// A program with an environment of its own.
fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(programs::binary(name));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .current_dir(folder);
    if let Some(host) = std::env::var_os("DOCKER_HOST") {
        command.env("DOCKER_HOST", host);
    }
    if let Some(level) = std::env::var_os("DOCKMGR_LOG_LEVEL") {
        command.env("DOCKMGR_LOG_LEVEL", level);
    }
    command
}

// What somebody might start by mistake.
impl Cluster {
    /// The command that starts this cluster's coordinator, for tests that start it in surroundings of their own.
    pub fn coordinator_command(&self) -> Command {
        self.settings.coordinator_command(
            self.folder.path(),
            0,
            self.coordinators[0].port,
            self.etcd.as_ref(),
        )
    }

    /// The command that would start one more coordinator on this cluster's folder, on another port.
    pub fn second_coordinator(&self) -> Command {
        self.settings.coordinator_command(self.folder.path(), 0, ports::free(), self.etcd.as_ref())
    }

    /// The command that would start one more worker on the folder of worker `n`.
    pub fn second_worker(&self, n: usize) -> Command {
        let mut command = program("dockmgr-worker", self.folder.path());
        command
            .args(["--coordinator", &self.server(), "--name", "second", "--runtime", "fake"])
            .arg("--token-file")
            .arg(self.token_file())
            .arg("--data")
            .arg(self.worker_folder(n));
        command
    }
}
