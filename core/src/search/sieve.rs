//! Which lines of a whole block of text may match, found with one regular expression over all of them: looking at lines
//! one by one costs more than reading them.

use std::ops::Range;

use memchr::{memchr, memrchr};
use regex_automata::Input;
use regex_automata::meta::{self, Regex as Compiled};
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind};
use regex_syntax::hir::{Look, Repetition};

use super::expr::{Expr, Term};
use super::table::Table;

/// Most memory of the expression, in bytes: as much as of all that a query may have.
const MAX_SIZE: usize = 4 * 1024 * 1024;
/// Matches that are looked for one by one before a text counts as full of them: finding one costs as much as reading some
/// hundred bytes.
const FEW: usize = 32;
/// So many bytes of each text, or so few texts, are worth looking for first.
const WORTH_LEN: usize = 3;
const WORTH_COUNT: usize = 3;

/// An expression of which every matching line has a match, and each match lies within one line.
#[derive(Debug, Clone)]
pub(super) struct Sieve {
    compiled: Compiled,
    /// Reads text at one pace, however many matches there are.
    table: Option<Table>,
    /// Every line with a match is one that matches.
    pub(super) is_exact: bool,
}

/// Something that every matching line has.
struct Must {
    hir: Hir,
    /// Length of the shortest text that it asks for literally; the longer, the fewer lines have it.
    literal: usize,
}

impl Sieve {
    /// Makes one for a query; `None` where every line must be looked at.
    pub(super) fn of(query: &Expr) -> Option<Self> {
        let must = query.must()?;
        let config = Compiled::config()
            .utf8_empty(false)
            .nfa_size_limit(Some(MAX_SIZE))
            .hybrid_cache_capacity(MAX_SIZE)
            .dfa(false)
            .auto_prefilter(begins_rarely(&must.hir));
        let compiled = meta::Builder::new().configure(config).build_from_hir(&must.hir).ok()?;
        let is_exact = matches!(query, Expr::Term(Term::Regex(_)));
        Some(Self { compiled, table: Table::of(&must.hir), is_exact })
    }

    /// Adds the lines that have a match to `hits`, in order, without their newlines. The text must be whole lines.
    pub(super) fn lines(&self, text: &[u8], hits: &mut Vec<Range<usize>>) {
        match self.table.as_ref().filter(|table| table.can_read(text)) {
            None => {
                self.lines_one_by_one(text, usize::MAX, hits);
            }
            Some(table) => {
                // Where a text can be skipped by looking for a few letters, nothing is faster.
                let patience = if self.compiled.is_accelerated() { FEW } else { 0 };
                let from = self.lines_one_by_one(text, patience, hits);
                table.lines(text, from, hits);
            }
        }
    }

    /// Adds the first `most` lines that have a match; up to where the text was read.
    fn lines_one_by_one(&self, text: &[u8], most: usize, hits: &mut Vec<Range<usize>>) -> usize {
        let mut from = 0;
        for _ in 0..most {
            if from >= text.len() {
                break;
            }
            let Some(at) = self.find(text, from).filter(|at| *at < text.len()) else { return text.len() };
            let start = memrchr(b'\n', &text[from..at]).map_or(from, |newline| from + newline + 1);
            let end = memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline);
            hits.push(start..end);
            from = end + 1;
        }
        from.min(text.len())
    }

    /// Somewhere in the first line that has a match, at or behind `from`, which must be the begin of a line; the place may
    /// be the line's end.
    fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        self.compiled.search_half(&Input::new(text).range(from..).earliest(true)).map(|found| found.offset())
    }
}

impl Expr {
    fn must(&self) -> Option<Must> {
        match self {
            Self::Always | Self::Not(_) => None,
            Self::Never => Some(Must { hir: Hir::fail(), literal: usize::MAX }),
            Self::And(parts) => parts.iter().filter_map(Self::must).max_by_key(|must| must.literal),
            Self::Or(parts) => {
                let parts = parts.iter().map(Self::must).collect::<Option<Vec<_>>>()?;
                let literal = parts.iter().map(|must| must.literal).min().unwrap_or(0);
                let hir = Hir::alternation(parts.into_iter().map(|must| must.hir).collect());
                Some(Must { hir, literal })
            }
            Self::Term(term) => term.must(),
        }
    }
}

impl Term {
    fn must(&self) -> Option<Must> {
        match self {
            Self::Text(text) => any_of(&[text.pattern().text.as_bytes()]),
            Self::Regex(regex) => {
                let hir = within_lines(&regex.hir()?)?;
                Some(Must { hir, literal: 0 })
            }
            Self::Level { gate, .. } | Self::Field { gate, .. } => {
                let words = gate.words().map(|words| words.iter().map(Vec::as_slice).collect::<Vec<_>>());
                words.filter_map(|words| any_of(&words)).max_by_key(|must| must.literal)
            }
            Self::Job(_)
            | Self::Name(_)
            | Self::Label { .. }
            | Self::State(_)
            | Self::Reason(_)
            | Self::Node(_)
            | Self::Task(..)
            | Self::Attempt(..)
            | Self::Stream(_) => None,
        }
    }
}

/// Whether it saves time to look for the texts that a match begins with before anything else: many short ones are
/// everywhere, and finding each of them costs more than reading on.
fn begins_rarely(hir: &Hir) -> bool {
    let mut begins = Extractor::new().extract(hir);
    begins.optimize_for_prefix_by_preference();
    begins.literals().is_none_or(|texts| {
        texts.len() <= WORTH_COUNT || texts.iter().all(|text| text.as_bytes().len() >= WORTH_LEN)
    })
}

/// One of these texts, upper and lower case of ASCII letters being the same.
fn any_of(texts: &[&[u8]]) -> Option<Must> {
    let literal = texts.iter().map(|text| text.len()).min()?;
    let any_case = |byte: u8| {
        let either = [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
        Hir::class(Class::Bytes(ClassBytes::new(either.map(|byte| ClassBytesRange::new(byte, byte)))))
    };
    // No line has a newline in it.
    let within = texts.iter().filter(|text| !text.contains(&b'\n'));
    let hirs = within.map(|text| Hir::concat(text.iter().copied().map(any_case).collect()));
    Some(Must { hir: Hir::alternation(hirs.collect()), literal })
}

/// What an expression that is asked of single lines is in a text of many; `None` where that cannot be said.
fn within_lines(hir: &Hir) -> Option<Hir> {
    let all = |parts: &[Hir]| parts.iter().map(within_lines).collect::<Option<Vec<_>>>();
    Some(match hir.kind() {
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Class(Class::Unicode(class)) => {
            let mut class = class.clone();
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(class)) => {
            let mut class = class.clone();
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Look(Look::Start) => Hir::look(Look::StartLF),
        HirKind::Look(Look::End) => Hir::look(Look::EndLF),
        // What is an end of a line for them is more than the end of a line.
        HirKind::Look(Look::StartCRLF | Look::EndCRLF) => return None,
        HirKind::Empty | HirKind::Literal(_) | HirKind::Look(_) => hir.clone(),
        HirKind::Repetition(repetition) => {
            let sub = Box::new(within_lines(&repetition.sub)?);
            Hir::repetition(Repetition { sub, ..*repetition })
        }
        HirKind::Capture(capture) => within_lines(&capture.sub)?,
        HirKind::Concat(parts) => Hir::concat(all(parts)?),
        HirKind::Alternation(parts) => Hir::alternation(all(parts)?),
    })
}
