//! One member of the cluster as a process that dies and comes back.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use dockmgr_tests::process::Process;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use super::net::Space;

/// Who a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// An etcd.
    Etcd(usize),
    /// A coordinator.
    Coordinator(usize),
    /// A worker.
    Worker(usize),
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Etcd(n) => write!(f, "etcd-{n}"),
            Self::Coordinator(n) => write!(f, "coordinator-{n}"),
            Self::Worker(n) => write!(f, "worker-{n}"),
        }
    }
}

/// A member: its place in the network, its command line, and its process while it has one.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) who: Who,
    pub(crate) space: Space,
    /// Program and arguments.
    words: Vec<String>,
    folder: PathBuf,
    process: Option<Process>,
    /// How often it ended without having been told to.
    pub(crate) own_ends: u32,
}

impl Member {
    /// A member that has not been started. `folder` takes its log.
    pub(crate) fn new(who: Who, space: Space, words: Vec<String>, folder: PathBuf) -> Self {
        Self { who, space, words, folder, process: None, own_ends: 0 }
    }

    /// Its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.who))
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&mut self) {
        if self.process.is_none() {
            let mut command = self.command();
            self.process = Some(Process::start(&self.who.to_string(), &mut command, &self.log()));
        }
    }

    /// Kills it as a power cut would; what else lives in its namespace goes on.
    pub(crate) async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Asks it to end and waits, by force after `limit`; whether it ended by itself.
    pub(crate) async fn stop(&mut self, limit: Duration) -> bool {
        let Some(mut process) = self.process.take() else { return true };
        process.signal(Signal::TERM);
        let give_up = tokio::time::Instant::now() + limit;
        while !process.has_ended() {
            if tokio::time::Instant::now() >= give_up {
                process.kill().await;
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    /// Sends a signal to its process.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Sends a signal to everything in its namespace.
    pub(crate) fn signal_all(&self, signal: Signal) {
        for pid in self.space.processes() {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // Whoever is gone needs no signal.
            let _gone = pid.map(|pid| kill_process(pid, signal));
        }
    }

    /// Whether it has a process that lives. One that ended by itself is counted, and started again at the next look.
    pub(crate) fn supervise(&mut self) {
        if self.process.as_mut().is_some_and(Process::has_ended) {
            self.own_ends += 1;
            self.process = None;
            self.start();
        }
    }

    /// Id of its process; `None` while it has none.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    fn command(&self) -> Command {
        let mut command = self.space.command(self.words[0].as_ref());
        command
            .args(&self.words[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .current_dir(&self.folder);
        command
    }
}

/// A folder in memory of a fixed size, so that it can be filled. Taken away when dropped.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `mebibytes` at `path`.
    pub(crate) fn mount(path: PathBuf, mebibytes: u32) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&path).context("make the mount point")?;
        let size = format!("size={mebibytes}m,mode=700");
        super::net::run(
            "mount",
            &["-t", "tmpfs", "-o", &size, "dockmgr-chaos", &path.display().to_string()],
        )?;
        Ok(Self { path })
    }

    /// Writes until nothing more fits.
    pub(crate) fn fill(&self) {
        use std::io::Write as _;
        let Ok(mut file) = std::fs::File::create(self.filler()) else { return };
        let piece = vec![0_u8; 64 * 1024];
        while file.write_all(&piece).is_ok() {}
    }

    /// Takes the filling away.
    pub(crate) fn free(&self) {
        // It may not even have been made on a full disk.
        let _absent = std::fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = super::net::run("umount", &["-l", &self.path.display().to_string()]);
    }
}
