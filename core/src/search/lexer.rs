//! Cuts a query into its pieces.

use super::Error;
use super::expr::Order;
use super::pattern::Pattern;

/// One piece of a query and where it stands, in characters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

/// What a piece is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A word or phrase.
    Text(Pattern),
    /// A regular expression, without its slashes.
    Regex(String),
    /// A comparison.
    Field(Field),
}

/// A comparison as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    /// Its name, without the dot that may lead it.
    pub(super) name: String,
    /// A dot leads it: it is a field of the line, whatever its name.
    pub(super) of_line: bool,
    pub(super) order: Order,
    /// It must not hold.
    pub(super) negated: bool,
    pub(super) value: Pattern,
    /// Where its value stands.
    pub(super) value_at: usize,
}

/// Cuts `text` into pieces.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    let lexer = Lexer { text: text.chars().collect() };
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = lexer.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (kind, end) = match c {
            '(' => (Kind::Open, at + 1),
            ')' => (Kind::Close, at + 1),
            '/' => lexer.regex(at)?,
            _ => match lexer.field(at)? {
                Some(field) => field,
                None => lexer.text(at)?,
            },
        };
        found.push(Piece { at, kind });
        at = end;
    }
    Ok(found)
}

struct Lexer {
    text: Vec<char>,
}

impl Lexer {
    fn get(&self, at: usize) -> Option<char> {
        self.text.get(at).copied()
    }

    /// A word, a phrase or one of AND, OR, NOT.
    fn text(&self, at: usize) -> Result<(Kind, usize), Error> {
        let (pattern, end) = self.pattern(at)?;
        let written: String = self.text[at..end].iter().collect();
        let kind = match written.as_str() {
            "AND" => Kind::And,
            "OR" => Kind::Or,
            "NOT" => Kind::Not,
            _ if pattern.text.is_empty() && !pattern.is_any() => {
                return Err(Error::new(at, "expected words between the quotes"));
            }
            _ => Kind::Text(pattern),
        };
        Ok((kind, end))
    }

    /// A comparison, if one begins here.
    fn field(&self, at: usize) -> Result<Option<(Kind, usize)>, Error> {
        let of_line = self.get(at) == Some('.');
        let start = at + usize::from(of_line);
        let mut end = start;
        while self.get(end).is_some_and(|c| is_name(c, end == start)) {
            end += 1;
        }
        let name: String = self.text[start..end].iter().collect();
        if name.is_empty() || name.ends_with(['.', '-']) {
            return Ok(None);
        }
        let (order, negated, value_at) = match (self.get(end), self.get(end + 1)) {
            // An address, not a field called http.
            (Some(':'), Some('/')) if self.get(end + 2) == Some('/') => return Ok(None),
            (Some('!'), Some('=')) => (Order::Equal, true, end + 2),
            (Some(':' | '='), _) => (Order::Equal, false, end + 1),
            (Some('<'), Some('=')) => (Order::AtMost, false, end + 2),
            (Some('<'), _) => (Order::Less, false, end + 1),
            (Some('>'), Some('=')) => (Order::AtLeast, false, end + 2),
            (Some('>'), _) => (Order::Greater, false, end + 1),
            _ => return Ok(None),
        };
        let (value, end) = self.pattern(value_at)?;
        if end == value_at {
            return Err(Error::new(end, format!("expected a value after '{name}'")));
        }
        Ok(Some((Kind::Field(Field { name, of_line, order, negated, value, value_at }), end)))
    }

    /// A word or quoted text with its stars; nothing if none begins here.
    fn pattern(&self, at: usize) -> Result<(Pattern, usize), Error> {
        let open_start = self.get(at) == Some('*');
        let start = at + usize::from(open_start);
        if self.get(start) == Some('"') {
            let (text, end) = self.quoted(start)?;
            let open_end = self.get(end) == Some('*');
            return Ok((Pattern::new(text, open_start, open_end), end + usize::from(open_end)));
        }
        let ends = |c: &char| c.is_whitespace() || matches!(c, '(' | ')' | '"');
        let end = start + self.text[start..].iter().position(ends).unwrap_or(self.text.len() - start);
        let open_end = end > start && self.get(end - 1) == Some('*');
        let text = self.text[start..end - usize::from(open_end)].iter().collect();
        Ok((Pattern::new(text, open_start, open_end), end))
    }

    fn quoted(&self, at: usize) -> Result<(String, usize), Error> {
        let mut text = String::new();
        let mut next = at + 1;
        loop {
            match (self.get(next), self.get(next + 1)) {
                (None, _) => return Err(Error::new(at, "this quote is never closed")),
                (Some('"'), _) => return Ok((text, next + 1)),
                (Some('\\'), Some(escaped @ ('"' | '\\'))) => {
                    text.push(escaped);
                    next += 2;
                }
                (Some(c), _) => {
                    text.push(c);
                    next += 1;
                }
            }
        }
    }

    fn regex(&self, at: usize) -> Result<(Kind, usize), Error> {
        let mut source = String::new();
        let mut next = at + 1;
        loop {
            match (self.get(next), self.get(next + 1)) {
                (None, _) => {
                    return Err(Error::new(at, "this regular expression is never closed: expected a '/'"));
                }
                (Some('/'), _) => return Ok((Kind::Regex(source), next + 1)),
                (Some('\\'), Some('/')) => {
                    source.push('/');
                    next += 2;
                }
                (Some('\\'), Some(escaped)) => {
                    source.extend(['\\', escaped]);
                    next += 2;
                }
                (Some(c), _) => {
                    source.push(c);
                    next += 1;
                }
            }
        }
    }
}

/// Whether a character may be part of the name of a field.
pub(super) fn is_name(c: char, first: bool) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c, '_' | '@')
        || (!first && (c.is_ascii_digit() || matches!(c, '.' | '-')))
}
