//! A whole cluster of real processes: one coordinator, some workers, a folder and a port of its own.
//!
//! Owns starting, killing and restarting the parts and removing what they leave. A cluster that is dropped by a failing
//! test prints the last lines of every log.

mod builder;
mod several;

pub use builder::{Builder, Runtime, Store};

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockmgr_client::Client;
use dockmgr_proto::v1;
use dockmgr_support::secret::ApiToken;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::cli::{CliCall, Output};
use crate::docker::{DockerSnapshot, remove_cluster_now};
use crate::etcd::Etcd;
use crate::process::{Process, tail};
use crate::{STEP_LIMIT, eventually, programs, wait_until};

/// Lines of each log a failing test shows.
const TAIL_LINES: usize = 40;

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    settings: Builder,
    coordinators: Vec<Coordinator>,
    workers: Vec<Option<Process>>,
    etcd: Option<Etcd>,
    token: ApiToken,
    // Last: the folder goes when everything that writes into it has ended.
    folder: TempDir,
}

/// One coordinator of the cluster.
#[derive(Debug)]
struct Coordinator {
    port: u16,
    process: Option<Process>,
}

impl Cluster {
    /// Describes a cluster; [`Builder::start`] starts it.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// One worker on the fake runtime, embedded store: what most tests need.
    pub async fn fake() -> Self {
        Self::builder().start().await
    }

    /// The address of the API; with several coordinators the one of the first.
    pub fn server(&self) -> String {
        self.server_of(0)
    }

    /// The address of coordinator `n`, counted from 0.
    pub fn server_of(&self, n: usize) -> String {
        format!("http://127.0.0.1:{}", self.coordinators[n].port)
    }

    /// The addresses of all coordinators, separated by commas.
    pub fn servers(&self) -> String {
        let all: Vec<String> = (0..self.coordinators.len()).map(|n| self.server_of(n)).collect();
        all.join(",")
    }

    /// The etcd of the cluster.
    ///
    /// # Panics
    /// If it has none.
    pub fn etcd(&mut self) -> &mut Etcd {
        self.etcd.as_mut().expect("the cluster is on etcd")
    }

    /// The cluster's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file with the API token.
    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// The API token.
    pub fn token(&self) -> &ApiToken {
        &self.token
    }

    /// Folder of worker `n`, counted from 0.
    pub fn worker_folder(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("worker-{n}"))
    }

    /// The coordinator's folder.
    pub fn coordinator_folder(&self) -> PathBuf {
        self.folder.path().join("coordinator")
    }

    /// The coordinator's process.
    ///
    /// # Panics
    /// If it was killed.
    pub fn coordinator(&mut self) -> &mut Process {
        self.coordinator_n(0)
    }

    /// The process of worker `n`.
    ///
    /// # Panics
    /// If it was killed.
    pub fn worker(&mut self, n: usize) -> &mut Process {
        self.workers[n].as_mut().expect("the worker runs")
    }

    /// Kills the coordinator as a power cut would.
    pub async fn kill_coordinator(&mut self) {
        self.kill_coordinator_n(0).await;
    }

    /// Asks the coordinator to end and waits for it.
    pub async fn stop_coordinator(&mut self) {
        self.stop_coordinator_n(0).await;
    }

    /// More arguments for coordinators that are started from now on.
    pub fn add_coordinator_args(&mut self, args: &[&str]) {
        self.settings.coordinator_args.extend(args.iter().map(|arg| (*arg).to_owned()));
    }

    /// Starts the coordinator and waits until it serves.
    pub async fn start_coordinator(&mut self) {
        self.start_coordinator_n(0).await;
    }

    /// Kills worker `n` as a power cut would; its containers go on.
    pub async fn kill_worker(&mut self, n: usize) {
        self.workers[n].take().expect("the worker runs").kill().await;
    }

    /// Asks worker `n` to end and waits for it.
    pub async fn stop_worker(&mut self, n: usize) {
        let mut worker = self.workers[n].take().expect("the worker runs");
        worker.signal(Signal::TERM);
        let status = worker.wait(STEP_LIMIT).await;
        assert_eq!(status.code(), Some(0), "an orderly end:\n{}", worker.log_tail(TAIL_LINES));
    }

    /// Starts worker `n` on its folder and waits until it is ready.
    pub async fn start_worker(&mut self, n: usize) {
        self.launch_worker(n);
        self.wait_ready().await;
    }

    /// Starts worker `n` without waiting.
    pub fn launch_worker(&mut self, n: usize) {
        let servers = self.servers();
        self.launch_worker_at(n, &servers);
    }

    /// Starts worker `n` without waiting, with other addresses of the coordinators, separated by commas.
    pub fn launch_worker_at(&mut self, n: usize, servers: &str) {
        let process = self.settings.worker(self.folder.path(), n, servers);
        if self.workers.len() <= n {
            self.workers.resize_with(n + 1, || None);
        }
        self.workers[n] = Some(process);
    }

    /// Waits until every worker that runs takes work.
    pub async fn wait_ready(&self) {
        let running = self.workers.iter().flatten().count();
        wait_until("the workers to be ready", STEP_LIMIT, async || {
            let nodes = self.client().await.all_nodes().await.map_err(|error| error.to_string())?;
            let ready = nodes.iter().filter(|node| node.state() == v1::node::State::Ready).count();
            if ready >= running { Ok(()) } else { Err(format!("{ready} of {running}: {nodes:?}")) }
        })
        .await;
    }

    /// Waits until every worker that runs is connected, whether it takes work or not.
    pub async fn wait_ready_or_draining(&self) {
        let running = self.workers.iter().flatten().count();
        wait_until("the workers to be connected", STEP_LIMIT, async || {
            let nodes = self.client().await.all_nodes().await.map_err(|error| error.to_string())?;
            let there = nodes.iter().filter(|node| node.draining || node.state() == v1::node::State::Ready);
            if there.count() >= running { Ok(()) } else { Err(format!("{nodes:?}")) }
        })
        .await;
    }

    /// A client of the API with the cluster's token.
    pub async fn client(&self) -> Client {
        self.try_client().await.expect("the coordinator answers")
    }

    /// A client, unless nobody answers.
    pub async fn try_client(&self) -> Result<Client, String> {
        self.client_at(&self.servers()).await
    }

    /// A call of the command line, connected to this cluster and to nothing else of this machine's user.
    pub fn cli<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> CliCall {
        CliCall::new(self.cli_command(), args)
    }

    /// The command behind [`Self::cli`], without arguments.
    pub fn cli_command(&self) -> Command {
        let mut command = bare_cli(self.folder.path());
        command.env("DOCKMGR_SERVER", self.servers()).env("DOCKMGR_TOKEN_FILE", self.token_file());
        command
    }

    /// Submits and returns the number of the job.
    pub async fn submit<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> u64 {
        let mut all = vec!["submit".into()];
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        let output = self.cli(all).ok().await;
        output.text().parse().unwrap_or_else(|_| panic!("no job number: {}", output.describe()))
    }

    /// Runs a job to its end.
    pub async fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Output {
        let mut all = vec!["run".into()];
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self.cli(all).run().await
    }

    /// Waits for the end of a job and returns what `wait` exits with.
    pub async fn wait(&self, job: u64) -> Output {
        self.cli(["wait", &job.to_string()]).run().await
    }

    /// The kept output of a job, both streams.
    pub async fn logs(&self, job: u64) -> Output {
        self.cli(["logs", &job.to_string()]).ok().await
    }

    /// The record of a job.
    pub async fn job(&self, job: u64) -> v1::Job {
        let request = v1::GetJobRequest { job: job.to_string(), explain: false };
        self.client()
            .await
            .get_job(request)
            .await
            .expect("the job is known")
            .job
            .expect("an answer has a job")
    }

    /// Waits until the one task of a job is in a state.
    pub async fn wait_state(&self, job: u64, state: v1::TaskState) {
        self.wait_state_within(job, state, STEP_LIMIT).await;
    }

    /// [`Self::wait_state`] with a limit of its own.
    pub async fn wait_state_within(&self, job: u64, state: v1::TaskState, limit: Duration) {
        wait_until(&format!("job {job} to be {state:?}"), limit, async || {
            let task = self.job(job).await.task.expect("a plain job has one task");
            if task.state() == state { Ok(()) } else { Err(format!("{task:?}")) }
        })
        .await;
    }

    /// The cluster's id, as its coordinator logs it.
    pub fn id(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("coordinator.log")).unwrap_or_default();
        let at = log.find("cluster_id=").expect("the coordinator logs the cluster's id when it leads");
        log[at + "cluster_id=".len()..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect()
    }

    /// What the cluster has on the Docker daemon.
    pub async fn on_docker(&self) -> DockerSnapshot {
        DockerSnapshot::of_cluster(&self.id()).await
    }

    /// Waits until nothing of the cluster is on the daemon and no spool file is left, for the minute that is promised.
    pub async fn expect_clean(&self) {
        let limit = Duration::from_mins(1);
        wait_until("a clean Docker", limit, async || {
            let left = self.on_docker().await;
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
        wait_until("empty spools", limit, async || {
            let left = self.spool_files();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }

    /// Files below the spool folders of all workers.
    pub fn spool_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for n in 0..self.workers.len() {
            files_below(&self.worker_folder(n).join("spool"), &mut found);
        }
        found
    }

    /// Bytes of output the coordinator keeps on its disk.
    pub fn kept_output(&self) -> u64 {
        let mut files = Vec::new();
        files_below(&self.coordinator_folder().join("logs"), &mut files);
        files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|about| about.len()).sum()
    }

    /// Where a program shows its numbers, by its log: `coordinator`, `coordinator-1`, `worker-0`.
    ///
    /// # Panics
    /// Unless it was started with `--metrics-listen`.
    pub async fn metrics_address(&self, program: &str) -> SocketAddr {
        let path = self.folder.path().join(format!("{program}.log"));
        wait_until("the address of the numbers", STEP_LIMIT, async || {
            let log = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            // The last start counts.
            let line = log.lines().rev().find(|line| line.contains("numbers are shown")).ok_or("no line")?;
            let plain = line.split("address=").nth(1).ok_or("no address")?;
            let end =
                plain.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':'))).unwrap_or(plain.len());
            plain[..end].parse().map_err(|_| format!("'{plain}'"))
        })
        .await
    }

    /// Waits until the coordinator's log has a line with `text`.
    pub async fn expect_coordinator_log(&self, text: &str) {
        let path = self.folder.path().join("coordinator.log");
        eventually(&format!("'{text}' in the coordinator's log"), STEP_LIMIT, async || {
            std::fs::read_to_string(&path).is_ok_and(|log| log.contains(text))
        })
        .await;
    }

    #[expect(clippy::print_stderr, reason = "a failing test shows what the programs said")]
    fn show_logs(&self) {
        let mut names: Vec<String> = (0..self.coordinators.len()).map(builder::coordinator_log).collect();
        names.extend((0..self.workers.len()).map(|n| format!("worker-{n}.log")));
        for name in names {
            eprintln!("--- last lines of {name}\n{}", tail(&self.folder.path().join(&name), TAIL_LINES));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let uses_docker = self.settings.runtime == Runtime::Docker;
        let id = uses_docker
            .then(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.id())).ok())
            .flatten();
        // Workers first, so that nothing is created behind the removal.
        self.workers.clear();
        self.coordinators.clear();
        if let Some(id) = id {
            remove_cluster_now(&id);
        }
        if std::thread::panicking() {
            self.show_logs();
        }
    }
}

/// The command line without any cluster: home and settings in `folder`, nothing of the caller's environment but its PATH.
pub fn bare_cli(folder: &Path) -> Command {
    let mut command = Command::new(programs::binary("cluster-cli"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("XDG_RUNTIME_DIR", folder.join("run"))
        .current_dir(folder);
    command
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}
