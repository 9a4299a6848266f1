//! What is written into the journal.

use dockmgr_core::agent::{DaemonRun, Stop};
use dockmgr_core::cluster::Start;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::outcome::AttemptEnd;

use super::entry::{ImagePin, StartedAt};

/// One step of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Which attempt.
    pub attempt: AttemptId,
    /// What is about to happen or has happened.
    pub change: Change,
}

/// What is about to happen with an attempt, or has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It was taken in; everything needed to run it.
    Intent(Box<Start>),
    /// Its container exists and was never started.
    Created {
        /// Id of the container.
        container: String,
        /// The image it was made of.
        image: ImagePin,
        /// The daemon it is on, where known.
        daemon: Option<DaemonRun>,
    },
    /// The one start request comes next.
    StartIntent {
        /// This boot of the host: after another one, exit codes of this run mean nothing.
        boot_id: String,
        /// The run of the daemon that starts it, where known: after another one, its exit may be the daemon's doing.
        daemon: Option<DaemonRun>,
    },
    /// The start is confirmed.
    Started(StartedAt),
    /// A signal to end it comes next.
    Stopping {
        /// The stop.
        stop: Stop,
        /// It is SIGKILL.
        kill: bool,
    },
    /// Its result.
    Ended(Box<AttemptEnd>),
    /// Nothing of it is left.
    Forgotten,
}

impl Change {
    /// Whether a loss of power may not lose it. A crash of the worker alone loses nothing that was written.
    pub fn durability(&self) -> Durability {
        match self {
            Self::Intent(_) | Self::StartIntent { .. } | Self::Ended(_) => Durability::Disk,
            // Losing these leads to the same place by looking at the container again.
            Self::Created { .. } | Self::Started(_) | Self::Stopping { .. } | Self::Forgotten => {
                Durability::Process
            }
        }
    }
}

/// What a record must survive before work goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The end of this process.
    Process,
    /// A loss of power.
    Disk,
}
