//! The kept log: what the daemon stored is read from its first byte, checked against the spool, and appended to it.

use dockmgr_core::log::{Mark, Offsets, Stream};
use dockmgr_core::time::WallTime;
use dockmgr_support::backoff::Backoff;
use dockmgr_support::clock;
use dockmgr_support::error_chain::Chain;

use super::restarts::Life;
use super::{Capture, FIRST_PAUSE, LONGEST_PAUSE, Pieces};
use crate::runtime::{Call, ContainerStatus, Error, Recovered, Runtime as _};

/// How often a kept log that makes no sense is read again: it may have been read while the daemon wrote it.
const TRIES: u32 = 3;

/// Bytes of one kept log that were read and are in the spool already.
#[derive(Debug, Default)]
struct Prefix {
    read: Offsets,
    stdout: crc32fast::Hasher,
    stderr: crc32fast::Hasher,
}

impl Prefix {
    fn hasher(&mut self, stream: Stream) -> &mut crc32fast::Hasher {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

impl Capture {
    /// Reads the kept log to its end. Whatever cannot be read is marked, never left out silently.
    pub(super) async fn recover(&self, pieces: &mut Pieces, life: &mut Life) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut failures = 0;
        loop {
            self.note_life(life).await;
            let error = match self.recover_once(pieces).await {
                Ok(()) => return,
                Err(error) => error,
            };
            match &error {
                Error::LogCut { .. } => return pieces.mark_lost_rest("the daemon cut its kept log"),
                // The daemon that has it may come back.
                Error::NotFound { .. } if self.is_elsewhere().await => {}
                Error::NotFound { .. } => {
                    return pieces.mark_lost_rest("the container was removed before its output was read");
                }
                _ if error.is_daemon_trouble() => {}
                _ => failures += 1,
            }
            tracing::debug!(container_id = %self.container, error = %Chain(&error), "kept log not read");
            if failures == TRIES {
                return pieces.mark_lost_rest(&format!("the kept log cannot be read: {}", Chain(&error)));
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    /// Whether another daemon than the container's own answers, or none.
    async fn is_elsewhere(&self) -> bool {
        let Some(own) = &self.daemon else { return false };
        self.runtime.daemon_run().await.map_or(true, |now| own.is_another_daemon(&now))
    }

    async fn recover_once(&self, pieces: &mut Pieces) -> Result<(), Error> {
        // The daemon takes the log of a container that is still to start for an empty one that has ended.
        let state = self.runtime.inspect(self.container.as_str()).await?;
        if state.is_some_and(|state| state.status == ContainerStatus::Created) {
            return Err(Error::Interrupted {
                call: Call::RecoverLog,
                message: "it has not started yet".to_owned(),
            });
        }
        let mut log = self.runtime.recover_log(&self.container).await?;
        let spooled = pieces.offsets();
        let mut prefix = Prefix::default();
        while let Some(step) = log.next().await? {
            match step {
                Recovered::Bytes(stream, mut bytes) => {
                    let known = spooled.of(stream).saturating_sub(prefix.read.of(stream));
                    let skipped = usize::try_from(known).unwrap_or(usize::MAX).min(bytes.len());
                    if skipped > 0 {
                        prefix.hasher(stream).update(&bytes.split_to(skipped));
                        prefix.read.set(stream, prefix.read.of(stream) + skipped as u64);
                    }
                    let entries = pieces.cut(vec![(stream, bytes)], WallTime(clock::wall_millis()));
                    if !entries.is_empty() && !self.append(entries).await {
                        return Ok(());
                    }
                }
                Recovered::End { exact: true } => {}
                Recovered::End { exact: false } => pieces.mark(Mark::Suspect {
                    reason: "whether the last line ended in a newline is not known".to_owned(),
                }),
            }
        }
        self.check(prefix, spooled, pieces).await;
        Ok(())
    }

    /// Marks a kept log whose beginning is not what was captured before.
    async fn check(&self, mut prefix: Prefix, spooled: Offsets, pieces: &mut Pieces) {
        for stream in Stream::ALL {
            let read = prefix.read.of(stream);
            let reason = if read < spooled.of(stream) {
                format!("the daemon kept less of {stream} than was captured live")
            } else {
                let captured = self.spool.prefix_crc(stream, read).await.ok().flatten();
                if captured == Some(prefix.hasher(stream).clone().finalize()) {
                    continue;
                }
                format!("the daemon kept another {stream} than was captured live")
            };
            pieces.mark(Mark::Suspect { reason });
        }
    }
}
