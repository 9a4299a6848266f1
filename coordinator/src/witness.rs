//! What this coordinator remembers of etcd, to notice one that was restored from an older snapshot, emptied or exchanged.
//!
//! ```text
//! every 5 s: read cluster id and position -> not older than remembered -> remember
//!                                        \-> older, and still so after CONFIRMATIONS -> stop the program
//! ```
//!
//! State that went back would silently lose jobs that were acknowledged, run ended ones again and give numbers out twice.
//! A person decides, once, with `--accept-data-loss`: then epochs go on above all that were ever handed out, because
//! workers refuse older ones. What happened within the last seconds before the snapshot was taken cannot be noticed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dockmgr_core::ids::ClusterId;
use dockmgr_support::error_chain::Chain;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::store::{Error, Position, Store};

/// Time between two looks: how much may be lost unnoticed, against one small read and one small file.
const EVERY: Duration = Duration::from_secs(5);
/// Looks that must agree that the state went back: some versions of etcd answer a read with old data after a pause.
const CONFIRMATIONS: u32 = 4;
/// Between two of these.
const PAUSE: Duration = Duration::from_millis(500);

/// The memory of one coordinator, a small file in its data folder.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    path: PathBuf,
}

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    cluster: Option<String>,
    position: u64,
}

impl Witness {
    /// The witness of the coordinator whose data folder this is.
    pub(crate) fn new(data: &Path) -> Self {
        Self { path: data.join("etcd.json") }
    }

    /// Compares the store with what is remembered and remembers it; with `accept` an older state is taken as it is.
    ///
    /// # Errors
    /// [`Error::WentBack`] for an older state; what reading fails with.
    pub(crate) async fn check(&self, store: &Store, accept: bool) -> Result<(), Error> {
        let Some(memory) = self.read()? else {
            return match store.position().await? {
                Some(now) => self.remember(&now),
                None => Ok(()),
            };
        };
        let mut left = CONFIRMATIONS;
        loop {
            let Some(now) = store.position().await? else { return Ok(()) };
            let Some(problem) = problem(&memory, &now) else { return self.remember(&now) };
            left -= 1;
            if left > 0 {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            if !accept {
                return Err(Error::WentBack { problem });
            }
            tracing::warn!(problem, "an older state is accepted: what came after it is lost");
            store.raise_epochs(memory.position).await?;
            return match store.position().await? {
                Some(now) => self.remember(&now),
                None => Ok(()),
            };
        }
    }

    /// Watches the store until `stop`; returns only when its state went back.
    pub(crate) async fn watch(self, store: Store, stop: CancellationToken) -> Result<(), Error> {
        loop {
            tokio::select! {
                // The program ends.
                () = stop.cancelled() => return Ok(()),
                // Time for a look.
                () = tokio::time::sleep(EVERY) => {}
            }
            match self.check(&store, false).await {
                Ok(()) => {}
                Err(error) if error.is_retryable() => {
                    tracing::debug!(error = %Chain(&error), "no look at the store");
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&self) -> Result<Option<Memory>, Error> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::Corrupt {
                place: self.path.display().to_string(),
                detail: format!("{error}; delete the file to trust etcd as it is"),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io { action: "read", path: self.path.clone(), source }),
        }
    }

    /// Replaces the file whole. It need not survive a loss of power: an older memory is a weaker one, not a wrong one.
    fn remember(&self, now: &Position) -> Result<(), Error> {
        let memory = Memory { cluster: now.cluster.map(|id| id.to_string()), position: now.at };
        let failed = |source| Error::Io { action: "write", path: self.path.clone(), source };
        let fresh = self.path.with_extension("new");
        let bytes = serde_json::to_vec(&memory).expect("a text and a number are JSON");
        std::fs::write(&fresh, bytes).map_err(failed)?;
        std::fs::rename(&fresh, &self.path).map_err(failed)
    }
}

/// What is wrong with the state that is there now, if something is.
fn problem(memory: &Memory, now: &Position) -> Option<String> {
    let found = now.cluster.map(|id: ClusterId| id.to_string());
    match (&memory.cluster, found) {
        (Some(_), None) => Some("etcd is empty below this prefix, and it was not".to_owned()),
        (Some(old), Some(new)) if *old != new => {
            Some(format!("etcd holds cluster {new} below this prefix, and it was cluster {old}"))
        }
        (_, _) if now.at < memory.position => Some(format!(
            "etcd is at {}, and it was at {}: it was restored from an older snapshot",
            now.at, memory.position
        )),
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn e09_an_older_an_empty_and_another_state_are_told_from_one_that_went_on() {
        let id = |n| Some(ClusterId(Uuid::from_u128(n)));
        let memory =
            |cluster: Option<ClusterId>| Memory { cluster: cluster.map(|id| id.to_string()), position: 10 };
        let judge = |before, now, at| problem(&memory(before), &Position { cluster: now, at });
        assert_eq!(judge(id(1), id(1), 10), None);
        assert_eq!(judge(None, id(1), 11), None);
        assert!(judge(id(1), id(1), 9).is_some_and(|text| text.contains("older snapshot")));
        assert!(judge(id(1), None, 11).is_some_and(|text| text.contains("empty")));
        assert!(judge(id(1), id(2), 11).is_some_and(|text| text.contains("cluster")));
        assert!(judge(None, None, 9).is_some());
    }
}
