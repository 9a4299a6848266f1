//! The daemon's framing of two output streams on one connection.
//!
//! ```text
//! +------+---+---+---+----+----+----+----+----------------
//! | kind | 0 | 0 | 0 | length, big endian | bytes ...          kind 1 = stdout, 2 = stderr, 3 = error text
//! +------+---+---+---+----+----+----+----+----------------
//! ```
//! Owns decoding only; pure. Bytes of a frame are handed on as they arrive, so a frame is never held whole. A frame that
//! is cut off by the end of the connection is an error: unlike text, it must not look complete.

use bytes::{Buf, Bytes, BytesMut};

use super::super::output::Stream;

/// Largest frame believed; the daemon's are at most 32 KiB. Anything larger is not this protocol.
pub(super) const FRAME_LIMIT: u32 = 16 * 1024 * 1024;
/// Largest frame held whole; a message of the log is at most 16 KiB and its time.
const MESSAGE_LIMIT: u32 = 1024 * 1024;
const HEADER: usize = 8;

/// Position inside the framing.
#[derive(Debug, Default)]
pub(super) struct Demux {
    /// Stream and bytes left of the frame under way.
    frame: Option<(Stream, usize)>,
    /// Whether pieces are whole frames; such frames must be small.
    whole: bool,
}

/// A frame that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadFrame {
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    #[error("a frame of {0} bytes")]
    TooLong(u32),
    #[error("the connection ended inside a frame")]
    Cut,
    #[error("the daemon reports: {0}")]
    Reported(String),
}

impl Demux {
    /// Gives out whole frames only, for contents where a frame is a message. Frames over 1 MiB are refused.
    pub(super) fn whole_frames() -> Self {
        Self { frame: None, whole: true }
    }

    /// Takes the next piece out of `buffer`; `None` when more must be read first.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<(Stream, Bytes)>, BadFrame> {
        loop {
            if let Some((stream, left)) = self.frame {
                let now = left.min(buffer.len());
                if now == 0 || (self.whole && now < left) {
                    return Ok(None);
                }
                let piece = buffer.split_to(now).freeze();
                self.frame = (left > now).then_some((stream, left - now));
                return Ok(Some((stream, piece)));
            }
            if buffer.len() < HEADER {
                return Ok(None);
            }
            let kind = buffer[0];
            let length = u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]);
            let limit = if self.whole { MESSAGE_LIMIT } else { FRAME_LIMIT };
            if buffer[1..4] != [0, 0, 0] || length > limit {
                return Err(BadFrame::TooLong(length));
            }
            let stream = match kind {
                1 => Stream::Stdout,
                2 => Stream::Stderr,
                3 => return Err(BadFrame::Reported(String::from_utf8_lossy(&buffer[HEADER..]).into_owned())),
                other => return Err(BadFrame::Kind(other)),
            };
            buffer.advance(HEADER);
            let length = usize::try_from(length).expect("at most FRAME_LIMIT, which fits");
            self.frame = (length > 0).then_some((stream, length));
        }
    }

    /// Checks that the connection may end here, with `rest` left unread.
    pub(super) fn finish(&self, rest: &BytesMut) -> Result<(), BadFrame> {
        if self.frame.is_some() || !rest.is_empty() { Err(BadFrame::Cut) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![kind, 0, 0, 0];
        out.extend(u32::try_from(bytes.len()).expect("short").to_be_bytes());
        out.extend(bytes);
        out
    }

    fn run(chunks: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), BadFrame> {
        let (mut demux, mut buffer) = (Demux::default(), BytesMut::new());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for chunk in chunks {
            buffer.extend_from_slice(chunk);
            while let Some((stream, piece)) = demux.next(&mut buffer)? {
                match stream {
                    Stream::Stdout => out.extend_from_slice(&piece),
                    Stream::Stderr => err.extend_from_slice(&piece),
                }
            }
        }
        demux.finish(&buffer)?;
        Ok((out, err))
    }

    #[test]
    fn a_cut_frame_is_an_error_and_not_text() {
        let whole = [frame(1, b"hello"), frame(2, b"world")].concat();
        for end in 0..whole.len() {
            let clean = end == 0 || end == 13;
            assert_eq!(run(&[&whole[..end]]).is_ok(), clean, "cut at {end}");
        }
    }

    #[test]
    fn frames_that_are_none_are_refused() {
        assert_eq!(run(&[&frame(9, b"x")]), Err(BadFrame::Kind(9)));
        assert!(matches!(run(&[&[1, 0, 0, 0, 255, 0, 0, 0]]), Err(BadFrame::TooLong(_))));
        assert!(matches!(run(&[b"plain text of a terminal"]), Err(BadFrame::TooLong(_))));
    }

    proptest! {
        #[test]
        fn any_split_of_the_connection_gives_the_same_bytes(
            frames in prop::collection::vec((1u8..3, prop::collection::vec(any::<u8>(), 0..50)), 0..20),
            step in 1usize..40,
        ) {
            let wire: Vec<u8> = frames.iter().flat_map(|(kind, bytes)| frame(*kind, bytes)).collect();
            let chunks: Vec<&[u8]> = wire.chunks(step).collect();
            let wanted = |kind| -> Vec<u8> {
                frames.iter().filter(|(k, _)| *k == kind).flat_map(|(_, bytes)| bytes.clone()).collect()
            };
            prop_assert_eq!(run(&chunks), Ok((wanted(1), wanted(2))));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _outcome = run(&[&bytes]);
        }
    }
}
