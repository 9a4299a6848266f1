//! Output of a container as a stream of pieces: live by attach, or recovered from what the daemon kept.
//!
//! Owns the two stream types; where the bytes come from is the implementation's business. Called by output capture,
//! which counts offsets, drops what it has and compares checksums.

use std::fmt;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream as AsyncStream, StreamExt};

pub use dockmgr_core::log::Stream;

use super::Error;

/// Live output of one container, each stream byte for byte as it was written.
pub struct Attached {
    pieces: BoxStream<'static, Result<(Stream, Bytes), Error>>,
}

impl Attached {
    pub(crate) fn new(
        pieces: impl AsyncStream<Item = Result<(Stream, Bytes), Error>> + Send + 'static,
    ) -> Self {
        Self { pieces: pieces.boxed() }
    }

    /// The next piece; `None` when the output has ended. Cancel safe. After an error there is nothing more.
    pub async fn next(&mut self) -> Result<Option<(Stream, Bytes)>, Error> {
        self.pieces.next().await.transpose()
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}

/// One step of reading a recovered log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// Bytes of one stream, continuing where the last piece of that stream ended.
    Bytes(Stream, Bytes),
    /// The log has ended.
    End {
        /// Whether the bytes are proven to be what the container wrote. `false` when a long last line may or may not
        /// have ended in a newline, which the daemon's interface does not tell.
        exact: bool,
    },
}

/// The kept output of one container from its first byte.
pub struct RecoveredLog {
    pieces: BoxStream<'static, Result<Recovered, Error>>,
}

impl RecoveredLog {
    pub(crate) fn new(pieces: impl AsyncStream<Item = Result<Recovered, Error>> + Send + 'static) -> Self {
        Self { pieces: pieces.boxed() }
    }

    /// The next piece; `None` after [`Recovered::End`]. Cancel safe. After an error there is nothing more.
    pub async fn next(&mut self) -> Result<Option<Recovered>, Error> {
        self.pieces.next().await.transpose()
    }
}

impl fmt::Debug for RecoveredLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveredLog").finish_non_exhaustive()
    }
}
