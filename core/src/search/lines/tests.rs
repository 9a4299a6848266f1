use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// What a splitter shows of one stream that arrives in pieces of `cut` bytes, at times 0, 1, 2...
fn split(stream: &[u8], cut: usize) -> Vec<(u64, u64, i64, Vec<u8>)> {
    let mut splitter = LineSplitter::default();
    let mut found = Vec::new();
    let mut show = |line: Line<'_>| found.push((line.number, line.offset, line.time.0, line.bytes.to_vec()));
    for (at, piece) in stream.chunks(cut).enumerate() {
        let record = Record {
            stream: Stream::Stdout,
            offset: (at * cut) as u64,
            time: WallTime(i64::try_from(at).expect("few pieces")),
            bytes: Bytes::copy_from_slice(piece),
        };
        splitter.push(&record, &mut show);
    }
    splitter.finish(&mut show);
    found
}

#[test]
fn streams_do_not_mix_and_a_line_has_the_time_of_its_first_byte() {
    let record = |stream, offset, time, bytes: &'static str| Record {
        stream,
        offset,
        time: WallTime(time),
        bytes: Bytes::from_static(bytes.as_bytes()),
    };
    let mut splitter = LineSplitter::default();
    let mut found = Vec::new();
    let mut show = |line: Line<'_>| {
        found.push((line.stream, line.number, line.offset, line.time.0, line.bytes.to_vec()));
    };
    splitter.push(&record(Stream::Stdout, 100, 1, "one, "), &mut show);
    splitter.push(&record(Stream::Stderr, 0, 2, "err\n"), &mut show);
    splitter.push(&record(Stream::Stdout, 105, 3, "two\n\nthree"), &mut show);
    splitter.finish(&mut show);
    let (out, err) = (Stream::Stdout, Stream::Stderr);
    assert_eq!(
        found,
        [
            (err, 1, 0, 2, b"err".to_vec()),
            (out, 1, 100, 1, b"one, two".to_vec()),
            (out, 2, 109, 3, Vec::new()),
            (out, 3, 110, 3, b"three".to_vec()),
        ]
    );
}

#[test]
fn a_line_over_the_limit_is_cut_at_the_same_places_however_it_arrives() {
    for extra in [0, 1, MAX_LINE, MAX_LINE + 1] {
        let mut stream = vec![b'x'; MAX_LINE + extra];
        stream.extend_from_slice(b"\nnext\n");
        let whole = split(&stream, stream.len());
        let pieces = (MAX_LINE + extra).div_ceil(MAX_LINE);
        assert_eq!(whole.len(), pieces + 1, "{extra}");
        assert!(whole.iter().all(|(_, _, _, bytes)| bytes.len() <= MAX_LINE && !bytes.is_empty()));
        assert_eq!(whole.iter().map(|line| line.0).collect::<Vec<_>>(), [vec![1; pieces], vec![2]].concat());
        let without_times = |lines: Vec<(u64, u64, i64, Vec<u8>)>| {
            lines.into_iter().map(|(number, offset, _, bytes)| (number, offset, bytes)).collect::<Vec<_>>()
        };
        for cut in [MAX_LINE, MAX_LINE + 1, MAX_LINE - 1, 1000] {
            assert_eq!(without_times(split(&stream, cut)), without_times(whole.clone()), "{extra} {cut}");
        }
    }
}

proptest! {
    #[test]
    fn lines_are_what_lies_between_newlines(
        stream in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'x'), any::<u8>()], 0..80),
        cut in 1usize..20,
    ) {
        let mut expected: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
        // What follows the last newline is a line only if there is something.
        if expected.last().is_some_and(|last| last.is_empty()) {
            expected.pop();
        }
        let found = split(&stream, cut);
        prop_assert_eq!(found.len(), expected.len());
        for (at, (number, offset, time, bytes)) in found.into_iter().enumerate() {
            prop_assert_eq!(&bytes[..], expected[at]);
            prop_assert_eq!(number, at as u64 + 1);
            let start = usize::try_from(offset).expect("small");
            prop_assert_eq!(&stream[start..start + bytes.len()], &bytes[..]);
            prop_assert_eq!(usize::try_from(time).expect("not negative"), start / cut);
        }
    }
}
