//! What the attempt driver is told to do next.

use crate::outcome::EndReason;
use crate::time::BootTime;

use super::wanted::Stop;

/// One step. The driver carries it out, notes in `Observed` what came of it and asks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make sure that the image is there.
    PullImage,
    /// Look the container up, by id where known, else by its name.
    Inspect,
    /// Create the container; afterwards look it up, whatever the answer was.
    Create,
    /// Write the container's id down.
    JournalCreated,
    /// Begin to read output live; must come before the start.
    Attach,
    /// Write down, durably, that the start comes next.
    JournalStartIntent,
    /// Send the one start request.
    Start,
    /// Write down that the start is confirmed.
    JournalStarted,
    /// Begin to read the output the daemon kept.
    Recover,
    /// Write the stop down and send its signal.
    Signal(Stop),
    /// Write the stop down and send SIGKILL.
    Kill(Stop),
    /// Tell the cluster that SIGKILL does not end it.
    ReportStuck,
    /// Wait until all output is in the spool and write its end.
    FinishCapture,
    /// Write the result down, durably, and report it.
    End(Ending),
    /// Remove the container, then look it up again.
    Remove {
        /// Kill it first if it runs. Without this a container that did start after all is left alone by the daemon.
        force: bool,
    },
    /// Remove what is left of it from the spool and the journal; it is over.
    Forget,
    /// Nothing to do until something changes, or until this time.
    Wait {
        /// When to ask again at the latest.
        until: Option<BootTime>,
    },
}

/// What the result will say; the driver adds times, usage and where the output ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Why it ended.
    pub reason: EndReason,
    /// Exit code of the command; `None` where there is none.
    pub exit_code: Option<u8>,
    /// More words.
    pub message: String,
    /// The kernel killed something of it for memory.
    pub oom_seen: bool,
    /// Whether another attempt could help although the spec asked for no retries.
    pub retryable: bool,
}

impl Ending {
    /// An end caused by the infrastructure: another attempt may help.
    pub fn infra(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true, ..Self::from(EndReason::InfraUnknown) }
    }

    /// An end for `reason`, with words.
    pub fn because(reason: EndReason, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::from(reason) }
    }
}
