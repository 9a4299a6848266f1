use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::log::{Record, Stream};
use crate::time::WallTime;

fn data(stream: Stream, offset: u64, bytes: &'static [u8]) -> Entry {
    Entry::Data(Record { stream, offset, time: WallTime(0), bytes: Bytes::from_static(bytes) })
}

#[test]
fn bytes_that_overlap_are_cut_to_what_is_new() {
    let held = Progress::at(Offsets { stdout: 3, stderr: 0 });
    assert_eq!(held.accept(data(Stream::Stdout, 0, b"abc")), Accept::Duplicate);
    assert_eq!(held.accept(data(Stream::Stdout, 1, b"bcde")), Accept::Append(data(Stream::Stdout, 3, b"de")));
    assert_eq!(held.accept(data(Stream::Stdout, 4, b"x")), Accept::Missing(held.offsets));
    assert_eq!(held.accept(data(Stream::Stderr, 0, b"x")), Accept::Append(data(Stream::Stderr, 0, b"x")));
}

#[test]
fn an_end_is_taken_once_and_only_at_the_held_offsets() {
    let mut held = Progress::at(Offsets { stdout: 3, stderr: 0 });
    let end = |stdout| Entry::End(End::complete(Offsets { stdout, stderr: 0 }));
    assert_eq!(held.accept(end(4)), Accept::Missing(held.offsets));
    assert_eq!(held.accept(end(2)), Accept::Conflict(Conflict::EndTooEarly));
    assert_eq!(held.accept(end(3)), Accept::Append(end(3)));
    held.advance(&end(3));
    assert_eq!(held.accept(end(9)), Accept::Duplicate);
    assert_eq!(held.accept(data(Stream::Stdout, 0, b"abc")), Accept::Duplicate);
    assert_eq!(held.accept(data(Stream::Stdout, 3, b"d")), Accept::Conflict(Conflict::BeyondEnd));
    assert_eq!(held.accept(data(Stream::Stdout, 7, b"d")), Accept::Conflict(Conflict::BeyondEnd));
}

#[test]
fn an_offset_that_overflows_is_a_conflict_not_a_panic() {
    let held = Progress::default();
    assert_eq!(held.accept(data(Stream::Stdout, u64::MAX, b"ab")), Accept::Conflict(Conflict::BadRange));
}

proptest! {
    /// Any order of sends, repeats and overlaps rebuilds the sequence, or says from where to go on.
    #[test]
    fn what_is_appended_is_always_the_sequence(
        source in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in proptest::collection::vec((0usize..220, 0usize..40), 0..60),
    ) {
        let mut held = Progress::default();
        let mut built: Vec<u8> = Vec::new();
        for (start, len) in cuts {
            let start = start.min(source.len());
            let end = (start + len).min(source.len());
            let bytes = Bytes::copy_from_slice(&source[start..end]);
            let record = Record { stream: Stream::Stderr, offset: start as u64, time: WallTime(1), bytes };
            match held.accept(Entry::Data(record)) {
                Accept::Append(entry) => {
                    held.advance(&entry);
                    let Entry::Data(record) = entry else { panic!("data stays data") };
                    prop_assert_eq!(record.offset, built.len() as u64);
                    built.extend_from_slice(&record.bytes);
                }
                Accept::Duplicate => prop_assert!(end <= built.len()),
                Accept::Missing(from) => {
                    prop_assert!(start > built.len());
                    prop_assert_eq!(from.stderr, built.len() as u64);
                }
                Accept::Conflict(why) => panic!("{why}"),
            }
        }
        prop_assert_eq!(&source[..built.len()], &built[..]);
        prop_assert_eq!(held.offsets.stderr, built.len() as u64);
    }
}
