//! The guard's own loop: read the files, decide, kill; end when there is nothing to guard.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockmgr_core::agent::{Contact, Guarded, guard_kills, is_fenced};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::time::BootTime;
use dockmgr_support::clock;
use rustix::fs::{FlockOperation, flock, fstat};

use super::keeper::{LOCK, is_free, worker_lock};
use super::{Killer, Records};
use crate::fence::ContactFile;

/// How often the guard looks: together with the kill itself well within the two seconds that a leader allows for it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often in a row the worker must be found gone, with nothing left to guard, before the guard ends: longer than a
/// supervisor takes to start a worker again.
const LONELY_LOOKS: u32 = 20;
/// How often the lock is tried: whoever looks whether a guard runs holds it for a moment.
const LOCK_TRIES: u32 = 20;
/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What the guard is told on its command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// The worker's data folder.
    pub data: PathBuf,
    /// File with the boot id of the host.
    pub boot_id_file: PathBuf,
    /// Go on although there is no worker: a supervisor owns this guard.
    pub stay: bool,
}

/// Why there is no guard.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another guard guards this folder.
    #[error("the data folder '{}' has a guard already", .0.display())]
    Locked(PathBuf),
    /// Something cannot be read or written.
    #[error("{what} '{}'", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Guards a data folder until there is nothing to guard: the folder is gone, or its worker is and no container lives.
pub fn run(options: &Options) -> Result<(), Error> {
    // Fails only for the leader of a group, which a supervisor has put into a session already.
    rustix::process::setsid().ok();
    // The kernel must not take the guard when memory runs out; without the right to say so it is as it was.
    drop(std::fs::write("/proc/self/oom_score_adj", "-999"));
    let mut guard = Guard::open(options)?;
    tracing::info!(data = %options.data.display(), "guard runs");
    while guard.look(BootTime(clock::boot_nanos())) {
        pause(LOOK_EVERY);
    }
    tracing::info!("guard ends: nothing to guard");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the guard is one thread and has nothing else to do")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// What the guard holds between two looks.
struct Guard {
    data: PathBuf,
    stay: bool,
    boot_id: String,
    lock: File,
    worker: File,
    killer: Killer,
    folder: Records,
    /// As last read: what cannot be read any more still holds.
    records: BTreeMap<AttemptId, Guarded>,
    /// As last read; counted from the guard's own start until there is something to read.
    contact: Contact,
    lonely: u32,
}

impl Guard {
    fn open(options: &Options) -> Result<Self, Error> {
        let root = &options.data;
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { what, path, source }
        };
        let boot_id = std::fs::read_to_string(&options.boot_id_file)
            .map_err(failed("read the boot id from", &options.boot_id_file))?;
        let boot_id = boot_id.trim().to_owned();
        let lock = take_lock(root)?;
        Ok(Self {
            data: root.clone(),
            stay: options.stay,
            lock,
            folder: Records::open(root, &boot_id).map_err(failed("make the guard's folder in", root))?,
            worker: worker_lock(root).map_err(failed("open the worker's sign of life in", root))?,
            killer: Killer::of(root).map_err(failed("read", Path::new("/proc/self/mounts")))?,
            boot_id,
            records: BTreeMap::new(),
            contact: Contact {
                last: Some(BootTime(clock::boot_nanos())),
                fence_after: dockmgr_core::agent::DEFAULT_FENCE_AFTER,
            },
            lonely: 0,
        })
    }

    /// Looks once; `false` if there is nothing to guard any more.
    fn look(&mut self, now: BootTime) -> bool {
        let folder_gone = fstat(&self.lock).is_ok_and(|stat| stat.st_nlink == 0);
        if !folder_gone {
            self.read();
        }
        for attempt in guard_kills(&self.records, self.contact, now) {
            self.kill(attempt);
        }
        // Without the folder contact can never be told again: what lives is fenced in its time, then there is nothing.
        let abandoned = folder_gone || is_free(&self.worker);
        if !abandoned || (self.stay && !folder_gone) || self.something_lives() {
            self.lonely = 0;
            return true;
        }
        self.lonely += 1;
        !folder_gone && !self.folder.has_leave() && self.lonely < LONELY_LOOKS
    }

    /// Reads what the worker wrote. What cannot be read is as it was.
    fn read(&mut self) {
        if let Ok(records) = self.folder.all() {
            self.records = records;
        }
        let known = ContactFile::open_to_read(&self.data).and_then(|file| file.read());
        if let Ok(Some(known)) = known
            && known.boot_id == self.boot_id
            && known.last.is_some()
        {
            self.contact = Contact { last: known.last, fence_after: known.fence_after };
        }
    }

    fn kill(&self, attempt: AttemptId) {
        let Some(guarded) = self.records.get(&attempt) else { return };
        let container_id = &guarded.container;
        if !self.killer.is_alive(container_id) {
            return;
        }
        // First the mark: the worker must not take the kill for a person's.
        if let Err(error) = self.folder.mark_killed(attempt) {
            tracing::error!(%attempt, %error, "kill not marked");
        }
        if self.killer.kill(container_id) {
            tracing::warn!(%attempt, container_id, "killed: its worker has no contact with the leader");
        } else {
            tracing::error!(%attempt, container_id, "something of it survived SIGKILL; trying again");
        }
    }

    fn something_lives(&self) -> bool {
        let guarded = self.records.values().filter(|guarded| is_fenced(guarded.on_lost));
        guarded.into_iter().any(|guarded| self.killer.is_alive(&guarded.container))
    }
}

fn take_lock(root: &Path) -> Result<File, Error> {
    let path = root.join(LOCK);
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let lock = opened.map_err(|source| Error::Io { what: "open", path, source })?;
    for _ in 0..LOCK_TRIES {
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(lock);
        }
        pause(LOCK_PAUSE);
    }
    Err(Error::Locked(root.to_owned()))
}
