use dockmgr_core::log::{End, Mark};
use proptest::prelude::*;

use super::*;

fn attempt(task: u32) -> AttemptId {
    AttemptId::from_parts(7, task, 1).expect("valid")
}

fn entries(frame: &Builder) -> Vec<(AttemptId, Entry)> {
    let raw = frame.encode().expect("not empty");
    Frame::parse(&raw).expect("what was written can be read").entries().collect()
}

fn record(stream: Stream, offset: u64, time: i64, bytes: &'static str) -> Entry {
    Entry::Data(Record { stream, offset, time: WallTime(time), bytes: Bytes::from_static(bytes.as_bytes()) })
}

#[test]
fn both_streams_come_back_in_the_order_in_which_they_were_kept() {
    use Stream::{Stderr, Stdout};
    let mut frame = Builder::default();
    frame.begin(attempt(0), Offsets { stdout: 100, stderr: 5 });
    frame.add(Stdout, WallTime(3), b"a\n");
    frame.add(Stderr, WallTime(4), b"oh\n");
    frame.add(Stdout, WallTime(1), b"b\n");
    frame.begin(attempt(1), Offsets::default());
    let end = End { offsets: Offsets::default(), marks: vec![Mark::Suspect { reason: "why".to_owned() }] };
    frame.end(end.clone());
    let expected = [
        (attempt(0), record(Stdout, 100, 3, "a\n")),
        (attempt(0), record(Stderr, 5, 4, "oh\n")),
        (attempt(0), record(Stdout, 102, 1, "b\n")),
        (attempt(1), Entry::End(end)),
    ];
    assert_eq!(entries(&frame), expected);
}

#[test]
fn a_run_is_one_stream_without_gaps_and_knows_when_each_byte_was_seen() {
    let mut frame = Builder::default();
    frame.begin(attempt(0), Offsets { stdout: 10, stderr: 0 });
    frame.add(Stream::Stdout, WallTime(3), b"ab");
    frame.add(Stream::Stderr, WallTime(4), b"x\n");
    frame.add(Stream::Stdout, WallTime(5), b"c\n");
    let frame = Frame::parse(&frame.encode().expect("not empty")).expect("readable");
    let runs: Vec<Run> = frame.runs().collect();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].bytes, &b"abc\n"[..]);
    let times: Vec<_> = (9..15).map(|offset| runs[0].time_at(offset)).collect();
    let (first, second) = (Some(WallTime(3)), Some(WallTime(5)));
    assert_eq!(times, [None, first, first, second, second, None]);
}

#[test]
fn unfinished_lines_go_to_the_next_frame_and_of_one_too_long_what_follows_its_pieces() {
    let mut frame = Builder::default();
    frame.begin(attempt(0), Offsets::default());
    frame.add(Stream::Stdout, WallTime(1), b"whole\nunfin");
    frame.add(Stream::Stderr, WallTime(2), &vec![b'x'; 2 * LONGEST + 1]);
    frame.add(Stream::Stdout, WallTime(3), b"ished");
    let next = frame.split_unfinished();
    let kept: Vec<_> = entries(&frame).into_iter().map(|(_, entry)| entry.payload_len()).collect();
    assert_eq!(kept, ["whole\n".len(), 2 * LONGEST]);
    let moved = [
        (attempt(0), record(Stream::Stdout, 6, 1, "unfin")),
        (attempt(0), record(Stream::Stderr, 2 * LONGEST as u64, 2, "x")),
        (attempt(0), record(Stream::Stdout, 11, 3, "ished")),
    ];
    assert_eq!(entries(&next), moved);
}

#[test]
fn what_ended_is_not_moved() {
    let mut frame = Builder::default();
    frame.begin(attempt(0), Offsets::default());
    frame.add(Stream::Stdout, WallTime(1), b"no newline");
    frame.end(End::complete(Offsets { stdout: 10, stderr: 0 }));
    assert!(frame.split_unfinished().encode().is_none());
    assert_eq!(entries(&frame).len(), 2);
}

#[test]
fn the_most_hostile_records_stay_below_the_limit() {
    let mut frame = Builder::default();
    frame.begin(attempt(0), Offsets { stdout: u64::MAX >> 1, stderr: 0 });
    let mut time = i64::MIN;
    while !frame.is_full() {
        frame.add(Stream::Stdout, WallTime(time), b"x");
        time = !time.wrapping_add(1);
    }
    let raw = frame.encode().expect("not empty");
    assert!(raw.len() <= limits::FRAME_RAW, "{}", raw.len());
    assert!(Frame::parse(&raw).is_ok());
}

const LONGEST: usize = crate::LONGEST_LINE;

proptest! {
    #[test]
    fn any_bytes_parse_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let parsed = Frame::parse(&bytes.into());
        if let Ok(frame) = parsed {
            let _read = (frame.runs().count(), frame.entries().count());
        }
    }

    #[test]
    fn a_frame_with_any_byte_changed_parses_without_panic(at in 0usize..64, byte: u8) {
        let mut frame = Builder::default();
        frame.begin(attempt(0), Offsets { stdout: 100, stderr: 5 });
        frame.add(Stream::Stdout, WallTime(3), b"some output\n");
        frame.add(Stream::Stderr, WallTime(9), b"more\n");
        let mut raw = frame.encode().expect("not empty").to_vec();
        let at = at.min(raw.len() - 1);
        raw[at] = byte;
        if let Ok(frame) = Frame::parse(&raw.into()) {
            let _read = (frame.runs().count(), frame.entries().count());
        }
    }
}
