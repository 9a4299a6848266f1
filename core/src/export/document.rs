//! One line of output on its way to another system.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use super::PlaceError;
use crate::ids::AttemptId;
use crate::log::Stream;
use crate::time::WallTime;

/// A line, or a piece of one that is longer than [`MAX_LINE`](crate::search::MAX_LINE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Which line of which attempt.
    pub id: DocumentId,
    /// When its first byte was seen, by the worker's clock.
    pub time: WallTime,
    /// Its bytes without the newline; any bytes.
    pub bytes: Bytes,
    /// What is known of the attempt.
    pub about: Arc<About>,
}

/// Where a line comes from: the same for the same bytes, however often they are sent. Printed `42.7.1-stdout-1024`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentId {
    /// The attempt that wrote it.
    pub attempt: AttemptId,
    /// To which stream.
    pub stream: Stream,
    /// Offset of its first byte in that stream.
    pub offset: u64,
}

/// What is known of an attempt besides its output; empty where the cluster has forgotten it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Name of the job.
    pub job_name: Option<String>,
    /// Its labels, key and value.
    pub labels: Vec<(String, String)>,
    /// Its image.
    pub image: Option<String>,
    /// Name of the node of the attempt.
    pub node: Option<String>,
}

impl Document {
    /// Bytes it counts against the limits of a batch: its own and what every form writes around them.
    pub fn size(&self) -> usize {
        const AROUND: usize = 512;
        self.bytes.len() + AROUND
    }

    /// Its bytes as text; `None` if they are none.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.attempt, self.stream, self.offset)
    }
}

impl FromStr for DocumentId {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let mut parts = text.split('-');
        let (Some(attempt), Some(stream), Some(offset), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PlaceError);
        };
        let stream = Stream::ALL.into_iter().find(|known| known.to_string() == stream).ok_or(PlaceError)?;
        let attempt = attempt.parse().map_err(|_| PlaceError)?;
        Ok(Self { attempt, stream, offset: offset.parse().map_err(|_| PlaceError)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_prints_and_nothing_else_does() {
        for good in ["42.7.1-stdout-0", "1.0.9-stderr-18446744073709551615"] {
            assert_eq!(good.parse::<DocumentId>().expect(good).to_string(), good);
        }
        for bad in ["", "42.7.1", "42.7.1-stdin-0", "42.7.0-stdout-0", "42.7.1-stdout-x", "42.7.1-stdout-1-2"]
        {
            assert_eq!(bad.parse::<DocumentId>(), Err(PlaceError), "{bad}");
        }
    }
}
