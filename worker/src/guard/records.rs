//! What the worker writes down for the guard about each container, and what the guard answers.
//!
//! Owns the folder `guard` in the data folder: `42.0.1` says which container an attempt has and what its job wants when the
//! worker is lost; `42.0.1.killed` says that the guard killed it. Nothing here is flushed: it must survive the worker, not
//! the host, whose reboot ends every container anyway.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dockmgr_core::agent::Guarded;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::spec::OnLost;
use serde::{Deserialize, Serialize};

/// Name of the folder in the data folder.
pub(super) const FOLDER: &str = "guard";
/// There while the last worker ended in an orderly way with nothing left to guard.
const LEAVE: &str = "leave";
/// Ending of the guard's own files.
const KILLED: &str = "killed";

/// The folder. Clones are the same folder.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
    boot_id: String,
}

/// A record as it is in its file.
#[derive(Serialize, Deserialize)]
struct Stored {
    container: String,
    on_lost: StoredPolicy,
    boot_id: String,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum StoredPolicy {
    Retry,
    Wait,
    Fail,
}

impl Records {
    /// The records of a data folder, in this boot of the host; makes the folder if it is not there.
    pub fn open(root: &Path, boot_id: &str) -> std::io::Result<Self> {
        let folder = root.join(FOLDER);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, boot_id: boot_id.to_owned() })
    }

    /// Writes down what an attempt is about to run; must come before its start request.
    pub fn write(&self, attempt: AttemptId, guarded: &Guarded) -> std::io::Result<()> {
        let stored = Stored {
            container: guarded.container.clone(),
            on_lost: match guarded.on_lost {
                OnLost::Retry => StoredPolicy::Retry,
                OnLost::Wait => StoredPolicy::Wait,
                OnLost::Fail => StoredPolicy::Fail,
            },
            boot_id: self.boot_id.clone(),
        };
        let bytes = serde_json::to_vec(&stored).expect("plain text always serialises");
        let fresh = self.path(attempt).with_added_extension("new");
        fs::write(&fresh, bytes)?;
        fs::rename(&fresh, self.path(attempt))
    }

    /// Drops what is known of an attempt whose container is gone.
    pub fn remove(&self, attempt: AttemptId) {
        // What is not there need not go; what cannot go names a container that does not exist.
        drop(fs::remove_file(self.path(attempt)));
        drop(fs::remove_file(self.killed_path(attempt)));
    }

    /// All attempts that are written down in this boot. Files that make no sense are passed over.
    pub fn all(&self) -> std::io::Result<BTreeMap<AttemptId, Guarded>> {
        let names =
            fs::read_dir(&self.folder)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let attempts = names.filter_map(|name| name.parse::<AttemptId>().ok());
        Ok(attempts.filter_map(|attempt| Some((attempt, self.read(attempt)?))).collect())
    }

    /// Notes that the guard is about to kill the container of an attempt.
    pub fn mark_killed(&self, attempt: AttemptId) -> std::io::Result<()> {
        fs::write(self.killed_path(attempt), &self.boot_id)
    }

    /// Whether the guard killed it, in this boot.
    pub fn was_killed(&self, attempt: AttemptId) -> bool {
        fs::read(self.killed_path(attempt)).is_ok_and(|boot_id| boot_id == self.boot_id.as_bytes())
    }

    /// Says that the guard may end: the worker does, in an orderly way.
    pub(super) fn give_leave(&self) -> std::io::Result<()> {
        fs::write(self.folder.join(LEAVE), "")
    }

    /// A worker is here again.
    pub(super) fn take_leave_back(&self) {
        // Usually it is not there.
        drop(fs::remove_file(self.folder.join(LEAVE)));
    }

    /// Whether the guard may end.
    pub(super) fn has_leave(&self) -> bool {
        self.folder.join(LEAVE).exists()
    }

    fn read(&self, attempt: AttemptId) -> Option<Guarded> {
        let stored: Stored = serde_json::from_slice(&fs::read(self.path(attempt)).ok()?).ok()?;
        let on_lost = match stored.on_lost {
            StoredPolicy::Retry => OnLost::Retry,
            StoredPolicy::Wait => OnLost::Wait,
            StoredPolicy::Fail => OnLost::Fail,
        };
        (stored.boot_id == self.boot_id).then_some(Guarded { container: stored.container, on_lost })
    }

    fn path(&self, attempt: AttemptId) -> PathBuf {
        self.folder.join(attempt.to_string())
    }

    fn killed_path(&self, attempt: AttemptId) -> PathBuf {
        self.path(attempt).with_added_extension(KILLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_written_and_only_in_the_same_boot() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let records = Records::open(folder.path(), "boot").expect("opens");
        let attempt: AttemptId = "42.7.2".parse().expect("well formed");
        let guarded = Guarded { container: "c".repeat(64), on_lost: OnLost::Fail };
        records.write(attempt, &guarded).expect("writes");
        fs::write(folder.path().join("guard/1.0.1"), b"{").expect("writes");
        assert_eq!(records.all().expect("reads"), BTreeMap::from([(attempt, guarded)]));
        records.mark_killed(attempt).expect("writes");
        assert!(records.was_killed(attempt));
        let rebooted = Records::open(folder.path(), "another boot").expect("opens");
        assert!(rebooted.all().expect("reads").is_empty() && !rebooted.was_killed(attempt));
        records.remove(attempt);
        assert!(records.all().expect("reads").is_empty() && !records.was_killed(attempt));
    }
}
