//! A stretch of one stream, as a search reads it.

use bytes::Bytes;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Stream;
use dockmgr_core::search::Stretch;
use dockmgr_core::time::WallTime;

use super::Part;

/// What one attempt wrote to one stream, without a gap. It begins and ends at line ends, but where the attempt's output
/// does not, where a segment took a part of an attempt only, and inside lines longer than [`crate::LONGEST_LINE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which section of its frame it belongs to.
    pub section: usize,
    /// Who wrote it.
    pub attempt: AttemptId,
    /// To which stream.
    pub stream: Stream,
    /// Offset of the first byte in that stream.
    pub offset: u64,
    /// What was written.
    pub bytes: Bytes,
    /// Where in the bytes each record begins, and when it was seen.
    records: Vec<(usize, WallTime)>,
}

impl Run {
    /// The same for a scan.
    pub fn stretch(&self) -> Stretch<'_> {
        Stretch { stream: self.stream, offset: self.offset, bytes: &self.bytes, records: &self.records }
    }

    /// When the byte at `offset` of the stream was seen; `None` if it is not in this run.
    pub fn time_at(&self, offset: u64) -> Option<WallTime> {
        let at =
            usize::try_from(offset.checked_sub(self.offset)?).ok().filter(|at| *at < self.bytes.len())?;
        let behind = self.records.partition_point(|(start, _)| *start <= at);
        self.records.get(behind.checked_sub(1)?).map(|(_, time)| *time)
    }

    pub(super) fn of((section, part): (usize, &Part), stream: Stream) -> Self {
        let mut at = 0;
        let pieces = part.pieces.iter().filter(|piece| piece.stream == stream);
        let records = pieces
            .map(|piece| {
                let start = at;
                at += piece.len as usize;
                (start, piece.time)
            })
            .collect();
        let (offset, bytes) = (part.section.from.of(stream), part.bytes(stream).clone());
        Self { section, attempt: part.section.attempt, stream, offset, bytes, records }
    }
}
