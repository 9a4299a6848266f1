//! An expression made into one table in advance, with which four parts of a text are read at the same time.
//!
//! A step through a table waits for the step before it; four that do not wait for each other keep the processor busy.
//!
//! ```text
//!   whole lines: | part 0        | part 1        | part 2        | part 3        |
//!                  ^ -> byte       ^ -> byte       ^ -> byte       ^ -> byte       one step of each, then the next
//!
//!   lane:  reading --match--> note the line, go on behind it --> reading --end of the part--> done
//! ```
//!
//! Owns when a table is worth its memory and how it is read. [`super::sieve`] calls it.

use std::ops::Range;

use memchr::{memchr, memrchr};
use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::{primitives::StateID, start};
use regex_syntax::hir::Hir;

use super::ascii;

/// Most memory of a table, in bytes. Most are far smaller; one of this size takes some milliseconds to make.
const MAX_TABLE: usize = 256 * 1024;
/// Most memory while a table is made, in bytes.
const MAX_MAKING: usize = 1024 * 1024;
/// Parts of a text that are read at the same time.
const LANES: usize = 4;

/// An expression of which each match lies within one line.
#[derive(Debug, Clone)]
pub(super) struct Table {
    dfa: dense::DFA<Vec<u32>>,
    /// Its state at the begin of a line.
    start: StateID,
    /// Whether it is right for ASCII text only.
    is_ascii: bool,
}

/// A part of a text that is read.
struct Lane<'a> {
    text: &'a [u8],
    /// Where in the whole text it begins.
    offset: usize,
    at: usize,
    state: StateID,
    hits: Vec<Range<usize>>,
}

impl Table {
    /// Makes one; `None` if it would be too large.
    pub(super) fn of(hir: &Hir) -> Option<Self> {
        let (hir, is_ascii) = ascii::of(hir);
        let nfa = thompson::Config::new()
            .utf8(false)
            .nfa_size_limit(Some(MAX_MAKING))
            .which_captures(WhichCaptures::None);
        let nfa = thompson::Compiler::new().configure(nfa).build_from_hir(&hir).ok()?;
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            // A state that waits for one of few bytes is not left faster by looking for them: other lanes wait meanwhile.
            .accelerate(false)
            .dfa_size_limit(Some(MAX_TABLE))
            .determinize_size_limit(Some(MAX_MAKING));
        let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()?;
        let begin = start::Config::new().anchored(Anchored::No).look_behind(Some(b'\n'));
        let start = dfa.start_state(&begin).ok()?;
        Some(Self { dfa, start, is_ascii })
    }

    /// Whether it says of this text what the expression says.
    pub(super) fn can_read(&self, text: &[u8]) -> bool {
        !self.is_ascii || text.is_ascii()
    }

    /// Adds the lines from the begin of one at `from` on that have a match to `hits`, in order, without their newlines. The
    /// text must be whole lines.
    pub(super) fn lines(&self, text: &[u8], from: usize, hits: &mut Vec<Range<usize>>) {
        let mut lanes = self.lanes(text, from);
        while self.read_all(&mut lanes) {}
        for mut lane in lanes {
            while lane.at < lane.text.len() {
                self.read_one(&mut lane);
            }
            hits.append(&mut lane.hits);
        }
    }

    /// Cuts a text behind lines.
    fn lanes<'a>(&self, text: &'a [u8], mut from: usize) -> [Lane<'a>; LANES] {
        let share = (text.len() - from) / LANES;
        std::array::from_fn(|lane| {
            let due = if lane + 1 == LANES { text.len() } else { (from + share).min(text.len()) };
            let newline = memchr(b'\n', &text[due..]);
            let end = newline.map_or(text.len(), |newline| due + newline + 1);
            let part = &text[from..end];
            let offset = std::mem::replace(&mut from, end);
            Lane { text: part, offset, at: 0, state: self.start, hits: Vec::new() }
        })
    }

    /// Reads all lanes until one of them has to stop; false if one is read to its end.
    fn read_all(&self, lanes: &mut [Lane<'_>; LANES]) -> bool {
        let common = lanes.iter().map(|lane| lane.text.len() - lane.at).min().unwrap_or(0);
        if common == 0 {
            return false;
        }
        let [first, second, third, fourth] =
            lanes.each_ref().map(|lane| lane.text[lane.at..lane.at + common].iter());
        let mut states = lanes.each_ref().map(|lane| lane.state);
        let mut read = 0;
        for (((first, second), third), fourth) in first.zip(second).zip(third).zip(fourth) {
            let bytes = [*first, *second, *third, *fourth];
            states = std::array::from_fn(|lane| self.dfa.next_state(states[lane], bytes[lane]));
            read += 1;
            // One comparison for all: those that stop a lane come before all others.
            let [first, second, third, fourth] = states;
            if self.dfa.is_special_state(first.min(second).min(third).min(fourth)) {
                break;
            }
        }
        for (lane, state) in lanes.iter_mut().zip(states) {
            (lane.at, lane.state) = (lane.at + read, state);
            self.stop(lane);
        }
        true
    }

    /// Reads one lane until it has to stop.
    fn read_one(&self, lane: &mut Lane<'_>) {
        for byte in &lane.text[lane.at..] {
            lane.state = self.dfa.next_state(lane.state, *byte);
            lane.at += 1;
            if self.dfa.is_special_state(lane.state) {
                break;
            }
        }
        self.stop(lane);
    }

    /// What comes of the byte that was read last. A match is known one byte behind its end, at the latest at the newline.
    fn stop(&self, lane: &mut Lane<'_>) {
        if self.dfa.is_match_state(lane.state) {
            let last = lane.at - 1;
            let start = memrchr(b'\n', &lane.text[..last]).map_or(0, |newline| newline + 1);
            let end = memchr(b'\n', &lane.text[last..]).map_or(lane.text.len(), |newline| last + newline);
            lane.hits.push(lane.offset + start..lane.offset + end);
            (lane.at, lane.state) = ((end + 1).min(lane.text.len()), self.start);
        } else if self.dfa.is_special_state(lane.state) {
            // Nothing can match any more.
            lane.at = lane.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(expression: &str, text: &str) -> Option<Vec<String>> {
        let parsed =
            regex_syntax::ParserBuilder::new().utf8(false).build().parse(expression).expect("parses");
        let table = Table::of(&parsed)?;
        assert!(table.can_read(text.as_bytes()), "{text:?}");
        let mut found = Vec::new();
        table.lines(text.as_bytes(), 0, &mut found);
        Some(found.into_iter().map(|range| text[range].to_owned()).collect())
    }

    #[test]
    fn lines_of_all_parts_are_found_in_their_order() {
        let text: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let due: Vec<String> = (0..1000).filter(|n| n % 7 == 0).map(|n| format!("line {n}")).collect();
        let numbers: Vec<String> = (0..1000).step_by(7).map(|n| n.to_string()).collect();
        let expression = format!(r"\b({})\b", numbers.join("|"));
        assert_eq!(hits(&expression, &text), Some(due));
    }

    #[test]
    fn a_match_at_the_begin_or_the_end_of_a_line_belongs_to_that_line() {
        let text = "ab\n\nb\na\nba\n";
        let found = |expression| hits(expression, text).expect("a small table");
        assert_eq!(found("(?m)^b"), ["b", "ba"]);
        assert_eq!(found("(?m)a$"), ["a", "ba"]);
        assert_eq!(found("(?m)^$"), [""]);
        assert_eq!(found("x*"), ["ab", "", "b", "a", "ba"]);
    }

    #[test]
    fn short_text_and_none_are_read_too() {
        for text in ["", "\n", "a\n", "a\nb\n"] {
            let due: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
            assert_eq!(hits("[ab]", text).expect("a small table"), due);
        }
    }

    #[test]
    fn a_table_that_would_be_too_large_is_not_made() {
        assert!(hits(r"[ab][^\n]{200}[cd]", "").is_none());
    }
}
