//! Regular expressions of a query, bounded in size.

use std::ops::Range;
use std::sync::Arc;

use regex::bytes::RegexBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::tokens;

/// Most memory of one compiled expression, in bytes: `\w{1000}` fits, an attempt to eat the coordinator does not.
const MAX_SIZE: usize = 1024 * 1024;
/// Deepest nesting inside an expression.
const MAX_NESTING: u32 = 64;

/// A regular expression on bytes.
#[derive(Debug, Clone)]
pub(super) struct Regex {
    source: String,
    compiled: Arc<regex::bytes::Regex>,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Regex {
    /// Compiles an expression; the error says what is wrong with it.
    pub(super) fn new(source: String) -> Result<Self, String> {
        let compiled = RegexBuilder::new(&source)
            .size_limit(MAX_SIZE)
            .dfa_size_limit(MAX_SIZE)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "it is too large when compiled".to_owned(),
                other => last_line(&other.to_string()),
            })?;
        Ok(Self { source, compiled: Arc::new(compiled) })
    }

    /// What was compiled.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is found in the line.
    pub(super) fn is_in(&self, line: &[u8]) -> bool {
        self.compiled.is_match(line)
    }

    /// Every place in the line that has a length.
    pub(super) fn all<'a>(&'a self, line: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        self.compiled.find_iter(line).map(|found| found.range()).filter(|range| !range.is_empty())
    }

    /// What it means; `None` never, because it compiled.
    pub(super) fn hir(&self) -> Option<Hir> {
        let parser = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .nest_limit(MAX_NESTING)
            .build()
            .parse(&self.source);
        parser.ok()
    }

    /// Tokens of every line in which it is found.
    pub(super) fn whole_tokens(&self) -> Vec<Vec<u8>> {
        let Some(hir) = self.hir() else { return Vec::new() };
        let mut runs = Runs::default();
        runs.walk(&hir);
        runs.end();
        runs.tokens
    }
}

/// Literals that every match has, each as long as possible.
#[derive(Default)]
struct Runs {
    run: Vec<u8>,
    tokens: Vec<Vec<u8>>,
}

impl Runs {
    fn walk(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Literal(literal) => self.run.extend_from_slice(&literal.0),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.walk(part)),
            HirKind::Capture(capture) => self.walk(&capture.sub),
            // They take no room between what stands before and behind them.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => self.end(),
        }
    }

    /// What stands beside a run may make its first and last token longer.
    fn end(&mut self) {
        let run = std::mem::take(&mut self.run);
        self.tokens.extend(tokens::inner(&run, false, false));
    }
}

/// The parser draws a picture; its last line has the words.
fn last_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
