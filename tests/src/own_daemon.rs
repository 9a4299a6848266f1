//! A Docker daemon of a test's own, with its own containerd, folders and socket: one that may be killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::Process;
use crate::wait_until;

/// A daemon without live-restore takes ten seconds to come back while it ends its containers.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A daemon in a folder of its own. Dropping it ends it, its containers, its shims and its mounts.
#[derive(Debug)]
pub struct OwnDaemon {
    process: Option<Process>,
    live_restore: bool,
    folder: TempDir,
}

impl OwnDaemon {
    /// Starts one that has the base image.
    pub async fn start(live_restore: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("dockerd-").tempdir().expect("a folder for the daemon");
        let mut daemon = Self { process: None, live_restore, folder };
        daemon.launch().await;
        daemon.load(&crate::base_image()).await;
        daemon
    }

    /// Its socket, as workers and clients name it.
    pub fn socket(&self) -> String {
        self.folder.path().join("docker.sock").display().to_string()
    }

    /// Its process.
    ///
    /// # Panics
    /// If it was killed.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the daemon runs")
    }

    /// Kills it as a power cut would; its containers go on.
    pub async fn kill(&mut self) {
        self.process.take().expect("the daemon runs").kill().await;
    }

    /// Asks it to end and waits for that.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("the daemon runs");
        process.signal(Signal::TERM);
        let _status = process.wait(START_LIMIT).await;
    }

    /// Starts it on its folder and waits until it answers.
    pub async fn launch(&mut self) {
        let at = |name: &str| self.folder.path().join(name);
        // The containerd of a killed daemon dies with it, but its number may belong to somebody else by now: a daemon
        // that finds it taken waits for that process instead of starting its own.
        for file in [at("pid"), at("exec").join("containerd/containerd.pid")] {
            let _absent = std::fs::remove_file(file);
        }
        // In a network of its own: a daemon without a bridge removes the bridge of the host's daemon (`docker0`).
        let mut command = Command::new("unshare");
        command
            .args(["--net", "dockerd", "--data-root"])
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .args(["--host", &format!("unix://{}", self.socket())])
            .args(["--bridge", "none", "--iptables=false", "--ip-forward=false"]);
        if self.live_restore {
            command.arg("--live-restore");
        }
        let mut process = Process::start("dockerd", &mut command, &at("dockerd.log"));
        wait_until("the daemon to answer", START_LIMIT, async || {
            assert!(!process.has_ended(), "dockerd ended:\n{}", process.log_tail(30));
            self.try_docker(&["version"]).await.map(drop)
        })
        .await;
        self.process = Some(process);
    }

    /// Runs `docker ARGS` against it and returns what that prints.
    ///
    /// # Panics
    /// If it fails.
    pub async fn docker(&self, args: &[&str]) -> String {
        self.try_docker(args).await.unwrap_or_else(|error| panic!("docker {}: {error}", args.join(" ")))
    }

    /// Runs `docker ARGS` against it; its stderr if it fails.
    pub async fn try_docker(&self, args: &[&str]) -> Result<String, String> {
        let host = format!("unix://{}", self.socket());
        let mut all = vec!["-H", &host];
        all.extend(args);
        crate::docker::try_docker(&all).await
    }

    /// The containers of dockmgr on it, in all states.
    pub async fn containers(&self) -> Vec<String> {
        let all = self.docker(&["ps", "-aq", "--no-trunc", "--filter", "label=dockmgr.cluster"]).await;
        all.lines().map(str::to_owned).collect()
    }

    /// Kills its containerd, or the shim of one container.
    ///
    /// # Panics
    /// If there is none.
    pub fn kill_helper(&self, of_container: Option<&str>) {
        let exec = self.folder.path().join("exec").display().to_string();
        let wanted = |words: &str| match of_container {
            Some(id) => words.contains("containerd-shim") && words.contains(id),
            None => words.starts_with("containerd\0") && words.contains(&exec),
        };
        let found: Vec<Pid> = processes().filter(|(_, words)| wanted(words)).map(|(pid, _)| pid).collect();
        assert_eq!(found.len(), 1, "one process to kill");
        kill_process(found[0], Signal::KILL).expect("it is ours");
    }

    async fn load(&self, image: &str) {
        let archive = self.folder.path().join("image.tar");
        let path = archive.display().to_string();
        crate::docker::docker(&["save", "-o", &path, image]).await;
        self.docker(&["load", "-q", "-i", &path]).await;
    }
}

impl Drop for OwnDaemon {
    fn drop(&mut self) {
        let folder = self.folder.path().to_owned();
        if self.process.is_some() {
            let host = format!("unix://{}", self.socket());
            quietly(
                "sh",
                &[
                    "-c",
                    "ids=$(timeout 20 docker -H \"$0\" ps -aq) && [ -n \"$ids\" ] && timeout 60 docker -H \"$0\" rm -f $ids",
                    &host,
                ],
            );
        }
        // Kills the daemon, whose containerd goes with it.
        self.process = None;
        for (pid, _) in processes().filter(|(_, words)| words.contains(&folder.display().to_string())) {
            let _gone = kill_process(pid, Signal::KILL);
        }
        for mount in mounts_below(&folder) {
            quietly("umount", &["-l", &mount.display().to_string()]);
        }
    }
}

/// All processes and their words, separated by zero bytes.
fn processes() -> impl Iterator<Item = (Pid, String)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let words = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&words).into_owned()))
    })
}

/// Mounts below a folder, the deepest first.
fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let targets = table.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    let mut below: Vec<PathBuf> = targets.filter(|target| target.starts_with(folder)).collect();
    below.reverse();
    below
}

fn quietly(program: &str, args: &[&str]) {
    let mut command = std::process::Command::new(program);
    let _best_effort =
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}
