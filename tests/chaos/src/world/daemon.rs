//! A Docker daemon of the run's own: live-restore, own folders, own socket, own parent cgroup, no network.
//!
//! Owns its life and what is asked of it from outside. The machine's daemon is never touched. When dropped, everything that was
//! started below its folder is ended.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use dockmgr_tests::process::{Process, tail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

/// How long it may take to come up on a busy machine.
const START: Duration = Duration::from_secs(60);
/// How long one call of the command line may take.
const CALL: Duration = Duration::from_secs(30);
/// The image the jobs of the run have.
pub(crate) const IMAGE: &str = "dockmgr/base:local";

/// The daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    folder: PathBuf,
    process: Option<Process>,
}

impl Daemon {
    /// Starts it below `run` and gives it the image.
    pub(crate) async fn start(run: &Path) -> anyhow::Result<Self> {
        let folder = run.join("docker");
        for part in ["data", "exec", "marks"] {
            std::fs::create_dir_all(folder.join(part)).context("make the daemon's folders")?;
        }
        std::fs::set_permissions(folder.join("marks"), std::fs::Permissions::from_mode(0o777))
            .context("open the folder of marks to all")?;
        let mut daemon = Self { folder, process: None };
        daemon.launch();
        daemon.wait_up().await?;
        daemon.load_image().await?;
        Ok(daemon)
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// The folder in which containers leave their marks.
    pub(crate) fn marks(&self) -> PathBuf {
        self.folder.join("marks")
    }

    /// Starts the process, unless it runs.
    pub(crate) fn launch(&mut self) {
        if self.process.as_mut().is_some_and(|process| !process.has_ended()) {
            return;
        }
        // One that was killed leaves its pid file, and refuses to start while a stranger has that number.
        let _absent = std::fs::remove_file(self.folder.join("docker.pid"));
        // In a network of its own: a daemon without a bridge removes the bridge of the host's daemon (`docker0`).
        let mut command = Command::new("unshare");
        command.args(["--net", "dockerd"]);
        let option = |name: &str, part: &str| format!("--{name}={}", self.folder.join(part).display());
        command
            .args([option("data-root", "data"), option("exec-root", "exec"), option("pidfile", "docker.pid")])
            .arg(format!("--host=unix://{}", self.socket().display()))
            .arg(format!("--cgroup-parent={}", self.cgroup()))
            .args(["--live-restore", "--bridge=none", "--iptables=false", "--ip6tables=false"]);
        self.process = Some(Process::start("dockerd", &mut command, &self.folder.join("dockerd.log")));
    }

    /// Kills it; containers live on.
    pub(crate) async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Sends a signal to the daemon's process.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Waits until it answers.
    pub(crate) async fn wait_up(&mut self) -> anyhow::Result<()> {
        let give_up = tokio::time::Instant::now() + START;
        loop {
            let Err(error) = self.docker(&["version"]).await else { return Ok(()) };
            if tokio::time::Instant::now() >= give_up {
                let log = tail(&self.folder.join("dockerd.log"), 20);
                bail!("the daemon of the run does not answer: {error:#}\n{log}");
            }
            self.launch();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Runs the command line against it.
    pub(crate) async fn docker(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("docker");
        command.arg("--host").arg(format!("unix://{}", self.socket().display())).args(words);
        output(command).await
    }

    /// Names of all containers, in any state.
    pub(crate) async fn containers(&self) -> anyhow::Result<BTreeSet<String>> {
        let names = self.docker(&["ps", "-a", "--format", "{{.Names}}"]).await?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Names of what runs.
    pub(crate) async fn running(&self) -> anyhow::Result<Vec<String>> {
        let names = self.docker(&["ps", "--format", "{{.Names}}"]).await?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Lets every paused container go on.
    pub(crate) async fn unpause_all(&self) {
        let paused = self.docker(&["ps", "-q", "--filter", "status=paused"]).await.unwrap_or_default();
        for id in paused.lines() {
            // It may be gone by now.
            let _gone = self.docker(&["unpause", id]).await;
        }
    }

    /// Control groups of containers that are left.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let Ok(controllers) = std::fs::read_dir("/sys/fs/cgroup") else { return Vec::new() };
        let parents =
            controllers.flatten().map(|entry| entry.path().join(self.cgroup().trim_start_matches('/')));
        let below = parents.filter_map(|parent| std::fs::read_dir(parent).ok());
        below
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .filter(|path| path.is_dir())
            .collect()
    }

    /// Ends it and whatever it started.
    pub(crate) async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM);
            let give_up = tokio::time::Instant::now() + Duration::from_secs(10);
            while !process.has_ended() && tokio::time::Instant::now() < give_up {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Below which its containers have their control groups.
    fn cgroup(&self) -> String {
        let run = self.folder.parent().and_then(Path::file_name).unwrap_or_default();
        format!("/{}", run.to_string_lossy())
    }

    async fn load_image(&self) -> anyhow::Result<()> {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/host/image.sh"));
        script.arg("base").env("DOCKER_HOST", format!("unix://{}", self.socket().display()));
        output(script).await.map(drop).context("make the image of the jobs")
    }

    /// Processes whose command line names the daemon's folder: containerd, shims.
    fn leftovers(&self) -> Vec<Pid> {
        let folder = self.folder.display().to_string();
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let names = |pid: &i32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&folder))
        };
        pids.filter(names).filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process = None;
        // Containers first: their shims end with them.
        for cgroup in self.cgroups() {
            for pid in std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default().lines() {
                let pid = pid.parse().ok().and_then(Pid::from_raw);
                let _gone = pid.map(|pid| kill_process(pid, Signal::KILL));
            }
        }
        for pid in self.leftovers() {
            let _gone = kill_process(pid, Signal::KILL);
        }
        // What the containers had mounted; the folder cannot be removed before.
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let folder = self.folder.display().to_string();
        let below =
            mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|at| at.starts_with(&folder));
        for mount in below.collect::<Vec<_>>().into_iter().rev() {
            let _gone = super::net::run("umount", &["-l", mount]);
        }
        for cgroup in self.cgroups() {
            let _gone = std::fs::remove_dir(cgroup);
        }
        let own = self.cgroup();
        for controller in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _absent = std::fs::remove_dir(controller.path().join(own.trim_start_matches('/')));
        }
    }
}

async fn output(mut command: Command) -> anyhow::Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output =
        tokio::time::timeout(CALL.max(START), command.output()).await.context("it takes too long")??;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
