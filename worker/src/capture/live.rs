//! The live path: attached before the start, drained whatever happens behind it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::log::Stream;
use dockmgr_core::time::WallTime;
use dockmgr_support::clock;
use dockmgr_support::error_chain::Chain;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};

use super::{Capture, Pieces};
use crate::runtime::{Attached, Runtime as _};

/// Bytes on the way from the daemon to the spool: enough for a disk that hesitates, bounded for one that hangs.
const IN_FLIGHT: usize = 8 * 1024 * 1024;
/// Bytes on the way of all attempts together: a disk that hangs must not cost a hundred times the memory of one attempt.
const IN_FLIGHT_ALL: usize = 48 * 1024 * 1024;
/// Room for [`IN_FLIGHT_ALL`].
static ALL: Semaphore = Semaphore::const_new(IN_FLIGHT_ALL);
/// Pieces on the way; small writes reach this first.
const PIECES: usize = 4096;
/// Pieces written to the spool at once.
const BATCH: usize = 256;
/// How long the daemon may show a container as running after its output ended: it learns of the exit a moment later.
const EXIT_LAG: Duration = Duration::from_secs(2);
/// How often is looked in that time.
const EXIT_POLL: Duration = Duration::from_millis(50);

/// How the live path ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Every byte is in the spool.
    Complete,
    /// The kept log must give the rest; why.
    Behind(&'static str),
}

/// A piece that holds its share of the room until it is written.
type Held = (Stream, Bytes, (OwnedSemaphorePermit, SemaphorePermit<'static>));

impl Capture {
    /// Drains `attached` into the spool.
    pub(super) async fn live(&self, attached: Attached, pieces: &mut Pieces) -> Outcome {
        let (sender, receiver) = mpsc::channel(PIECES);
        let (drained, written) = tokio::join!(drain(attached, sender), self.write(receiver, pieces));
        match drained {
            Outcome::Complete if written && self.has_ended().await => Outcome::Complete,
            Outcome::Complete => Outcome::Behind("the live output ended before the container"),
            behind @ Outcome::Behind(_) => behind,
        }
    }

    async fn write(&self, mut pieces_in: mpsc::Receiver<Held>, pieces: &mut Pieces) -> bool {
        let mut batch = Vec::with_capacity(BATCH);
        while pieces_in.recv_many(&mut batch, BATCH).await > 0 {
            let (output, _permits): (Vec<_>, Vec<_>) =
                batch.drain(..).map(|(stream, bytes, permit)| ((stream, bytes), permit)).unzip();
            let entries = pieces.cut(output, WallTime(clock::wall_millis()));
            // Over the cap there is nothing to write, and the output is still drained.
            if !entries.is_empty() && !self.append(entries).await {
                return false;
            }
        }
        true
    }

    /// Whether the container has ended, so that the end of its output was no cut connection. The first look must
    /// succeed: a daemon that just died ends the output the same way. It may be too early to show the exit, but then the
    /// container's first process is gone already; while that lives, output may follow that nobody attached to.
    async fn has_ended(&self) -> bool {
        let looks = EXIT_LAG.as_millis() / EXIT_POLL.as_millis();
        for look in 0..looks {
            match self.runtime.inspect(self.container.as_str()).await {
                Ok(Some(state)) if state.exit().is_some() => return true,
                Ok(Some(state)) if look == 0 && !state.pid.is_some_and(has_no_process) => return false,
                Ok(Some(_)) => tokio::time::sleep(EXIT_POLL).await,
                Ok(None) | Err(_) => return false,
            }
        }
        false
    }
}

/// Whether a process is gone, or only its exit code is left of it.
fn has_no_process(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])),
        // Without our own entry nobody's can be seen here.
        Err(_) => std::fs::exists("/proc/self/stat").unwrap_or(false),
    }
}

/// Reads as fast as the daemon gives. Whoever stalls an attach blocks the container, so a reader with no room left hangs
/// up instead.
async fn drain(mut attached: Attached, sender: mpsc::Sender<Held>) -> Outcome {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        let (stream, bytes) = match attached.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Outcome::Complete,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "live output broke off");
                return Outcome::Behind("the live output broke off");
            }
        };
        let size = u32::try_from(bytes.len().min(IN_FLIGHT)).unwrap_or(u32::MAX);
        let own = Arc::clone(&room).try_acquire_many_owned(size).ok();
        let held = own.zip(ALL.try_acquire_many(size).ok()).map(|permits| (stream, bytes, permits));
        if held.is_some_and(|held| sender.try_send(held).is_ok()) {
            continue;
        }
        return Outcome::Behind("the spool could not keep up");
    }
}
