//! Cutting kept entries into documents.

use std::sync::Arc;

use bytes::Bytes;

use super::{About, Document, DocumentId};
use crate::ids::AttemptId;
use crate::log::{Entry, Offsets, Stream};
use crate::search::{Line, LineSplitter};

/// What a stretch of a log gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Its whole lines.
    pub documents: Vec<Document>,
    /// Where to read on: behind the last whole line of each stream.
    pub to: Offsets,
    /// Whether the log ends here; then what has no newline was given, too.
    pub ended: bool,
}

/// Cuts `entries`, which follow each other from `from` on, into documents. `from` must be the begin of a log or
/// [`Cut::to`] of an earlier cut of it; `is_last` says that nothing follows although there is no end marker.
pub fn cut(attempt: AttemptId, about: &Arc<About>, from: Offsets, entries: &[Entry], is_last: bool) -> Cut {
    let (mut documents, mut to, mut ended) = (Vec::new(), from, is_last);
    let mut lines = LineSplitter::default();
    let mut show = |line: Line<'_>| {
        let id = DocumentId::Line(attempt, line.stream, line.offset);
        documents.push(Document::line(id, line.time, Bytes::copy_from_slice(line.bytes), about));
    };
    for entry in entries {
        match entry {
            Entry::Data(record) => {
                lines.push(record, &mut show);
                to.set(record.stream, record.end().unwrap_or(u64::MAX));
            }
            Entry::End(end) => {
                to = end.offsets;
                ended = true;
            }
        }
    }
    if ended {
        lines.finish(show);
    } else {
        for stream in Stream::ALL {
            if let Some(begin) = lines.unfinished_from(stream) {
                to.set(stream, begin);
            }
        }
    }
    Cut { documents, to, ended }
}

impl Cut {
    /// The same cut with as many documents as `room` bytes hold, at least one if there is any.
    #[must_use]
    pub fn limited_to(mut self, room: usize) -> Self {
        let mut size = 0;
        let fits = self.documents.iter().take_while(|document| {
            let first = size == 0;
            size += document.size();
            first || size <= room
        });
        let fits = fits.count();
        // Documents of a stream follow each other, so the first one that is left out is where to read on.
        for document in self.documents.drain(fits..).rev() {
            if let Some((stream, offset)) = document.id.line() {
                self.to.set(stream, offset);
            }
            self.ended = false;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::{End, Record};
    use crate::search::MAX_LINE;
    use crate::time::WallTime;

    fn offset(document: &Document) -> u64 {
        document.id.line().expect("a line").1
    }

    fn attempt() -> AttemptId {
        AttemptId::from_parts(42, 0, 1).expect("valid")
    }

    fn record(stream: Stream, offset: u64, bytes: &[u8]) -> Entry {
        let time = WallTime(i64::try_from(offset).expect("small"));
        Entry::Data(Record { stream, offset, time, bytes: Bytes::copy_from_slice(bytes) })
    }

    #[test]
    fn an_unfinished_line_waits_for_its_newline_or_for_the_end() {
        let about = Arc::new(About::default());
        let out = record(Stream::Stdout, 0, b"one\ntw");
        let err = record(Stream::Stderr, 0, b"oh\n");
        let first = cut(attempt(), &about, Offsets::default(), &[out, err], false);
        let ids: Vec<String> = first.documents.iter().map(|document| document.id.to_string()).collect();
        assert_eq!(ids, ["42.0.1-stdout-0", "42.0.1-stderr-0"]);
        assert_eq!((first.to, first.ended), (Offsets { stdout: 4, stderr: 3 }, false));
        let end = Entry::End(End::complete(Offsets { stdout: 6, stderr: 3 }));
        let rest = cut(attempt(), &about, first.to, &[record(Stream::Stdout, 4, b"tw"), end], false);
        assert_eq!(rest.documents[0].bytes, &b"tw"[..]);
        assert!(rest.ended && rest.to == Offsets { stdout: 6, stderr: 3 });
    }

    proptest! {
        #[test]
        fn wherever_reading_stops_the_same_documents_come(
            text in proptest::collection::vec(prop_oneof![4 => Just(b'x'), 1 => Just(b'\n')], 0..60),
            long in 0..3usize, chunk in 1usize..9, stop in 1usize..9, room in 1usize..9,
        ) {
            let mut text = text;
            let at = text.len() / 2;
            text.splice(at..at, std::iter::repeat_n(b'y', long * MAX_LINE));
            let about = Arc::new(About::default());
            let step = chunk + long * 20_000;
            let records: Vec<Entry> = text
                .chunks(step)
                .enumerate()
                .map(|(n, bytes)| record(Stream::Stdout, (n * step) as u64, bytes))
                .collect();
            let whole = cut(attempt(), &about, Offsets::default(), &records, true);
            // Reads a few records at a time, each time from where the last cut says.
            let (mut pieces, mut from, mut read) = (Vec::new(), Offsets::default(), 0);
            while read < records.len() {
                read = (read + stop).min(records.len());
                let again: Vec<Entry> = records[..read]
                    .iter()
                    .filter_map(|entry| match entry {
                        Entry::Data(record) => Some(record.clone().trimmed_to(from.stdout)),
                        Entry::End(_) => None,
                    })
                    .filter(|record| !record.bytes.is_empty())
                    .map(Entry::Data)
                    .collect();
                let part = cut(attempt(), &about, from, &again, read == records.len()).limited_to(room * 600);
                if read == records.len() && !part.ended {
                    // Reads the rest once more.
                    read -= 1;
                }
                pieces.extend(part.documents);
                from = part.to;
            }
            let same = |documents: &[Document]| -> Vec<(u64, Bytes)> {
                documents.iter().map(|document| (offset(document), document.bytes.clone())).collect()
            };
            prop_assert_eq!(same(&pieces), same(&whole.documents));
            let bytes: usize = whole.documents.iter().map(|document| document.bytes.len()).sum();
            let newlines = memchr::memchr_iter(b'\n', &text).count();
            prop_assert_eq!(bytes + newlines, text.len());
        }
    }
}
