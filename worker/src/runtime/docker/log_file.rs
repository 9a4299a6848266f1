//! Kept output from the log driver's own file, followed while the container runs.
//!
//! ```text
//! Following --(end of file)--> sleep or end hint --> Following
//!     |                              |
//!     |                              +-- container not running --> Draining
//! Draining --(end of file)--> End
//! ```
//! Owns the reading position. The daemon closes the file before it calls a container exited, so one more pass after that
//! sees everything. A file that shrank was rotated, which our settings exclude: the log is then reported as cut.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::super::output::{Recovered, Stream};
use super::super::{Call, ContainerId, Error, RecoveredLog};
use super::log_entry::{Decoded, decode};
use super::recover::damaged;
use super::{Docker, containers};

/// How often the end of the file is looked at: a reader sees output about this late.
const POLL: Duration = Duration::from_millis(50);
/// Bytes read at once.
const READ_SIZE: usize = 256 * 1024;
/// Largest piece given out.
const PIECE: usize = 64 * 1024;

type EndHint = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

struct Following {
    id: ContainerId,
    file: File,
    /// Bytes read that are not decoded yet; less than a record after each round.
    buffer: BytesMut,
    /// File bytes read so far.
    position: u64,
    ready: VecDeque<(Stream, Bytes)>,
    phase: Phase,
}

enum Phase {
    /// The container may still write.
    Running(EndHint),
    /// It has ended; what the file holds is all.
    Draining,
    /// Everything was given out.
    Ended,
}

/// Reads `file` as the log of `id`.
pub(super) fn follow(docker: Docker, id: ContainerId, file: File) -> RecoveredLog {
    let watched = id.clone();
    let hint: EndHint = Box::pin(async move { containers::wait_hint(&docker, &watched, None).await });
    let start = Following {
        id,
        file,
        buffer: BytesMut::new(),
        position: 0,
        ready: VecDeque::new(),
        phase: Phase::Running(hint),
    };
    RecoveredLog::new(stream::try_unfold(start, |mut at| async move {
        Ok(at.step().await?.map(|piece| (piece, at)))
    }))
}

impl Following {
    /// The next piece.
    async fn step(&mut self) -> Result<Option<Recovered>, Error> {
        loop {
            if let Some((stream, bytes)) = self.ready.pop_front() {
                return Ok(Some(Recovered::Bytes(stream, bytes)));
            }
            if self.read().await? {
                self.decode_all()?;
                continue;
            }
            match &mut self.phase {
                Phase::Running(hint) => {
                    match tokio::time::timeout(POLL, hint).await {
                        // The container has ended or is gone; the open file still holds all of it.
                        Ok(Ok(())) => self.phase = Phase::Draining,
                        Ok(Err(error)) => return Err(error),
                        Err(_elapsed) => self.check_length().await?,
                    }
                }
                Phase::Draining => {
                    self.check_length().await?;
                    self.phase = Phase::Ended;
                    // A record cut off at the end was being written when the disk or the daemon failed.
                    return Ok(Some(Recovered::End { exact: self.buffer.is_empty() }));
                }
                Phase::Ended => return Ok(None),
            }
        }
    }

    /// Reads more; `false` at the end of the file.
    async fn read(&mut self) -> Result<bool, Error> {
        if matches!(self.phase, Phase::Ended) {
            return Ok(false);
        }
        self.buffer.reserve(READ_SIZE);
        let count = self.file.read_buf(&mut self.buffer).await.map_err(|error| unreadable(&error))?;
        self.position += u64::try_from(count).expect("a read is shorter than 2^64");
        Ok(count > 0)
    }

    fn decode_all(&mut self) -> Result<(), Error> {
        let mut used = 0;
        let mut pieces = Pieces::default();
        loop {
            match decode(&self.buffer[used..]) {
                Decoded::Entry(entry, length) => {
                    pieces.push(entry.stream, entry.line, entry.newline, &mut self.ready);
                    used += length;
                }
                Decoded::Short => break,
                Decoded::Bad(what) => return Err(damaged(what)),
            }
        }
        pieces.flush(&mut self.ready);
        let _decoded = self.buffer.split_to(used);
        Ok(())
    }

    async fn check_length(&mut self) -> Result<(), Error> {
        let length = self.file.metadata().await.map_err(|error| unreadable(&error))?.len();
        if length < self.position {
            return Err(Error::LogCut { id: self.id.to_string(), read: self.position });
        }
        Ok(())
    }
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::Interrupted { call: Call::RecoverLog, message: error.to_string() }
}

/// Joins the lines of one stream into larger pieces: short lines would cost a piece each.
#[derive(Default)]
struct Pieces {
    open: Option<(Stream, BytesMut)>,
}

impl Pieces {
    fn push(&mut self, stream: Stream, line: &[u8], newline: bool, ready: &mut VecDeque<(Stream, Bytes)>) {
        if self.open.as_ref().is_some_and(|(open, bytes)| *open != stream || bytes.len() >= PIECE) {
            self.flush(ready);
        }
        let (_, bytes) = self.open.get_or_insert_with(|| (stream, BytesMut::new()));
        bytes.extend_from_slice(line);
        if newline {
            bytes.extend_from_slice(b"\n");
        }
    }

    fn flush(&mut self, ready: &mut VecDeque<(Stream, Bytes)>) {
        if let Some((stream, bytes)) = self.open.take()
            && !bytes.is_empty()
        {
            ready.push_back((stream, bytes.freeze()));
        }
    }
}
