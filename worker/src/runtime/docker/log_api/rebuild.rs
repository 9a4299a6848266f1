//! Restores the newlines that the `local` driver's API loses.
//!
//! Docker 20.10 drops the newline that ends a line of 16 KiB or more. Read with timestamps, every piece of one line carries
//! the time of its first piece, so a piece without newline that is followed by a piece with another time was a finished
//! line. Only the last piece of a stream has no follower: when its line is long, its newline stays open. Pure.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::super::output::Stream;

/// The daemon cuts lines here; a shorter line that lost its newline never had one.
const SPLIT: usize = 16 * 1024;
/// Longest timestamp: RFC 3339 with nanoseconds and offset.
const TIMESTAMP: usize = 40;

/// Both streams of one log under reconstruction.
#[derive(Debug, Default)]
pub(super) struct Rebuild {
    streams: [OneStream; 2],
    ready: VecDeque<(Stream, Bytes)>,
}

#[derive(Debug, Default)]
struct OneStream {
    /// Time and length so far of a line whose newline has not been seen; `None` after a newline.
    open_line: Option<(Bytes, usize)>,
}

impl Rebuild {
    /// Takes one whole frame: a timestamp, a space and a piece of a line.
    pub(super) fn push(&mut self, stream: Stream, frame: &Bytes) {
        let one = &mut self.streams[super::slot(stream)];
        let (time, piece) = split_time(frame);
        let continued = match one.open_line.take() {
            Some((open, length)) if open == time => length,
            Some(_) => {
                self.ready.push_back((stream, Bytes::from_static(b"\n")));
                0
            }
            None => 0,
        };
        if piece.last() != Some(&b'\n') {
            one.open_line = Some((time, continued + piece.len()));
        }
        if !piece.is_empty() {
            self.ready.push_back((stream, piece));
        }
    }

    /// The next rebuilt bytes.
    pub(super) fn pop(&mut self) -> Option<(Stream, Bytes)> {
        self.ready.pop_front()
    }

    /// Whether the end of the log leaves no newline open.
    pub(super) fn is_exact(&self) -> bool {
        let certain = |one: &OneStream| one.open_line.as_ref().is_none_or(|(_, length)| *length < SPLIT);
        self.streams.iter().all(certain)
    }
}

/// Splits a frame at the space after its timestamp; a frame without one is all piece.
fn split_time(frame: &Bytes) -> (Bytes, Bytes) {
    match frame.iter().take(TIMESTAMP).position(|byte| *byte == b' ') {
        Some(space) => (frame.slice(..space), frame.slice(space + 1..)),
        None => (Bytes::new(), frame.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(frames: &[(u8, &str)]) -> (String, bool) {
        let mut rebuild = Rebuild::default();
        for (time, piece) in frames {
            rebuild.push(Stream::Stdout, &Bytes::from(format!("2026-01-01T00:00:0{time}Z {piece}")));
        }
        let mut out = Vec::new();
        while let Some((_, bytes)) = rebuild.pop() {
            out.extend_from_slice(&bytes);
        }
        (String::from_utf8(out).expect("text in, text out"), rebuild.is_exact())
    }

    #[test]
    fn a_lost_newline_comes_back_when_another_line_follows() {
        let long = "x".repeat(SPLIT);
        let (text, exact) = rebuilt(&[(1, &long), (1, "tail"), (2, "next\n")]);
        assert_eq!(text, format!("{long}tail\nnext\n"));
        assert!(exact);
    }

    #[test]
    fn only_a_long_last_line_stays_open() {
        assert!(rebuilt(&[(1, "short, never ended")]).1);
        let long = "x".repeat(SPLIT);
        assert!(!rebuilt(&[(1, &long)]).1);
        assert!(!rebuilt(&[(1, &long), (1, "tail")]).1);
        assert_eq!(rebuilt(&[(1, "\n"), (2, "\n"), (3, "a")]), ("\n\na".to_owned(), true));
    }
}
