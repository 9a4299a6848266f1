//! Reads a log file from its bytes, in whatever pieces they come.
//!
//! Owns the position between frames; the caller owns the file and says where its bytes end.

use bytes::{Buf, BytesMut};

use super::Entry;
use super::frame::{self, Corrupt, Decoded, HEADER_LEN};
use crate::ids::AttemptId;

/// Turns the bytes of a log file into its entries. Holds at most what was pushed and not yet taken.
#[derive(Debug)]
pub struct Scanner {
    buffer: BytesMut,
    position: u64,
    /// The attempt the header must name, while the header is still to come.
    header: Option<AttemptId>,
}

impl Scanner {
    /// A scanner for a file from its first byte; the header must name `attempt`.
    pub fn from_start(attempt: AttemptId) -> Self {
        Self { buffer: BytesMut::new(), position: 0, header: Some(attempt) }
    }

    /// A scanner that is fed from `position`, which must be a frame boundary.
    pub fn from_boundary(position: u64) -> Self {
        if position < HEADER_LEN as u64 {
            // The first boundary is behind the header.
            return Self::from_boundary(HEADER_LEN as u64);
        }
        Self { buffer: BytesMut::new(), position, header: None }
    }

    /// Adds the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole entry; `None` if more bytes are needed.
    ///
    /// After an error the scanner stays where it was: [`Scanner::position`] is where the good part ends.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Corrupt> {
        if let Some(expected) = self.header {
            match frame::decode_header(&self.buffer)? {
                None => return Ok(None),
                Some(found) if found != expected => return Err(Corrupt::OtherAttempt(found)),
                Some(_) => self.consume(HEADER_LEN),
            }
            self.header = None;
        }
        match frame::decode(&self.buffer)? {
            Decoded::Torn => Ok(None),
            Decoded::Entry { entry, len } => {
                self.consume(len);
                Ok(Some(entry))
            }
        }
    }

    /// Where in the file the last returned entry (or the header) ends.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Where in the file the next pushed byte belongs.
    pub fn fed_to(&self) -> u64 {
        self.position + self.buffer.len() as u64
    }

    fn consume(&mut self, len: usize) {
        self.buffer.advance(len);
        self.position += len as u64;
    }
}
