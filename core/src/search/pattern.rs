//! Text that something is compared with, open at its ends where a `*` stands.

use super::tokens::{self, is_token_byte};

/// A text and its `*`. An empty one with a `*` is open at both ends and fits everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) open_start: bool,
    pub(super) open_end: bool,
}

impl Pattern {
    /// A pattern in its one form.
    pub(super) fn new(text: String, open_start: bool, open_end: bool) -> Self {
        let any = text.is_empty() && (open_start || open_end);
        Self { text, open_start: open_start || any, open_end: open_end || any }
    }

    /// Whether it fits everything.
    pub(super) fn is_any(&self) -> bool {
        self.text.is_empty() && self.open_start
    }

    /// Whether a whole value fits, upper and lower case being the same.
    pub(super) fn fits(&self, value: &[u8]) -> bool {
        let text = self.text.as_bytes();
        let Some(rest) = value.len().checked_sub(text.len()) else { return false };
        let same = |at: usize| value[at..at + text.len()].eq_ignore_ascii_case(text);
        match (self.open_start, self.open_end) {
            (false, false) => rest == 0 && same(0),
            (false, true) => same(0),
            (true, false) => same(rest),
            (true, true) => (0..=rest).any(same),
        }
    }

    /// The tokens of a text that this pattern is found in: those of its own that no open end can make longer.
    pub(super) fn whole_tokens(&self) -> Vec<Vec<u8>> {
        tokens::inner(self.text.as_bytes(), !self.open_start, !self.open_end)
    }

    /// Whether no writer of JSON or logfmt escapes any of its characters, so that they stand in the line as they are.
    pub(super) fn is_never_escaped(&self) -> bool {
        self.text.bytes().all(|byte| {
            byte.is_ascii()
                && (is_token_byte(byte) || matches!(byte, b' ' | b'.' | b',' | b':' | b'-' | b'@'))
        })
    }
}
