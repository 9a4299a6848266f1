//! Output to seal, and what of it must come back.

use std::collections::BTreeMap;

use bytes::Bytes;
use dockmgr_archive::Writer;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{End, Entry, Mark, Offsets, Record, Stream};
use dockmgr_core::search::LineSplitter;
use dockmgr_core::time::WallTime;
use proptest::collection::vec;
use proptest::prelude::*;

/// An attempt's output from an offset on.
pub(crate) type Given = (AttemptId, Offsets, Vec<Entry>);

/// What a reader must see of an attempt: both streams whole, with the time of each stretch, and the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) attempt: AttemptId,
    from: Offsets,
    streams: BTreeMap<Stream, Seen>,
    pub(crate) end: Option<End>,
}

/// The bytes of a stream, and behind which of them the time is another one.
type Seen = (Vec<u8>, Vec<(usize, WallTime)>);

impl Log {
    pub(crate) fn begin(attempt: AttemptId, from: Offsets) -> Self {
        Self { attempt, from, streams: BTreeMap::new(), end: None }
    }

    pub(crate) fn of((attempt, from, entries): &Given) -> Self {
        let mut log = Self::begin(*attempt, *from);
        for entry in entries {
            log.add(entry);
        }
        log
    }

    /// Adds an entry, which must follow.
    pub(crate) fn add(&mut self, entry: &Entry) {
        assert_eq!(self.end, None, "nothing follows an end");
        match entry {
            Entry::Data(record) => {
                assert_eq!(record.offset, self.offsets().of(record.stream));
                let (bytes, times) = self.streams.entry(record.stream).or_default();
                bytes.extend_from_slice(&record.bytes);
                if times.last().is_some_and(|(_, time)| *time == record.time) {
                    times.pop();
                }
                times.push((bytes.len(), record.time));
            }
            Entry::End(end) => self.end = Some(end.clone()),
        }
    }

    pub(crate) fn offsets(&self) -> Offsets {
        let mut offsets = self.from;
        for (stream, (bytes, _)) in &self.streams {
            offsets.set(*stream, self.from.of(*stream) + bytes.len() as u64);
        }
        offsets
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.end.is_none()
    }
}

pub(crate) fn attempt(task: u32) -> AttemptId {
    AttemptId::from_parts(42, task, 1).expect("valid")
}

pub(crate) fn record(stream: Stream, offset: u64, time: i64, bytes: &[u8]) -> Entry {
    Entry::Data(Record { stream, offset, time: WallTime(time), bytes: Bytes::copy_from_slice(bytes) })
}

pub(crate) fn complete(stdout: u64) -> End {
    End::complete(Offsets { stdout, stderr: 0 })
}

pub(crate) fn time(entry: &Entry) -> Option<WallTime> {
    match entry {
        Entry::Data(record) => Some(record.time),
        Entry::End(_) => None,
    }
}

/// Where the lines of some output begin, and what they are.
pub(crate) fn lines(
    attempt: AttemptId,
    entries: impl Iterator<Item = Entry>,
) -> Vec<(AttemptId, Stream, u64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut splitter = LineSplitter::default();
    for entry in entries {
        if let Entry::Data(record) = entry {
            splitter
                .push(&record, |line| found.push((attempt, line.stream, line.offset, line.bytes.to_vec())));
        }
    }
    splitter.finish(|line| found.push((attempt, line.stream, line.offset, line.bytes.to_vec())));
    found
}

pub(crate) fn sealed(logs: &[Given]) -> Bytes {
    let mut writer = Writer::new(Vec::new()).expect("memory");
    for (attempt, from, entries) in logs {
        let mut output = writer.attempt(*attempt, *from).expect("few");
        for entry in entries {
            output.push(entry.clone()).expect("they follow each other");
        }
    }
    let finished = writer.finish().expect("memory");
    assert_eq!(finished.len, finished.out.len() as u64);
    finished.out.into()
}

/// Two frames of few bytes as stored: two attempts, of which the first is long and has next to no words.
pub(crate) fn log() -> Vec<Given> {
    let line = format!("step {}\n", ". ".repeat(50)).repeat(300);
    let mut offset = 0;
    let mut entries = Vec::new();
    for n in 0..40 {
        entries.push(record(Stream::Stdout, offset, 1_700_000_000_000 + n, line.as_bytes()));
        offset += line.len() as u64;
    }
    let marks =
        vec![Mark::Gap { stream: Stream::Stdout, from: offset, to: offset, reason: "lost".to_owned() }];
    entries.push(Entry::End(End { offsets: Offsets { stdout: offset, stderr: 0 }, marks }));
    let short = vec![record(Stream::Stdout, 0, 5, b"hello\n"), Entry::End(complete(6))];
    vec![(attempt(1), Offsets::default(), entries), (attempt(2), Offsets::default(), short)]
}

/// Up to five attempts with anything in them, some of them longer than a frame.
pub(crate) fn logs() -> impl Strategy<Value = Vec<Given>> {
    let length = prop_oneof![8 => 1..60usize, 2 => 1..200_000usize, 1 => 200_000..600_000usize];
    let piece = (any::<bool>(), length, any::<u8>(), prop_oneof![9 => 0..5i64, 1 => any::<i64>()]);
    let ends = prop_oneof![Just(None), vec(mark(), 0..4).prop_map(Some)];
    let one = (1..4u64, 0..3u32, 1..3u32, offsets(), vec(piece, 0..14), ends);
    vec(one, 0..5).prop_map(|given| {
        let mut logs = BTreeMap::new();
        for (job, task, number, from, pieces, marks) in given {
            let attempt = AttemptId::from_parts(job, task, number).expect("not 0");
            logs.insert(attempt, (attempt, from, entries(from, pieces, marks)));
        }
        logs.into_values().rev().collect()
    })
}

fn entries(from: Offsets, pieces: Vec<(bool, usize, u8, i64)>, marks: Option<Vec<Mark>>) -> Vec<Entry> {
    let mut at = from;
    let mut entries = Vec::new();
    for (stderr, len, seed, time) in pieces {
        let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
        let bytes: Vec<u8> = (0..len).map(|n| byte(seed, n)).collect();
        entries.push(record(stream, at.of(stream), time, &bytes));
        at.set(stream, at.of(stream) + len as u64);
    }
    entries.extend(marks.map(|marks| Entry::End(End { offsets: at, marks })));
    entries
}

/// Bytes of all kinds: without newlines, with many, text, and not text.
fn byte(seed: u8, n: usize) -> u8 {
    let n = n.to_le_bytes()[0] ^ n.to_le_bytes()[1];
    match seed % 4 {
        0 => b"one two\nthree=4 "[usize::from(n) % 16],
        1 => n.wrapping_mul(seed),
        2 => b'x',
        _ => {
            if n.is_multiple_of(16) {
                b'\n'
            } else {
                b'a' + n % 16
            }
        }
    }
}

fn offsets() -> impl Strategy<Value = Offsets> {
    let one = prop_oneof![3 => Just(0u64), 1 => 0..u64::MAX / 2];
    (one.clone(), one).prop_map(|(stdout, stderr)| Offsets { stdout, stderr })
}

fn mark() -> impl Strategy<Value = Mark> {
    let stream = || any::<bool>().prop_map(|out| if out { Stream::Stdout } else { Stream::Stderr });
    prop_oneof![
        (stream(), any::<u64>(), any::<u64>()).prop_map(|(stream, at, cap)| Mark::Truncated {
            stream,
            at,
            cap
        }),
        ".{0,20}".prop_map(|reason| Mark::Suspect { reason }),
        (stream(), any::<u64>(), any::<u64>(), ".{0,20}").prop_map(|(stream, from, to, reason)| Mark::Gap {
            stream,
            from,
            to,
            reason
        }),
    ]
}
