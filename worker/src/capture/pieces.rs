//! Output cut into records: offsets, the cap, the marks. Pure but for the clock that stamps records.

use bytes::{Bytes, BytesMut};
use dockmgr_core::log::frame::MAX_PAYLOAD;
use dockmgr_core::log::{End, Entry, Mark, Offsets, Record, Stream};
use dockmgr_core::time::WallTime;

/// Where capture stands.
#[derive(Debug)]
pub(super) struct Pieces {
    offsets: Offsets,
    cap: u64,
    marks: Vec<Mark>,
}

impl Pieces {
    /// Begins behind what is spooled.
    pub(super) fn new(offsets: Offsets, cap: u64) -> Self {
        Self { offsets, cap, marks: Vec::new() }
    }

    /// Offset of the next byte of each stream.
    pub(super) fn offsets(&self) -> Offsets {
        self.offsets
    }

    /// Turns new output into records of the spool's size. Neighbours of one stream become one record. What is over the
    /// cap is dropped, and marked once a stream.
    pub(super) fn cut(&mut self, output: Vec<(Stream, Bytes)>, time: WallTime) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (stream, mut bytes) in joined(output) {
            let left = self.cap.saturating_sub(self.offsets.total());
            if (bytes.len() as u64) > left {
                bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                self.truncated(stream, self.offsets.of(stream) + left);
            }
            while !bytes.is_empty() {
                let piece = bytes.split_to(bytes.len().min(MAX_PAYLOAD));
                let offset = self.offsets.of(stream);
                self.offsets.set(stream, offset + piece.len() as u64);
                entries.push(Entry::Data(Record { stream, offset, time, bytes: piece }));
            }
        }
        entries
    }

    /// Adds a mark, once.
    pub(super) fn mark(&mut self, mark: Mark) {
        if !self.marks.contains(&mark) {
            self.marks.push(mark);
        }
    }

    /// Says that both streams may go on behind what is spooled, and why nobody knows.
    pub(super) fn mark_lost_rest(&mut self, reason: &str) {
        for stream in Stream::ALL {
            let at = self.offsets.of(stream);
            self.mark(Mark::Gap { stream, from: at, to: at, reason: reason.to_owned() });
        }
    }

    /// The end as it is now.
    pub(super) fn into_end(self) -> End {
        End { offsets: self.offsets, marks: self.marks }
    }

    fn truncated(&mut self, stream: Stream, at: u64) {
        let known = |mark: &Mark| matches!(mark, Mark::Truncated { stream: cut, .. } if *cut == stream);
        if !self.marks.iter().any(known) {
            self.marks.push(Mark::Truncated { stream, at, cap: self.cap });
        }
    }
}

/// Puts pieces of the same stream that follow each other together: a program that writes byte by byte must not cost a
/// record a byte.
fn joined(output: Vec<(Stream, Bytes)>) -> Vec<(Stream, Bytes)> {
    let mut runs: Vec<(Stream, Vec<Bytes>)> = Vec::new();
    for (stream, bytes) in output {
        match runs.last_mut() {
            Some((last, run)) if *last == stream => run.push(bytes),
            Some(_) | None => runs.push((stream, vec![bytes])),
        }
    }
    runs.into_iter().map(|(stream, run)| (stream, concatenated(run))).collect()
}

fn concatenated(mut run: Vec<Bytes>) -> Bytes {
    if run.len() == 1 {
        return run.remove(0);
    }
    let mut all = BytesMut::with_capacity(run.iter().map(Bytes::len).sum());
    for bytes in run {
        all.extend_from_slice(&bytes);
    }
    all.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(1);

    #[test]
    fn the_cap_cuts_both_streams_together_and_is_said_once_a_stream() {
        let mut pieces = Pieces::new(Offsets::default(), 10);
        let out = |text: &'static str| (Stream::Stdout, Bytes::from_static(text.as_bytes()));
        let err = |text: &'static str| (Stream::Stderr, Bytes::from_static(text.as_bytes()));
        let entries =
            pieces.cut(vec![out("1234"), out("56"), err("78"), out("90ab"), err("c"), out("d")], NOW);
        assert_eq!(entries.iter().map(Entry::payload_len).sum::<usize>(), 10);
        let end = pieces.into_end();
        assert_eq!(end.offsets, Offsets { stdout: 8, stderr: 2 });
        assert_eq!(
            end.marks,
            [
                Mark::Truncated { stream: Stream::Stdout, at: 8, cap: 10 },
                Mark::Truncated { stream: Stream::Stderr, at: 2, cap: 10 },
            ]
        );
    }

    #[test]
    fn output_of_exactly_the_cap_is_complete() {
        let mut pieces = Pieces::new(Offsets::default(), 3);
        pieces.cut(vec![(Stream::Stdout, Bytes::from_static(b"123"))], NOW);
        assert!(pieces.into_end().is_complete());
    }

    #[test]
    fn long_pieces_become_records_of_the_allowed_size() {
        let mut pieces = Pieces::new(Offsets::default(), u64::MAX);
        let long = Bytes::from(vec![7u8; MAX_PAYLOAD * 2 + 1]);
        let sizes: Vec<usize> =
            pieces.cut(vec![(Stream::Stderr, long)], NOW).iter().map(Entry::payload_len).collect();
        assert_eq!(sizes, [MAX_PAYLOAD, MAX_PAYLOAD, 1]);
    }
}
