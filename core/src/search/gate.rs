//! Words that a line must have before it is taken apart.
//!
//! Taking a line apart as JSON costs a hundred times what finding a word costs, and a store can skip lines by their words.
//! So a question about a field is asked of those lines only that have its words written out: a letter or digit that hides
//! in an escape such as `\u0061` is not found.

use std::sync::Arc;

use regex::bytes::Regex;

use super::needs::Needs;
use super::text::any_case;
use super::tokens::{self, is_border};

/// Words of which a line must have some.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gate(Vec<AnyWord>);

/// Words of which a line must have one.
#[derive(Debug, Clone)]
struct AnyWord {
    words: Vec<Vec<u8>>,
    finder: Arc<Regex>,
}

impl PartialEq for AnyWord {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Gate {
    /// Opens for lines that have every one of these tokens.
    pub(super) fn all_of(words: Vec<Vec<u8>>) -> Self {
        Self(words.into_iter().map(|word| AnyWord::new(vec![word])).collect())
    }

    /// Opens for lines that have one of these tokens.
    pub(super) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        Self(vec![AnyWord::new(words.map(|word| word.to_ascii_lowercase().into_bytes()).collect())])
    }

    /// Whether a line has them.
    pub(super) fn is_open_for(&self, line: &[u8]) -> bool {
        self.0.iter().all(|word| word.is_in(line))
    }

    /// The folded words of which a line must have one, for each such question.
    pub(super) fn words(&self) -> impl Iterator<Item = &[Vec<u8>]> {
        self.0.iter().map(|any| any.words.as_slice())
    }

    pub(super) fn needs(&self) -> Needs {
        Needs::all(self.0.iter().map(|any| Needs::any(any.words.iter().cloned().map(Needs::Token))))
    }
}

impl AnyWord {
    /// The words must be ASCII tokens.
    fn new(mut words: Vec<Vec<u8>>) -> Self {
        debug_assert!(words.iter().all(|word| tokens::tokens(word).count() == 1), "{words:?}");
        // The longest first: of two that begin at the same place only the longer one can end a token there.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let escaped: Vec<String> =
            words.iter().map(|word| regex::escape(&String::from_utf8_lossy(word))).collect();
        Self { words, finder: Arc::new(any_case(&escaped.join("|"))) }
    }

    fn is_in(&self, line: &[u8]) -> bool {
        let mut from = 0;
        while let Some(found) = self.finder.find_at(line, from) {
            if is_border(line, found.start()) && is_border(line, found.end()) {
                return true;
            }
            from = found.start() + 1;
        }
        false
    }
}
