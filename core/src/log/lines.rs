//! Cuts one stream into whole lines, for output of many tasks mixed line by line.

use memchr::memrchr;

/// Collects the bytes of one stream of one task and gives them out line by line.
///
/// A line longer than the limit is given out in pieces, so that memory stays bounded by it.
#[derive(Debug)]
pub struct LineAssembler {
    held: Vec<u8>,
    limit: usize,
    /// Whether the next bytes go on with a line of which a piece was given out.
    inside: bool,
}

/// Bytes ready to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The line with its newline, or a part of a line that is too long or was never ended.
    pub bytes: &'a [u8],
    /// Whether it is the start of a line, where a prefix belongs.
    pub starts_line: bool,
}

impl Piece<'_> {
    /// Whether it ends with the line's newline.
    pub fn ends_line(&self) -> bool {
        self.bytes.last() == Some(&b'\n')
    }
}

impl LineAssembler {
    /// An assembler that holds back at most `limit` bytes (at least 1) of an unfinished line.
    pub fn new(limit: usize) -> Self {
        Self { held: Vec::new(), limit: limit.max(1), inside: false }
    }

    /// Adds bytes and calls `show` for each piece that is ready, in order.
    pub fn push(&mut self, bytes: &[u8], mut show: impl FnMut(Piece<'_>)) {
        let (whole, rest) = bytes.split_at(memrchr(b'\n', bytes).map_or(0, |at| at + 1));
        let mut lines = whole.split_inclusive(|byte| *byte == b'\n');
        if !self.held.is_empty()
            && let Some(first) = lines.next()
        {
            self.held.extend_from_slice(first);
            let line = std::mem::take(&mut self.held);
            self.show(&line, &mut show);
        }
        for line in lines {
            self.show(line, &mut show);
        }
        self.hold(rest, &mut show);
    }

    /// Gives out a last line that has no newline, if there is one.
    pub fn finish(&mut self, mut show: impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() {
            let line = std::mem::take(&mut self.held);
            self.show(&line, &mut show);
        }
    }

    fn hold(&mut self, mut rest: &[u8], show: &mut impl FnMut(Piece<'_>)) {
        while self.held.len() + rest.len() > self.limit {
            let (now, later) = rest.split_at(self.limit - self.held.len());
            self.held.extend_from_slice(now);
            rest = later;
            let piece = std::mem::take(&mut self.held);
            self.show(&piece, show);
        }
        self.held.extend_from_slice(rest);
    }

    fn show(&mut self, bytes: &[u8], show: &mut impl FnMut(Piece<'_>)) {
        let piece = Piece { bytes, starts_line: !self.inside };
        self.inside = !piece.ends_line();
        show(piece);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefixed(chunks: &[&[u8]], limit: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut lines = LineAssembler::new(limit);
        let mut show = |piece: Piece<'_>| {
            if piece.starts_line {
                out.extend_from_slice(b"> ");
            }
            out.extend_from_slice(piece.bytes);
        };
        for chunk in chunks {
            lines.push(chunk, &mut show);
        }
        lines.finish(&mut show);
        out
    }

    #[test]
    fn lines_are_shown_whole_however_they_arrive() {
        assert_eq!(prefixed(&[b"a", b"b\nc", b"\n\nd"], 100), b"> ab\n> c\n> \n> d");
        assert_eq!(prefixed(&[b""], 100), b"");
    }

    #[test]
    fn a_line_over_the_limit_comes_in_pieces_with_one_prefix() {
        assert_eq!(prefixed(&[b"abcdefgh", b"ij\nk\n"], 3), b"> abcdefghij\n> k\n");
    }

    proptest! {
        #[test]
        fn cuts_and_limits_change_nothing(
            source in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'x'), Just(b'y')], 0..100),
            cut in 1usize..20, limit in 1usize..20,
        ) {
            let chunks: Vec<&[u8]> = source.chunks(cut).collect();
            prop_assert_eq!(prefixed(&chunks, limit), prefixed(&[&source], 1000));
        }
    }
}
