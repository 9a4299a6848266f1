//! Keeping a guard: the worker starts one, sees that it lives, and starts it again.
//!
//! Whether a guard lives is told by its lock, not by the process: a guard outlives the worker that started it, and the next
//! worker finds it in place.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::records::{FOLDER, Records};
use crate::health::Health;

/// Held by the guard while it lives.
pub(super) const LOCK: &str = "guard.lock";
/// Held, shared, by the worker while it lives; in the guard's folder.
const WORKER: &str = "worker";
/// How often is looked whether the guard lives.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between two starts: one that dies at once must not be started without end, and it must be back within a second.
const START_PAUSE: Duration = Duration::from_millis(700);
/// How long a starting worker waits for its guard before it goes on and says that there is none.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Between two looks of that first wait.
const FIRST_LOOK: Duration = Duration::from_millis(20);
/// How long an orderly end waits for the guard's: it looks twice a second.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// Size from which the guard's log begins anew; it writes a few lines a day.
const LOG_LIMIT: u64 = 1024 * 1024;

/// Who sees to it that there is a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The worker starts one and keeps it running; needs root.
    On,
    /// Somebody else runs one, as root: `dockmgr-worker guard --stay --data DIR`. Without it the node takes no work.
    External,
    /// There is none: a worker that dies or hangs leaves its containers running.
    Off,
}

/// What is needed to keep a guard.
#[derive(Debug)]
pub struct Keeper {
    mode: Mode,
    root: PathBuf,
    boot_id_file: PathBuf,
    health: Health,
    records: Records,
    /// Says that this worker lives.
    alive: File,
    child: Option<Child>,
    started: Option<Instant>,
}

impl Keeper {
    /// Says to the guard that this worker lives; the guard's folder must be there.
    pub fn open(
        mode: Mode,
        root: &Path,
        boot_id_file: &Path,
        records: Records,
        health: Health,
    ) -> std::io::Result<Self> {
        let alive = worker_lock(root)?;
        if mode != Mode::Off {
            // Waits for a guard that is looking at this moment.
            flock(&alive, FlockOperation::LockShared)?;
        }
        records.take_leave_back();
        Ok(Self {
            mode,
            root: root.to_owned(),
            boot_id_file: boot_id_file.to_owned(),
            health,
            records,
            alive,
            child: None,
            started: None,
        })
    }

    /// Waits a moment for the guard, so that a node is not called unready at each start.
    pub async fn first_look(&mut self) {
        let begun = Instant::now();
        while !self.look() && begun.elapsed() < FIRST_WAIT {
            tokio::time::sleep(FIRST_LOOK).await;
        }
    }

    /// Keeps the guard running until cancelled. Afterwards it goes on while there is something to guard.
    pub async fn keep_forever(mut self, token: CancellationToken) {
        loop {
            self.look();
            if token.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
                return self.take_leave().await;
            }
        }
    }

    /// Ends a guard that has nothing to guard any more, so that an orderly end leaves no process behind.
    async fn take_leave(self) {
        let nothing_left = self.records.all().is_ok_and(|records| records.is_empty());
        if self.mode != Mode::On || !nothing_left || self.records.give_leave().is_err() {
            return;
        }
        drop(self.alive);
        let begun = Instant::now();
        while guard_runs(&self.root) && begun.elapsed() < LAST_WAIT {
            tokio::time::sleep(FIRST_LOOK).await;
        }
    }

    /// Whether all is well; starts a guard where there is none.
    fn look(&mut self) -> bool {
        if self.mode == Mode::Off {
            return true;
        }
        let runs = guard_runs(&self.root);
        self.health.set_guard(if runs { None } else { Some(self.complaint()) });
        if let Some(child) = &mut self.child
            && !matches!(child.try_wait(), Ok(None))
        {
            self.child = None;
        }
        let may_start = self.started.is_none_or(|at| at.elapsed() >= START_PAUSE);
        if !runs && self.mode == Mode::On && self.child.is_none() && may_start {
            self.started = Some(Instant::now());
            match self.start() {
                Ok(child) => self.child = Some(child),
                Err(error) => tracing::error!(%error, "guard not started"),
            }
        }
        runs
    }

    fn complaint(&self) -> String {
        match self.mode {
            Mode::On | Mode::Off => "guard is not running".to_owned(),
            Mode::External => format!(
                "guard is not running: run dockmgr-worker guard --stay --data {} as root",
                self.root.display()
            ),
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let path = self.root.join("guard.log");
        let full = std::fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT);
        let log = OpenOptions::new()
            .create(true)
            .append(!full)
            .write(true)
            .truncate(full)
            .mode(0o600)
            .open(&path)?;
        Command::new(std::env::current_exe()?)
            .arg("guard")
            .arg("--data")
            .arg(&self.root)
            .arg("--boot-id-file")
            .arg(&self.boot_id_file)
            // Nothing of ours: no tokens, no terminal, no folder that somebody may want to unmount.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
    }
}

/// Whether a guard holds the lock of this folder.
fn guard_runs(root: &Path) -> bool {
    File::open(root.join(LOCK)).is_ok_and(|lock| !is_free(&lock))
}

/// Opens the worker's sign of life.
pub(super) fn worker_lock(root: &Path) -> std::io::Result<File> {
    let path = root.join(FOLDER).join(WORKER);
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}

/// Whether nobody holds this lock; holds it for a moment to find out.
pub(super) fn is_free(lock: &File) -> bool {
    let taken = flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok();
    if taken {
        flock(lock, FlockOperation::Unlock).ok();
    }
    taken
}
