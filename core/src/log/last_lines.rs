//! Finds where the last N lines of a log begin, reading it from its end.
//!
//! A line counts where it starts. Lines of both streams are counted together, in the order the log has them; per stream
//! the answer is always the start of a line, so no reader begins in the middle of one.

use memchr::memrchr;

use super::{Offsets, Record, Stream};

/// The search for the start of the last lines.
#[derive(Debug, Clone)]
pub struct LastLines {
    missing: u64,
    /// Where each stream ended when the search began.
    end: Offsets,
    /// Start of the earliest counted line of each stream.
    start: Offsets,
    /// Counted streams.
    only: Option<Stream>,
}

impl LastLines {
    /// A search for the last `wanted` lines of a log that ends at `end`, of one stream or of both.
    pub fn new(wanted: u64, end: Offsets, only: Option<Stream>) -> Self {
        Self { missing: wanted, end, start: end, only }
    }

    /// Looks at a block of records; blocks come latest first, records inside a block in log order.
    pub fn look_at(&mut self, block: &[Record]) {
        for record in block.iter().rev() {
            if self.is_found() {
                return;
            }
            let counted = self.only.is_none_or(|only| only == record.stream);
            if counted && record.offset < self.end.of(record.stream) {
                self.look_at_record(record);
            }
        }
    }

    /// Whether enough lines were found, so that earlier blocks need not be read.
    pub fn is_found(&self) -> bool {
        self.missing == 0
    }

    /// From where to read.
    pub fn start(&self) -> Offsets {
        self.start
    }

    fn look_at_record(&mut self, record: &Record) {
        let end = self.end.of(record.stream);
        let held = usize::try_from(end - record.offset).unwrap_or(usize::MAX).min(record.bytes.len());
        let mut rest = &record.bytes[..held];
        while !self.is_found() {
            let Some(at) = memrchr(b'\n', rest) else { break };
            let line = record.offset + at as u64 + 1;
            // The newline that ends the last line starts none.
            if line < end {
                self.count(record.stream, line);
            }
            rest = &rest[..at];
        }
        if !self.is_found() && record.offset == 0 && !record.bytes.is_empty() {
            self.count(record.stream, 0);
        }
    }

    fn count(&mut self, stream: Stream, line: u64) {
        self.start.set(stream, line);
        self.missing -= 1;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::time::WallTime;

    fn records(parts: &[(Stream, &str)]) -> (Vec<Record>, Offsets) {
        let mut end = Offsets::default();
        let mut out = Vec::new();
        for (stream, text) in parts {
            let offset = end.of(*stream);
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            end.set(*stream, offset + bytes.len() as u64);
            out.push(Record { stream: *stream, offset, time: WallTime(0), bytes });
        }
        (out, end)
    }

    fn start(parts: &[(Stream, &str)], wanted: u64, only: Option<Stream>) -> Offsets {
        let (records, end) = records(parts);
        let mut search = LastLines::new(wanted, end, only);
        for block in records.chunks(2).rev() {
            search.look_at(block);
        }
        search.start()
    }

    #[test]
    fn lines_of_both_streams_count_together() {
        use Stream::{Stderr, Stdout};
        let log = [(Stdout, "a\nb\n"), (Stderr, "x\n"), (Stdout, "c"), (Stdout, "\nd")];
        assert_eq!(start(&log, 1, None), Offsets { stdout: 6, stderr: 2 });
        assert_eq!(start(&log, 2, None), Offsets { stdout: 6, stderr: 0 });
        assert_eq!(start(&log, 3, None), Offsets { stdout: 4, stderr: 0 });
        assert_eq!(start(&log, 2, Some(Stdout)), Offsets { stdout: 4, stderr: 2 });
        assert_eq!(start(&log, 99, None), Offsets::default());
        assert_eq!(start(&log, 0, None), Offsets { stdout: 7, stderr: 2 });
        assert_eq!(start(&[], 5, None), Offsets::default());
    }

    proptest! {
        #[test]
        fn one_stream_agrees_with_tail(text in "[a\n]{0,60}", cut in 1usize..9, wanted in 0u64..12) {
            let parts: Vec<(Stream, &str)> = text.as_bytes().chunks(cut)
                .map(|chunk| (Stream::Stdout, std::str::from_utf8(chunk).expect("ascii"))).collect();
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let skipped = lines.len().saturating_sub(usize::try_from(wanted).expect("small"));
            let expected: usize = lines[..skipped].iter().map(|line| line.len()).sum();
            prop_assert_eq!(start(&parts, wanted, None).stdout, expected as u64);
        }
    }
}
