//! A scan of whole blocks finds what looking at each line finds.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::sieve::Sieve;
use super::super::*;
use super::generate;
use crate::log::{Record, Stream};
use crate::time::WallTime;

/// A hit in a form that can be compared.
type Hit = (Stream, u64, u64, WallTime, Vec<u8>);

fn hit(line: Line<'_>) -> Hit {
    (line.stream, line.number, line.offset, line.time, line.bytes.to_vec())
}

fn sorted(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort();
    hits
}

/// What looking at each line finds.
fn naive(query: &Query, times: Times, records: &[Record]) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut look = |line: Line<'_>| {
        if times.covers(line.time) && query.matches(line.stream, line.bytes) {
            hits.push(hit(line));
        }
    };
    let mut lines = LineSplitter::default();
    for record in records {
        lines.push(record, &mut look);
    }
    lines.finish(look);
    sorted(hits)
}

/// What a scan finds that gets `batch` records at a time.
fn scanned(query: &Query, times: Times, records: &[Record], batch: usize) -> Vec<Hit> {
    let [stdout, stderr] = Stream::ALL.map(|stream| Arc::new(Finder::new(query, stream)));
    let mut scan = Scan::new(stdout, stderr, times);
    let mut hits = Vec::new();
    for records in records.chunks(batch) {
        scan.push(records, |line| hits.push(hit(line)));
    }
    scan.finish(|line| hits.push(hit(line)));
    sorted(hits)
}

/// Records of both streams from pieces of text.
fn records(pieces: Vec<(bool, Vec<u8>)>) -> Vec<Record> {
    let mut ends = [0, 0];
    let record = |(time, (is_err, bytes)): (i64, (bool, Vec<u8>))| {
        let offset = ends[usize::from(is_err)];
        ends[usize::from(is_err)] += bytes.len() as u64;
        let stream = if is_err { Stream::Stderr } else { Stream::Stdout };
        Record { stream, offset, time: WallTime(time), bytes: Bytes::from(bytes) }
    };
    (0..).zip(pieces).map(record).collect()
}

/// Pieces that hold lines, parts of lines, and newlines where they want.
fn pieces() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let newline = prop_oneof![3 => Just(&b"\n"[..]), 1 => Just(&b""[..]), 1 => Just(&b"\r\n"[..]), 1 => Just(&b"\n\n"[..])];
    let part = (generate::line(), newline).prop_map(|(line, newline)| [&line, newline].concat());
    let piece = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.concat());
    proptest::collection::vec((any::<bool>(), piece), 0..8)
}

/// What behaves differently at the ends of a line than within a text, and what could reach over them.
const BORDERS: [&str; 22] = [
    r"/^a/",
    r"/b$/",
    r"/\Aerr/",
    r"/x\z/",
    r"/^$/",
    r"/$^/",
    r"/\s/",
    r"/a\s+b/",
    r"/[^a]+b/",
    r"/(?s)a.*b/",
    r"/\berr\b/",
    r"/\Brr/",
    r"/(?-u:\b)a(?-u:\B)/",
    r"/(?m)^a$/",
    r"/(?mR)b$/",
    r"/(?R)a.b/",
    r"/a\nb/",
    r"/a|\n|\x00/",
    r"/(a\n)?err/",
    r"/(?-u)[^\x61]$/",
    r"/\b{start}b/",
    r"/(?i)ERR.*x?/",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_scan_finds_what_looking_at_each_line_finds(
        query in generate::query(generate::word()), pieces in pieces(), batch in 1usize..9,
        since in proptest::option::of(0i64..8), until in proptest::option::of(0i64..8),
    ) {
        let records = records(pieces);
        let times = Times { since: since.map(WallTime), until: until.map(WallTime) };
        prop_assert_eq!(
            scanned(&query, times, &records, batch), naive(&query, times, &records), "{}", query
        );
    }

    #[test]
    fn expressions_stay_within_their_line(
        border in proptest::sample::select(&BORDERS[..]), other in proptest::sample::select(&BORDERS[..]),
        join in proptest::sample::select(vec!["AND", "OR", "NOT"]), pieces in pieces(), batch in 1usize..9,
    ) {
        let records = records(pieces);
        for text in [border.to_owned(), format!("{border} {join} {other}")] {
            let query = Query::parse(&text).expect("a query");
            let times = Times::default();
            prop_assert_eq!(
                scanned(&query, times, &records, batch), naive(&query, times, &records), "{}", query
            );
        }
    }
}

#[test]
fn lines_of_any_length_are_found_as_if_looked_at_one_by_one() {
    let lengths = [1, MAX_LINE / 2, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE, 5];
    for length in lengths {
        let line = [&vec![b'a'; length - 1][..], b"b\n"].concat();
        let text = [b"aab\nx\n", &line[..], b"\naab\n", &line, b"ab"].concat();
        for size in [text.len(), MAX_LINE, 999] {
            let records = records(text.chunks(size).map(|piece| (false, piece.to_vec())).collect());
            for text in ["/^aab$/", "/^a+/", "/b$/", "*ab", "/^ab/ OR x"] {
                let query = Query::parse(text).expect("a query");
                let (times, naive) = (Times::default(), naive(&query, Times::default(), &records));
                assert!(scanned(&query, times, &records, 1000) == naive, "{text} {length} {size}");
            }
        }
    }
}

#[test]
fn many_blocks_of_text_with_few_hits_or_many_are_sifted_right() {
    let line = |n: u32| match n % 20_011 {
        // Blocks with letters beyond ASCII stand between blocks without.
        9000..9200 => format!("{n} WARN Übergröße user=ü{} naïve\n", n % 89),
        7 => format!("{n} ERROR lost user=root\n"),
        _ => format!("{n} INFO served user=u{} in {}ms\n", n % 97, n % 13),
    };
    let text: String = (0..30_000).map(line).collect();
    let records = records(text.as_bytes().chunks(100_003).map(|piece| (false, piece.to_vec())).collect());
    let texts = [
        r"/\b\d*5\b/",
        r"/\w+ö/",
        r"/user=\w+$/",
        "/u9[0-6] /",
        "/^1/",
        "/(?-u)[^\\x00-\\x7f]/",
        "served",
        "lost",
        "level:error",
        "user=ü7 OR root",
    ];
    for text in texts {
        let query = Query::parse(text).expect("a query");
        let naive = naive(&query, Times::default(), &records);
        assert!(!naive.is_empty(), "{text}");
        assert!(scanned(&query, Times::default(), &records, 1000) == naive, "{text}");
    }
}

#[test]
fn most_queries_have_a_sieve() {
    let sieve = |text| Sieve::of(&Query::parse(text).expect("a query").root);
    for text in ["timeout", "/a+/", "level:error", "user.id=42", "a OR b", "a NOT b", r"/^\d+ [^x]\w$/"] {
        assert!(sieve(text).is_some(), "{text}");
    }
    for text in ["", "NOT a", "a OR NOT b"] {
        assert!(sieve(text).is_none(), "{text}");
    }
}
