//! A stretch of one stream, as a search reads it.

use bytes::Bytes;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Stream;
use dockmgr_core::time::WallTime;

use super::Part;

/// What one attempt wrote to one stream, without a gap. It begins and ends at line ends, but where the attempt's output
/// does not, where a segment took a part of an attempt only, and inside lines longer than [`crate::LONGEST_LINE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Who wrote it.
    pub attempt: AttemptId,
    /// To which stream.
    pub stream: Stream,
    /// Offset of the first byte in that stream.
    pub offset: u64,
    /// What was written.
    pub bytes: Bytes,
    /// Offset behind each record, and when it was seen.
    times: Vec<(u64, WallTime)>,
}

impl Run {
    /// When the byte at `offset` of the stream was seen; `None` if it is not in this run.
    pub fn time_at(&self, offset: u64) -> Option<WallTime> {
        if offset < self.offset {
            return None;
        }
        let at = self.times.partition_point(|(end, _)| *end <= offset);
        self.times.get(at).map(|(_, time)| *time)
    }

    pub(super) fn of(part: &Part, stream: Stream) -> Self {
        let offset = part.section.from.of(stream);
        let mut end = offset;
        let pieces = part.pieces.iter().filter(|piece| piece.stream == stream);
        let times = pieces
            .map(|piece| {
                end += u64::from(piece.len);
                (end, piece.time)
            })
            .collect();
        Self { attempt: part.section.attempt, stream, offset, bytes: part.bytes(stream).clone(), times }
    }
}
