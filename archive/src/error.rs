//! What can go wrong with a segment.

use std::fmt;
use std::io;

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{Conflict, Offsets};

/// Why a segment could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or the storage behind it refused.
    #[error("{action} of a segment")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Bytes that are not what was written.
    #[error("read {part} of a segment")]
    Corrupt {
        /// Where.
        part: Part,
        /// What is wrong.
        #[source]
        source: Corrupt,
    },
    /// Output was pushed that does not follow what its attempt has already.
    #[error("write output of attempt {attempt}, which goes on at {at}")]
    Missing {
        /// Whose output.
        attempt: AttemptId,
        /// Where it goes on.
        at: Offsets,
    },
    /// Output was pushed that contradicts what its attempt has already.
    #[error("write output of attempt {attempt}")]
    Conflict {
        /// Whose output.
        attempt: AttemptId,
        /// How it contradicts.
        #[source]
        source: Conflict,
    },
    /// An attempt was begun a second time.
    #[error("write output of attempt {0}, which the segment has already")]
    Repeated(AttemptId),
    /// The segment takes no more: it is to be finished, and another to be begun.
    #[error("write into a segment that is full")]
    Full,
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Corrupt { .. }
            | Self::Missing { .. }
            | Self::Conflict { .. }
            | Self::Repeated(_)
            | Self::Full => false,
        }
    }

    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    pub(crate) fn corrupt(part: Part) -> impl Fn(Corrupt) -> Self {
        move |source| Self::Corrupt { part, source }
    }
}

/// A part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The end of the file, which says where the rest is.
    Footer,
    /// The list of frames.
    Directory,
    /// The filter of the frame of this number, from 0.
    Filter(usize),
    /// The frame of this number, from 0.
    Frame(usize),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Footer => f.write_str("the footer"),
            Self::Directory => f.write_str("the directory"),
            Self::Filter(number) => write!(f, "the filter of frame {number}"),
            Self::Frame(number) => write!(f, "frame {number}"),
        }
    }
}

/// What is wrong with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// They are not a part of a segment of a version this program knows.
    #[error("not what a segment of a known version has there")]
    Magic,
    /// The segment ends before they do.
    #[error("cut short")]
    Cut,
    /// A length no writer makes.
    #[error("length out of range")]
    Length,
    /// The checksum does not match.
    #[error("checksum does not match")]
    Checksum,
    /// They cannot be decompressed.
    #[error("not decompressible")]
    Compression,
    /// The checksum matches, but the fields make no sense, as when a newer program wrote them.
    #[error("fields of an unknown form")]
    Form,
    /// A frame is not the one the directory tells of.
    #[error("not what the directory says")]
    Stranger,
}
