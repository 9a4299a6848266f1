//! What the journal knows of one attempt after all its records were read.

use dockmgr_core::agent::{DaemonRun, Phase, Stop};
use dockmgr_core::cluster::Start;
use dockmgr_core::outcome::AttemptEnd;
use dockmgr_core::time::{BootTime, WallTime};

use super::record::Change;

/// One attempt as the journal knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What the cluster asked for.
    pub start: Box<Start>,
    /// How far it has come.
    pub phase: Phase,
    /// Id of its container, once known.
    pub container: Option<String>,
    /// The image its container was made of.
    pub image: ImagePin,
    /// The daemon its container is on, once known.
    pub daemon: Option<DaemonRun>,
    /// The boot of the host in which its start was about to be sent.
    pub start_boot_id: Option<String>,
    /// When its container started, once confirmed.
    pub started: Option<StartedAt>,
    /// The stop whose signal was about to be sent.
    pub stop: Option<Stop>,
    /// SIGKILL was about to be sent.
    pub killed: bool,
    /// Its result.
    pub end: Option<Box<AttemptEnd>>,
}

/// An image, as exactly as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImagePin {
    /// Content id on this daemon, `sha256:...`.
    pub id: String,
    /// Digest to run the same image elsewhere; the id for an image that was never in a registry.
    pub digest: String,
}

/// When a container started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedAt {
    /// By the daemon's wall clock: shown, and compared only with itself to notice a second start.
    pub wall: WallTime,
    /// Whether `wall` is the daemon's word, not ours in its place: only then it can be compared.
    pub exact: bool,
    /// By the clock since boot, which all processes of one boot share: run time-outs count from it.
    pub boot: BootTime,
}

impl Entry {
    /// An attempt that was just taken in.
    pub fn new(start: Box<Start>) -> Self {
        Self {
            start,
            phase: Phase::Intent,
            container: None,
            image: ImagePin::default(),
            daemon: None,
            start_boot_id: None,
            started: None,
            stop: None,
            killed: false,
            end: None,
        }
    }

    /// Follows one record; `false` means that nothing is left of the attempt.
    pub(crate) fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Intent(_) => {}
            Change::Created { container, image, daemon } => {
                self.phase = Phase::Created;
                self.daemon = daemon;
                self.container = Some(container);
                self.image = image;
            }
            Change::StartIntent { boot_id, daemon } => {
                self.phase = Phase::StartIntent;
                self.daemon = daemon.or(self.daemon.take());
                self.start_boot_id = Some(boot_id);
            }
            Change::Started(at) => {
                self.phase = Phase::Started;
                self.started = Some(at);
            }
            Change::Stopping { stop, kill } => {
                self.stop = Some(stop);
                self.killed |= kill;
            }
            Change::Ended(end) => {
                self.phase = Phase::Ended;
                self.end = Some(end);
            }
            Change::Forgotten => return false,
        }
        true
    }

    /// The fewest changes that lead to this entry, for a rewritten journal.
    pub(super) fn changes(&self) -> Vec<Change> {
        let mut changes = vec![Change::Intent(self.start.clone())];
        if let Some(container) = self.container.clone() {
            let daemon = self.daemon.clone();
            changes.push(Change::Created { container, image: self.image.clone(), daemon });
        }
        let intent = |boot_id| Change::StartIntent { boot_id, daemon: self.daemon.clone() };
        changes.extend(self.start_boot_id.clone().map(intent));
        changes.extend(self.started.clone().map(Change::Started));
        changes.extend(self.stop.map(|stop| Change::Stopping { stop, kill: self.killed }));
        changes.extend(self.end.clone().map(Change::Ended));
        changes
    }
}
