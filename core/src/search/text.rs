//! Words and phrases as they are found in a line.

use std::ops::Range;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use super::pattern::Pattern;
use super::tokens::is_border;

/// A word or phrase, ready to be searched for.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pattern: Pattern,
    finder: Arc<Regex>,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Text {
    /// Prepares a pattern, which must not be empty.
    pub(super) fn new(pattern: Pattern) -> Self {
        let finder = Arc::new(any_case(&regex::escape(&pattern.text)));
        Self { pattern, finder }
    }

    /// What is searched for.
    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whether it is in the line.
    pub(super) fn is_in(&self, line: &[u8]) -> bool {
        self.find(line, 0).is_some()
    }

    /// Every place in the line, from left to right, none overlapping another.
    pub(super) fn all<'a>(&'a self, line: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            let found = self.find(line, from)?;
            from = found.end;
            Some(found)
        })
    }

    fn find(&self, line: &[u8], mut from: usize) -> Option<Range<usize>> {
        loop {
            let found = self.finder.find_at(line, from)?.range();
            let Pattern { open_start, open_end, .. } = self.pattern;
            if (open_start || is_border(line, found.start)) && (open_end || is_border(line, found.end)) {
                return Some(found);
            }
            from = found.start + 1;
        }
    }
}

/// A finder of escaped literals in any bytes that takes upper and lower case of ASCII letters for the same.
pub(super) fn any_case(escaped: &str) -> Regex {
    RegexBuilder::new(escaped)
        .unicode(false)
        .case_insensitive(true)
        .build()
        .expect("an escaped text no longer than a query compiles")
}
