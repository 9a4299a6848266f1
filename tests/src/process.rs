//! One program of a cluster as a process: its log, its signals, its end.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::process::{Child, Command};

/// The unit of processor time in `/proc`, the same on every Linux.
const TICK_MILLIS: u64 = 10;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints goes to the end of `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("open the program's log");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle on the log"))
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .expect("a fresh child has an id");
        Self { name: name.to_owned(), child, pid, log: log.to_owned() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        u32::try_from(self.pid.as_raw_nonzero().get()).expect("ids are positive")
    }

    /// Sends a signal; a process that is gone is left alone. Returns from a stop when the last thread stands still: until
    /// then the process may still answer.
    pub fn signal(&self, signal: Signal) {
        // Not yet waited for, so the id cannot belong to another process.
        let sent = kill_process(self.pid, signal);
        if sent.is_ok() && signal == Signal::STOP {
            let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _gone = waitid(WaitId::Pid(self.pid), stopped);
        }
    }

    /// Kills it as a power cut would and waits for the end.
    pub async fn kill(mut self) {
        self.signal(Signal::KILL);
        let _status = self.child.wait().await;
    }

    /// Waits for its end.
    pub async fn wait(&mut self, limit: Duration) -> ExitStatus {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{} did not end within {limit:?}", self.name));
        ended.expect("a child can be waited for")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// The largest memory it has had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The memory it has now, in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// A size in the kernel's words about the process.
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel counts it");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
        kib * 1024
    }

    /// Processor time it has used.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("the process runs");
        // Behind the name in brackets: state is field 3, user and system time are fields 14 and 15, in ticks.
        let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
        let ticks: u64 =
            fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * TICK_MILLIS)
    }

    /// Number of its open files.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("the process runs").count()
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

/// The last lines of a file.
pub fn tail(path: &Path, lines: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
