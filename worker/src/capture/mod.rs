//! Capture: everything a container writes goes to its spool, exactly, and the container is never blocked by us.
//!
//! Owns the path from the runtime's streams to the spool, the log cap, and the marks that say what is not exact. One
//! capture runs an attempt; the attempt driver starts it and waits for its [`End`].
//!
//! ```text
//!              attach, before the start                 end of stream, container has ended
//!   Live  --------------------------------> drained, 8 MiB on the way --------------------> end marker
//!     |  falls behind, breaks off, ends while the container runs                               ^
//!     v                                                                                        |
//!   Recovered: the daemon's kept log from byte 0, minus what is spooled, prefix checked -------+
//!     ^
//!     +-- after a restart of the worker
//! ```
//!
//! Invariant: the switch to the kept log is for good. The spool's order rule makes every repeat harmless.

mod live;
mod pieces;
mod recovery;
mod restarts;

use std::time::Duration;

use dockmgr_core::agent::DaemonRun;
use dockmgr_core::log::{End, Entry, Mark};
use dockmgr_support::backoff::Backoff;
use dockmgr_support::error_chain::Chain;
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::runtime::{AnyRuntime, Attached, ContainerId};
use crate::spool::{self, AttemptSpool};

use pieces::Pieces;

/// First pause after a failure of the disk or the daemon.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause: output of a container that runs on stays with the daemon meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What one capture needs.
#[derive(Debug)]
pub struct Capture {
    /// The daemon.
    pub runtime: AnyRuntime,
    /// The container.
    pub container: ContainerId,
    /// Where its output goes.
    pub spool: AttemptSpool,
    /// Most bytes kept of both streams together.
    pub cap: u64,
    /// The daemon it is on, where known: what another daemon says of it means nothing.
    pub daemon: Option<DaemonRun>,
    /// Tells whether a disk was low, which can lose log lines inside the daemon.
    pub health: Health,
    /// Counts the bytes that are spooled.
    pub captured: Counter,
    /// Cancelled when nobody wants the output any more, or the worker ends.
    pub token: CancellationToken,
}

impl Capture {
    /// Captures to the end of the output and writes the end marker; `None` if cancelled before.
    ///
    /// With `attached` it begins live, without it with the daemon's kept log. What is spooled already is kept.
    pub async fn run(mut self, attached: Option<Attached>) -> Option<End> {
        let token = self.token.clone();
        token.run_until_cancelled(self.capture(attached)).await.flatten()
    }

    async fn capture(&mut self, attached: Option<Attached>) -> Option<End> {
        if let Some(end) = self.spool.captured().end {
            return Some(end);
        }
        let low_before = self.health.low_disk_count();
        let mut life = self.life(attached.is_some());
        let mut pieces = Pieces::new(self.spool.captured().offsets, self.cap);
        let live = match attached {
            Some(attached) => self.live(attached, &mut pieces).await,
            None => live::Outcome::Behind("the worker was restarted"),
        };
        match live {
            live::Outcome::Complete => {}
            live::Outcome::Behind(reason) => {
                tracing::debug!(container_id = %self.container, reason, "capture goes on from the kept log");
                self.recover(&mut pieces, &mut life).await;
            }
        }
        if self.ended_unseen(life).await {
            let reason = "it ended while the daemon was down; what it wrote last may be missing".to_owned();
            pieces.mark(Mark::Suspect { reason });
        }
        if self.health.low_disk_count() != low_before {
            let reason = "the disk was nearly full while it ran; the daemon may have lost lines".to_owned();
            pieces.mark(Mark::Suspect { reason });
        }
        let end = pieces.into_end();
        self.append(vec![Entry::End(end.clone())]).await.then_some(end)
    }

    /// Appends until the disk takes it; `false` if the spool says that it never will.
    async fn append(&self, entries: Vec<Entry>) -> bool {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match self.spool.append(entries.clone()).await {
                Ok(()) => {
                    self.captured.inc_by(entries.iter().map(|entry| entry.payload_len() as u64).sum());
                    return true;
                }
                Err(error) if error.is_retryable() => {
                    tracing::warn!(attempt = %self.spool.attempt(), error = %Chain(&error), "spool not written");
                    tokio::time::sleep(backoff.next_delay()).await;
                }
                Err(spool::Error::ShuttingDown) => return std::future::pending().await,
                Err(error) => {
                    tracing::error!(attempt = %self.spool.attempt(), error = %Chain(&error), "spool refused output");
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
