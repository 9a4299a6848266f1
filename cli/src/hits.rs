//! Lines that a search found, for people: `TIME JOB.TASK.ATTEMPT STREAM:NUMBER: LINE`, with marks on a terminal.

use std::io::{self, Write as _};
use std::ops::Range;

use dockmgr_proto::v1::{LogSeverity, LogStream, SearchDone, SearchHit, SearchLine, SearchPart, SearchRange};

use crate::failure::Failure;
use crate::output;
use crate::terminal::{self, Sanitizer};

/// Colours of a place and of what was asked for.
const DIM: &[u8] = b"\x1b[2m";
const MARKED: &[u8] = b"\x1b[1;31m";
const PLAIN: &[u8] = b"\x1b[0m";
/// Longest bar of a count over time.
const LONGEST_BAR: u64 = 50;

/// Writes a hit and the lines around it; `guard` makes it harmless for a terminal, `follows` separates it from the last.
pub(crate) fn show(hit: &SearchHit, guard: bool, follows: bool) -> Result<(), Failure> {
    let Some(line) = &hit.line else {
        return Err(Failure::failed("the coordinator's answer has a hit without a line"));
    };
    let mut text = Vec::new();
    let has_context = !hit.before.is_empty() || !hit.after.is_empty();
    if has_context && follows {
        text.extend_from_slice(b"--\n");
    }
    for before in &hit.before {
        write_line(hit, before, &[], guard, &mut text);
    }
    let range = |range: &SearchRange| range.start as usize..range.end as usize;
    let ranges: Vec<Range<usize>> = hit.ranges.iter().map(range).collect();
    write_line(hit, line, &ranges, guard, &mut text);
    for after in &hit.after {
        write_line(hit, after, &[], guard, &mut text);
    }
    let mut out = io::stdout().lock();
    out.write_all(&text).and_then(|()| out.flush()).map_err(Failure::from)
}

fn write_line(hit: &SearchHit, line: &SearchLine, ranges: &[Range<usize>], guard: bool, text: &mut Vec<u8>) {
    let attempt = hit.attempt.unwrap_or_default();
    let stream = if line.stream() == LogStream::Stderr { "stderr" } else { "stdout" };
    let time = line.time.as_ref().map(output::rfc3339).unwrap_or_default();
    let number = if line.number > 0 { format!(":{}:", line.number) } else { "-".to_owned() };
    let place =
        format!("{time} {}.{}.{} {stream}{number} ", attempt.job_id, attempt.task_index, attempt.attempt);
    if guard && terminal::has_colours() {
        text.extend_from_slice(&[DIM, place.as_bytes(), PLAIN].concat());
    } else {
        text.extend_from_slice(place.as_bytes());
    }
    marked(&line.data, ranges, guard, text);
    text.extend_from_slice(if line.clipped { b"...\n" } else { b"\n" });
}

/// The bytes of a line; where a terminal is guarded, made harmless and with marks on what was asked for.
pub(crate) fn marked(line: &[u8], ranges: &[Range<usize>], guard: bool, text: &mut Vec<u8>) {
    if !guard {
        return text.extend_from_slice(line);
    }
    let mut from = 0;
    let colours = terminal::has_colours();
    for range in ranges.iter().filter(|range| colours && range.start < range.end && range.end <= line.len()) {
        if range.start >= from {
            harmless(&line[from..range.start], text);
            text.extend_from_slice(MARKED);
            harmless(&line[range.clone()], text);
            text.extend_from_slice(PLAIN);
            from = range.end;
        }
    }
    harmless(&line[from..], text);
}

fn harmless(bytes: &[u8], text: &mut Vec<u8>) {
    let mut sanitizer = Sanitizer::default();
    sanitizer.push(bytes, text);
    sanitizer.finish(text);
}

/// Counts over time, one span a line with a bar.
pub(crate) fn histogram(done: &SearchDone) -> String {
    let most = done.buckets.iter().map(|bucket| bucket.hits).max().unwrap_or(1).max(1);
    let rows = done.buckets.iter().map(|bucket| {
        let bar = usize::try_from(bucket.hits.saturating_mul(LONGEST_BAR).div_ceil(most)).unwrap_or(0);
        let time = bucket.start_time.as_ref().map(output::rfc3339).unwrap_or_default();
        let kinds: Vec<String> = bucket.parts.iter().map(kind).collect();
        vec![time, bucket.hits.to_string(), "#".repeat(bar), kinds.join(", ")]
    });
    output::columns(&["TIME", "HITS", "", ""], rows)
}

/// `7 warn`, `3 stderr`.
fn kind(part: &SearchPart) -> String {
    let name = match (part.stream(), part.severity()) {
        (LogStream::Stdout, _) => "stdout",
        (LogStream::Stderr, _) => "stderr",
        (LogStream::Unspecified, LogSeverity::Unspecified) => "other",
        (LogStream::Unspecified, LogSeverity::Trace) => "trace",
        (LogStream::Unspecified, LogSeverity::Debug) => "debug",
        (LogStream::Unspecified, LogSeverity::Info) => "info",
        (LogStream::Unspecified, LogSeverity::Warn) => "warn",
        (LogStream::Unspecified, LogSeverity::Error) => "error",
        (LogStream::Unspecified, LogSeverity::Fatal) => "fatal",
    };
    format!("{} {name}", part.hits)
}
