//! Whole segments: what goes in comes out, damage is found, nothing is denied that is there.

mod kept;

use std::collections::BTreeSet;

use bytes::Bytes;
use dockmgr_archive::{Corrupt, Error, Part, Segment, Source, Writer, limits, repair, token};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{Entry, Offsets, Stream};
use dockmgr_core::search::Query;
use kept::{Log, attempt, log, logs, record, sealed};
use proptest::prelude::*;

fn open(bytes: &Bytes) -> Segment<Bytes> {
    Segment::open(bytes.clone()).expect("a whole segment")
}

/// Everything a segment has, by the way a reader of one attempt goes.
fn read(segment: &Segment<impl Source>) -> Result<Vec<Log>, Error> {
    let mut logs = Vec::new();
    for (id, kept) in segment.attempts() {
        let mut log = Log::begin(id, kept.from);
        for frame in segment.frames_of(id) {
            for (of, entry) in segment.frame(frame)?.entries().filter(|(of, _)| *of == id) {
                assert_eq!(of, id);
                log.add(&entry);
            }
        }
        assert_eq!((log.offsets(), &log.end), (kept.to, &kept.end));
        logs.push(log);
    }
    Ok(logs)
}

/// Asserts that each frame's filter has all its tokens and its lines and times are counted.
fn assert_index(segment: &Segment<impl Source>) -> Result<(), Error> {
    for (number, entry) in segment.frames().iter().enumerate() {
        let (frame, filter) = (segment.frame(number)?, segment.filter(number)?);
        let runs: Vec<_> = frame.runs().collect();
        assert!(runs.iter().flat_map(|run| token::all(&run.bytes)).all(|token| filter.may_contain(token)));
        for (section, stream) in frame.sections().flat_map(|s| Stream::ALL.map(|stream| (s, stream))) {
            let run = runs.iter().find(|run| {
                (run.attempt, run.stream, run.offset) == (section.attempt, stream, section.from.of(stream))
            });
            let newlines = run.map_or(0, |run| memchr::memchr_iter(b'\n', &run.bytes).count());
            assert_eq!(section.newlines.of(stream), newlines as u64);
        }
        let lines: usize = runs.iter().map(|run| run.bytes.split_inclusive(|b| *b == b'\n').count()).sum();
        assert_eq!(entry.lines, lines as u64);
        let times: BTreeSet<_> = frame.entries().filter_map(|(_, entry)| kept::time(&entry)).collect();
        assert_eq!(entry.times, times.first().copied().zip(times.last().copied()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_bytes_offsets_times_and_marks_come_out(logs in logs()) {
        let bytes = sealed(&logs);
        let segment = open(&bytes);
        let mut expected: Vec<Log> = logs.iter().map(Log::of).filter(|log| !log.is_empty()).collect();
        expected.sort_by_key(|log| log.attempt);
        prop_assert_eq!(read(&segment).expect("readable"), expected);
        assert_index(&segment).expect("readable");
    }

    #[test]
    fn an_index_made_of_the_frames_is_the_one_that_was_written(logs in logs()) {
        let bytes = sealed(&logs);
        let repaired = repair(&bytes, Vec::new()).expect("reads from memory");
        prop_assert!(repaired.damage.is_empty());
        let segment = open(&bytes);
        prop_assert_eq!(&repaired.segment.frames[..], segment.frames());
        prop_assert_eq!(Bytes::from(repaired.segment.out), bytes);
    }

    #[test]
    fn a_search_sees_the_same_lines_frame_by_frame_as_from_the_whole(logs in logs()) {
        let segment = open(&sealed(&logs));
        let mut seen = BTreeSet::new();
        for number in 0..segment.frames().len() {
            let frame = segment.frame(number).expect("readable");
            let sections: Vec<AttemptId> = frame.sections().map(|section| section.attempt).collect();
            for id in sections {
                seen.extend(kept::lines(id, frame.entries().filter(|(of, _)| *of == id).map(|(_, entry)| entry)));
            }
        }
        let whole = logs.iter().flat_map(|(id, _, entries)| kept::lines(*id, entries.iter().cloned()));
        prop_assert!(seen == whole.collect(), "the lines differ");
    }

    #[test]
    fn a_frame_with_a_line_that_a_query_finds_is_never_left_out(
        lines in proptest::collection::vec("[abAB =._\"/é-]{0,20}", 0..20),
    ) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let bytes = sealed(&[(attempt(1), Offsets::default(), vec![record(Stream::Stdout, 0, 1, text.as_bytes())])]);
        let segment = open(&bytes);
        let queries = ["a", "ab*", "*b", "\"a b\"", "a b", "a OR b", "NOT a", "/a b a/", "/a+b/", "a=b", "é", "*\"b a\"*"];
        for (number, _) in segment.frames().iter().enumerate() {
            let filter = segment.filter(number).expect("readable");
            for text in queries {
                let query = Query::parse(text).expect("a query");
                let found = lines.iter().any(|line| query.matches(Stream::Stdout, line.as_bytes()));
                prop_assert!(!found || filter.may_match(&query.needs()), "{}", text);
            }
        }
    }

    #[test]
    fn what_is_kept_of_merged_segments_is_what_they_had(logs in logs(), cut in 0..5usize, dropped in 0..4u64) {
        let (first, second) = logs.split_at(cut.min(logs.len()));
        let wanted = |id: AttemptId| id.job().get() != dropped;
        let mut writer = Writer::new(Vec::new()).expect("memory");
        for part in [first, second] {
            writer.merge(&open(&sealed(part)), wanted).expect("few, and each once");
        }
        let bytes = Bytes::from(writer.finish().expect("memory").out);
        let segment = open(&bytes);
        let kept = logs.iter().map(Log::of).filter(|log| !log.is_empty() && wanted(log.attempt));
        let mut expected: Vec<Log> = kept.collect();
        expected.sort_by_key(|log| log.attempt);
        prop_assert_eq!(read(&segment).expect("readable"), expected);
        assert_index(&segment).expect("readable");
        prop_assert_eq!(repair(&bytes, Vec::new()).expect("reads from memory").segment.out, bytes.to_vec());
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        prop_assert!(Segment::open(bytes.clone()).is_err());
        prop_assert!(!repair(&bytes, std::io::sink()).expect("reads from memory").damage.is_empty());
    }
}

#[test]
fn every_line_that_is_not_too_long_lies_in_one_frame() {
    let mut offset = 0;
    let mut entries = Vec::new();
    // Records end in the middle of lines, and frames would.
    for n in 0..400u32 {
        let text = format!("{} the end of line {n}\nline {} begins", "x".repeat(6_000), n + 1);
        entries.push(record(Stream::Stdout, offset, i64::from(n), text.as_bytes()));
        offset += text.len() as u64;
    }
    let bytes = sealed(&[(attempt(1), Offsets::default(), entries)]);
    let segment = open(&bytes);
    assert!(segment.frames().len() > 2);
    let mut found = BTreeSet::new();
    for number in 0..segment.frames().len() {
        for run in segment.frame(number).expect("readable").runs() {
            let text = String::from_utf8(run.bytes.to_vec()).expect("text");
            found.extend(text.split_inclusive('\n').map(str::to_owned));
        }
    }
    let x = "x".repeat(6_000);
    let whole = (1..400).map(|n| format!("line {n} begins{x} the end of line {n}\n"));
    let edges = [format!("{x} the end of line 0\n"), "line 400 begins".to_owned()];
    assert_eq!(found, whole.chain(edges).collect());
}

#[test]
fn a_flipped_byte_anywhere_is_found_or_does_no_harm() {
    let whole = sealed(&log());
    let expected = read(&open(&whole)).expect("readable");
    for at in 0..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1 << (at % 8);
        let bytes = Bytes::from(bytes);
        let seen = Segment::open(bytes.clone()).and_then(|segment| {
            assert_index(&segment)?;
            read(&segment)
        });
        if let Ok(seen) = seen {
            assert_eq!(seen, expected, "byte {at} was flipped unseen");
        }
        let repaired = repair(&bytes, Vec::new()).expect("reads from memory");
        let frames = open(&whole).frames().len();
        assert!(repaired.segment.frames.len() == frames || !repaired.damage.is_empty(), "byte {at}");
        assert!(repaired.segment.frames.len() + 1 >= frames, "byte {at} cost more than a frame");
        assert_index(&open(&Bytes::from(repaired.segment.out))).expect("whole again");
    }
}

#[test]
fn a_segment_cut_anywhere_is_refused_and_keeps_the_frames_before_the_cut() {
    let whole = sealed(&log());
    let frames = open(&whole).frames().to_vec();
    for len in 0..whole.len() {
        let bytes = whole.slice(..len);
        let refused = Segment::open(bytes.clone()).expect_err("not whole");
        assert!(matches!(refused, Error::Corrupt { part: Part::Footer, .. }), "{len}: {refused:?}");
        let repaired = repair(&bytes, Vec::new()).expect("reads from memory").segment;
        assert_eq!(repaired.frames, frames[..repaired.frames.len()]);
        let mut end = 8;
        let before = frames.iter().take_while(|frame| {
            end += 20 + u64::from(frame.stored);
            end <= len as u64
        });
        assert_eq!(repaired.frames.len(), before.count(), "cut at {len}");
    }
}

#[test]
fn an_error_says_which_frame() {
    let whole = sealed(&log());
    let mut bytes = whole.to_vec();
    let first = 8 + 20 + open(&whole).frames()[0].stored as usize;
    bytes[first + 25] ^= 1;
    let segment = open(&bytes.into());
    assert!(segment.frame(0).is_ok());
    let error = segment.frame(1).expect_err("damaged");
    assert!(matches!(error, Error::Corrupt { part: Part::Frame(1), source: Corrupt::Checksum }), "{error:?}");
    assert_eq!(error.to_string(), "read frame 1 of a segment");
}

#[test]
fn what_does_not_follow_is_refused_and_what_is_known_is_skipped() {
    let mut writer = Writer::new(Vec::new()).expect("memory");
    let mut output = writer.attempt(attempt(1), Offsets { stdout: 10, stderr: 0 }).expect("not full");
    output.push(record(Stream::Stdout, 8, 1, b"0123")).expect("the later half is new");
    output.push(record(Stream::Stdout, 8, 1, b"0123")).expect("known");
    let early = output.push(record(Stream::Stdout, 13, 1, b"x"));
    assert!(matches!(early, Err(Error::Missing { .. })), "{early:?}");
    assert_eq!(output.progress().offsets.stdout, 12);
    let repeated = writer.attempt(attempt(1), Offsets::default()).err();
    assert!(matches!(repeated, Some(Error::Repeated(_))), "{repeated:?}");
    let bytes = Bytes::from(writer.finish().expect("memory").out);
    let entries: Vec<_> = open(&bytes).frame(0).expect("readable").entries().collect();
    assert_eq!(entries, [(attempt(1), record(Stream::Stdout, 10, 1, b"23"))]);
}

#[test]
fn a_million_tiny_attempts_fill_segments_that_say_so() {
    let mut writer = Writer::new(std::io::sink()).expect("nothing to fail");
    let mut taken = 0;
    while !writer.is_full() {
        let mut output = writer.attempt(attempt(taken), Offsets::default()).expect("not full");
        output.push(record(Stream::Stdout, 0, 1, b"done\n")).expect("fits");
        output.push(Entry::End(kept::complete(5))).expect("fits");
        taken += 1;
    }
    assert!(matches!(writer.attempt(attempt(taken), Offsets::default()), Err(Error::Full)));
    let finished = writer.finish().expect("nothing to fail");
    let sections: usize = finished.frames.iter().map(|frame| frame.sections.len()).sum();
    assert_eq!(sections, taken as usize);
    assert!(sections > 60_000 && sections <= limits::SECTIONS);
    assert!(finished.len < 8 * u64::from(taken), "{} bytes for {taken} attempts", finished.len);
}

#[test]
fn a_thousand_small_segments_become_one_of_few_frames() {
    let mut writer = Writer::new(Vec::new()).expect("memory");
    let mut apart = 0;
    for n in 0..1000u32 {
        let text = format!("task {n} has begun\ntask {n} is done\n");
        let end = kept::complete(text.len() as u64);
        let entries = vec![record(Stream::Stdout, 0, 5, text.as_bytes()), Entry::End(end)];
        let bytes = sealed(&[(attempt(n), Offsets::default(), entries)]);
        apart += bytes.len();
        writer.merge(&open(&bytes), |_| true).expect("room");
    }
    let repeated = writer.merge(&open(&sealed(&log())), |id| id == attempt(1));
    assert!(matches!(repeated, Err(Error::Repeated(_))), "{repeated:?}");
    let bytes = Bytes::from(writer.finish().expect("memory").out);
    assert_eq!(open(&bytes).frames().len(), 1);
    assert_eq!(open(&bytes).attempts().count(), 1000);
    assert!(bytes.len() * 10 < apart, "{} of {apart} bytes", bytes.len());
}

#[test]
fn a_large_frame_that_is_kept_is_copied_as_it_is() {
    let whole = sealed(&log());
    let mut writer = Writer::new(Vec::new()).expect("memory");
    writer.merge(&open(&whole), |_| true).expect("room");
    let merged = Bytes::from(writer.finish().expect("memory").out);
    let first = 8 + 20 + open(&whole).frames()[0].stored as usize;
    assert_eq!(merged[..first], whole[..first]);
}

#[test]
fn a_file_serves_as_well_as_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("segment");
    std::fs::write(&path, sealed(&log())).expect("written");
    let segment = Segment::open(std::fs::File::open(&path).expect("there")).expect("whole");
    assert_eq!(read(&segment).expect("readable"), read(&open(&sealed(&log()))).expect("readable"));
}

#[test]
fn a_segment_of_the_first_version_can_still_be_read() {
    let stored = Bytes::from_static(include_bytes!("kept/version-1.segment"));
    let logs: Vec<Log> = log().iter().map(Log::of).collect();
    let segment = open(&stored);
    assert_index(&segment).expect("its filters know the words as they are cut today");
    assert_eq!(read(&segment).expect("readable"), logs);
    assert!(repair(&stored, std::io::sink()).expect("reads from memory").damage.is_empty());
}
