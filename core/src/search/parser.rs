//! From pieces to a tree.

use super::expr::{Expr, Order, Term};
use super::facts::{JobScope, StateTest};
use super::fields::{FieldTest, read_number};
use super::gate::Gate;
use super::lexer::{self, Field, Kind, Piece};
use super::pattern::Pattern;
use super::regex::Regex;
use super::severity::Severity;
use super::text::Text;
use super::{Error, MAX_BYTES, MAX_DEPTH, MAX_REGEXES, MAX_TERMS, tokens};
use crate::log::Stream;
use crate::outcome::EndReason;
use crate::spec::{LabelKey, LabelValue};

/// Names that mean something about the job, the attempt or the line as a whole.
const OURS: [&str; 11] =
    ["job", "name", "label", "state", "reason", "node", "task", "attempt", "stream", "level", "severity"];
/// What a part of a query may be.
const OPERAND: &str = "expected a word, a \"phrase\", a /regular expression/, FIELD:VALUE, NOT or (";

/// Parses a query.
pub(super) fn parse(text: &str) -> Result<Expr, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::new(MAX_BYTES, format!("a query has at most {MAX_BYTES} bytes")));
    }
    let pieces = lexer::pieces(text)?;
    if pieces.is_empty() {
        return Ok(Expr::Always);
    }
    let mut parser = Parser { pieces: &pieces, end: text.chars().count(), terms: 0, regexes: 0 };
    let root = parser.or(0)?;
    match parser.pieces.first() {
        None => Ok(root),
        Some(piece) => Err(Error::new(piece.at, "there is no '(' that this ')' closes")),
    }
}

/// Whether a name is one of ours, so that a field of a line with that name needs a dot before it.
pub(super) fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
}

struct Parser<'a> {
    /// What is left.
    pieces: &'a [Piece],
    /// Where the query ends.
    end: usize,
    terms: usize,
    regexes: usize,
}

impl Parser<'_> {
    fn or(&mut self, depth: usize) -> Result<Expr, Error> {
        let mut parts = vec![self.and(depth)?];
        while self.take(&Kind::Or) {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn and(&mut self, depth: usize) -> Result<Expr, Error> {
        let mut parts = vec![self.not(depth)?];
        loop {
            let written = self.take(&Kind::And);
            match self.pieces.first().map(|piece| &piece.kind) {
                None | Some(Kind::Or | Kind::Close) if !written => break,
                _ => parts.push(self.not(depth)?),
            }
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn not(&mut self, depth: usize) -> Result<Expr, Error> {
        let Some((piece, rest)) = self.pieces.split_first() else {
            return Err(Error::new(self.end, format!("{OPERAND} here, at the end")));
        };
        if depth > MAX_DEPTH {
            return Err(Error::new(piece.at, format!("more than {MAX_DEPTH} levels of ( and NOT")));
        }
        self.pieces = rest;
        match &piece.kind {
            Kind::Not => Ok(Expr::Not(Box::new(self.not(depth + 1)?))),
            Kind::Open => {
                let inner = self.or(depth + 1)?;
                if self.take(&Kind::Close) {
                    Ok(inner)
                } else {
                    Err(Error::new(piece.at, "this '(' is never closed: expected a ')'"))
                }
            }
            Kind::Close | Kind::And | Kind::Or => Err(Error::new(piece.at, format!("{OPERAND} here"))),
            Kind::Text(pattern) if pattern.is_any() => Ok(Expr::Always),
            Kind::Text(pattern) => self.term(piece.at, Term::Text(Text::new(pattern.clone()))),
            Kind::Regex(source) => {
                self.regexes += 1;
                if self.regexes > MAX_REGEXES {
                    return Err(Error::new(piece.at, format!("more than {MAX_REGEXES} regular expressions")));
                }
                let regex = Regex::new(source.clone());
                let regex =
                    regex.map_err(|why| Error::new(piece.at, format!("no regular expression: {why}")))?;
                self.term(piece.at, Term::Regex(regex))
            }
            Kind::Field(field) => {
                let term = self.term(piece.at, self::field(piece.at, field)?)?;
                Ok(if field.negated { Expr::Not(Box::new(term)) } else { term })
            }
        }
    }

    fn term(&mut self, at: usize, term: Term) -> Result<Expr, Error> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(Error::new(at, format!("more than {MAX_TERMS} words and fields")));
        }
        Ok(Expr::Term(term))
    }

    fn take(&mut self, kind: &Kind) -> bool {
        match self.pieces.split_first() {
            Some((piece, rest)) if piece.kind == *kind => {
                self.pieces = rest;
                true
            }
            Some(_) | None => false,
        }
    }
}

/// The question a comparison asks.
fn field(at: usize, field: &Field) -> Result<Term, Error> {
    let name = field.name.as_str();
    if field.of_line || !is_ours(name) {
        return field_of_line(name, field.order, &field.value, field.value_at);
    }
    let orders = matches!(name, "task" | "attempt" | "level" | "severity");
    if !orders && field.order != Order::Equal {
        return Err(Error::new(at, format!("'{name}' knows only ':', '=' and '!='")));
    }
    let wrong = |expected: String| Error::new(field.value_at, expected);
    let pattern = || field.value.clone();
    let text = written(&field.value);
    match name {
        "job" => {
            let scope = JobScope::parse(&text).map(Term::Job);
            scope.ok_or_else(|| wrong("expected a job (42), a task (42.7) or an attempt (42.7.2)".to_owned()))
        }
        "name" => Ok(Term::Name(pattern())),
        "node" => Ok(Term::Node(pattern())),
        "label" => label(&text).map_err(wrong),
        "state" => one_of(&text, &StateTest::ALL, StateTest::as_str).map(Term::State).map_err(wrong),
        "reason" => one_of(&text, &EndReason::ALL, EndReason::as_str).map(Term::Reason).map_err(wrong),
        "stream" => match text.as_str() {
            "stdout" => Ok(Term::Stream(Stream::Stdout)),
            "stderr" => Ok(Term::Stream(Stream::Stderr)),
            _ => Err(wrong("expected one of stdout, stderr".to_owned())),
        },
        "task" => number(&text).map(|index| Term::Task(field.order, index)).map_err(wrong),
        "attempt" => number(&text).map(|number| Term::Attempt(field.order, number)).map_err(wrong),
        _ => level(field.order, &text).map_err(wrong),
    }
}

/// A question about a field of the line.
pub(super) fn field_of_line(
    name: &str,
    order: Order,
    value: &Pattern,
    value_at: usize,
) -> Result<Term, Error> {
    let mut words: Vec<Vec<u8>> = tokens::tokens(name.as_bytes()).map(<[u8]>::to_ascii_lowercase).collect();
    let test = if order == Order::Equal {
        if value.is_never_escaped() {
            words.extend(value.whole_tokens());
        }
        FieldTest::Fits(value.clone())
    } else {
        let number = read_number(written(value).as_bytes());
        let expected = || Error::new(value_at, "expected a number: only numbers have an order");
        FieldTest::Number(order, number.ok_or_else(expected)?)
    };
    words.sort_unstable();
    words.dedup();
    Ok(Term::Field { path: name.to_owned(), test, gate: Gate::all_of(words) })
}

fn level(order: Order, text: &str) -> Result<Term, String> {
    let severity = Severity::parse(text.as_bytes());
    let severity = severity.ok_or("expected one of trace, debug, info, warn, error, fatal")?;
    let gate = Gate::one_of(Severity::words_of(|found| order.holds(&found, &severity)));
    Ok(Term::Level { order, severity, gate })
}

fn label(text: &str) -> Result<Term, String> {
    let (key, value) = text.split_once('=').unwrap_or((text, "*"));
    let (open_start, value) = value.strip_prefix('*').map_or((false, value), |rest| (true, rest));
    let (open_end, value) = value.strip_suffix('*').map_or((false, value), |rest| (true, rest));
    let expected = |why: String| format!("expected KEY or KEY=VALUE of a label: {why}");
    LabelKey::parse(key).map_err(|error| expected(error.to_string()))?;
    if !open_start && !open_end {
        LabelValue::parse(value).map_err(|error| expected(error.to_string()))?;
    } else if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(expected("values are made of A-Z, a-z, 0-9, '-', '_' and '.'".to_owned()));
    }
    Ok(Term::Label { key: key.to_owned(), value: Pattern::new(value.to_owned(), open_start, open_end) })
}

fn number(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or_else(|| "expected a number".to_owned())
}

fn one_of<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one).eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().copied().map(&name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// A value as it was written, where a `*` has no meaning of its own.
fn written(value: &Pattern) -> String {
    let star = |open: bool| if open { "*" } else { "" };
    if value.is_any() {
        return "*".to_owned();
    }
    format!("{}{}{}", star(value.open_start), value.text, star(value.open_end))
}
