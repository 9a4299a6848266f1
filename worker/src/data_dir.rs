//! The worker's data folder: who the node is, and that only one worker uses the folder.
//!
//! Owns the lock and `identity.json`; the journal, the spool and the image index live beside it and are their own.
//! Opened once by the composition root.
//!
//! Invariant: the highest leader epoch ever obeyed is on disk before a command of it is carried out (G4).

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use dockmgr_core::ids::{self, ClusterId, Epoch, NodeId};
use dockmgr_support::folder_lock::FolderLock;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another worker uses it.
    #[error("the data folder '{}' is in use by another worker", .0.display())]
    Locked(PathBuf),
    /// A file of it cannot be read or written.
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
    /// The identity file is not one.
    #[error("'{}' is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder belongs to a worker of another cluster.
    #[error(
        "this data folder belongs to cluster {ours}, the coordinator is of cluster {theirs}; use another --data"
    )]
    OtherCluster {
        /// The cluster of the folder.
        ours: ClusterId,
        /// The cluster of the coordinator.
        theirs: ClusterId,
    },
    /// The sender was the leader once.
    #[error("epoch {got} is older than epoch {highest}: the sender is no longer the leader")]
    OldEpoch {
        /// The epoch that arrived.
        got: Epoch,
        /// The highest seen.
        highest: Epoch,
    },
}

/// An open data folder; the lock is held while this lives.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    identity: Identity,
    _lock: FolderLock,
}

/// What is remembered about the node.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
struct Identity {
    node: NodeId,
    cluster: Option<ClusterId>,
    epoch: Epoch,
    /// How often a worker was started on this folder; makes report numbers grow over restarts.
    starts: u32,
}

/// The identity as it is in the file. Unknown keys are refused: a newer worker's folder is not rewritten.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    node: String,
    cluster: Option<String>,
    epoch: u64,
    starts: u32,
}

impl TryFrom<Stored> for Identity {
    type Error = ids::Error;

    fn try_from(stored: Stored) -> Result<Self, ids::Error> {
        let Stored { node, cluster, epoch, starts } = stored;
        let cluster = cluster.map(|text| text.parse()).transpose()?;
        Ok(Self { node: node.parse()?, cluster, epoch: Epoch(epoch), starts })
    }
}

impl From<Identity> for Stored {
    fn from(identity: Identity) -> Self {
        let Identity { node, cluster, epoch, starts } = identity;
        Self { node: node.to_string(), cluster: cluster.map(|id| id.to_string()), epoch: epoch.0, starts }
    }
}

impl DataDir {
    /// Opens a folder, making it and the node's identity at the first start, and counts the start.
    pub fn open(root: &Path) -> Result<Self, Error> {
        // Only this user: it holds what jobs were asked to do, with their environment, and what they wrote.
        let private = fs::DirBuilder::new().recursive(true).mode(0o700).create(root);
        private.map_err(failed("make the data folder", root))?;
        let lock = FolderLock::acquire(root).map_err(failed("lock", root))?;
        let lock = lock.ok_or_else(|| Error::Locked(root.to_owned()))?;
        let path = root.join("identity.json");
        let mut identity = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Identity>(&bytes)
                .map_err(|error| Error::Damaged { path, problem: error.to_string() })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Identity { node: NodeId(Uuid::now_v7()), cluster: None, epoch: Epoch(0), starts: 0 }
            }
            Err(error) => return Err(failed("read", &path)(error)),
        };
        identity.starts = identity.starts.saturating_add(1);
        let mut dir = Self { root: root.to_owned(), identity, _lock: lock };
        dir.write()?;
        Ok(dir)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Identity of the node.
    pub fn node(&self) -> NodeId {
        self.identity.node
    }

    /// The cluster it belongs to; `None` before the first Welcome.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.identity.cluster
    }

    /// How often a worker was started on this folder, this time included.
    pub fn starts(&self) -> u32 {
        self.identity.starts
    }

    /// Joins a cluster for good; fails with [`Error::OtherCluster`] if it belongs to another.
    pub fn join(&mut self, cluster: ClusterId) -> Result<(), Error> {
        match self.cluster() {
            Some(ours) if ours == cluster => Ok(()),
            Some(ours) => Err(Error::OtherCluster { ours, theirs: cluster }),
            None => {
                self.identity.cluster = Some(cluster);
                self.write()
            }
        }
    }

    /// Notes a leader's epoch; fails with [`Error::OldEpoch`] for one that was replaced.
    pub fn obey(&mut self, epoch: Epoch) -> Result<(), Error> {
        let highest = self.identity.epoch;
        if epoch < highest {
            return Err(Error::OldEpoch { got: epoch, highest });
        }
        if epoch > highest {
            self.identity.epoch = epoch;
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        let path = self.root.join("identity.json");
        let bytes = serde_json::to_vec_pretty(&self.identity).expect("plain numbers always serialise");
        replace_file(&path, &bytes).map_err(failed("write", &path))
    }
}

/// Puts `bytes` in place of a file so that a crash leaves the old or the new content, durably.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync_folder_of(path)
}

/// Makes a rename or a new file in the folder of `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_its_identity_and_its_cluster() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (ours, theirs) = (ClusterId(Uuid::from_u128(1)), ClusterId(Uuid::from_u128(2)));
        let mut first = DataDir::open(folder.path()).expect("opens");
        let node = first.node();
        first.join(ours).expect("the first cluster is taken");
        drop(first);
        let mut second = DataDir::open(folder.path()).expect("opens again");
        assert_eq!((second.node(), second.cluster(), second.starts()), (node, Some(ours), 2));
        assert!(matches!(second.join(theirs), Err(Error::OtherCluster { .. })));
    }

    #[test]
    fn a_second_worker_is_refused_while_the_first_lives() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let first = DataDir::open(folder.path()).expect("opens");
        assert!(matches!(DataDir::open(folder.path()), Err(Error::Locked(_))));
        drop(first);
        DataDir::open(folder.path()).expect("free again");
    }

    #[test]
    fn an_older_epoch_is_refused_even_after_a_restart() {
        let folder = tempfile::tempdir().expect("temporary folder");
        DataDir::open(folder.path()).expect("opens").obey(Epoch(7)).expect("newer");
        let mut dir = DataDir::open(folder.path()).expect("opens again");
        assert!(matches!(dir.obey(Epoch(6)), Err(Error::OldEpoch { .. })));
        dir.obey(Epoch(7)).expect("the same leader");
    }

    #[test]
    fn a_damaged_identity_is_refused_not_replaced() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::write(folder.path().join("identity.json"), b"{\"node\":").expect("writes");
        assert!(matches!(DataDir::open(folder.path()), Err(Error::Damaged { .. })));
    }
}
