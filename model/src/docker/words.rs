//! Cutting a shell script into words, the part of the shell's grammar the fake knows.
//!
//! Owns quoting, operators, redirection to stderr and expansion of variables. What it does not know (pipes, background,
//! sub-shells, here-documents) it refuses, and the program is then only printed, never half run. Pure.

use std::collections::BTreeMap;

/// Largest number of values a `$(seq ...)` may give.
const SEQUENCE_LIMIT: u64 = 10_000;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A word, still unexpanded.
    Word(Vec<Part>),
    /// `;` or a line end.
    End,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `>&2` or `1>&2`.
    ToStderr,
}

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text as it stands.
    Text(String),
    /// A variable, or a `$(seq ...)`.
    Expand(String),
}

/// Cuts `script` into tokens; `None` if it uses more of the shell than the fake knows.
pub(crate) fn tokens(script: &str) -> Option<Vec<Token>> {
    let mut cutter = Cutter { rest: script, out: Vec::new(), word: None };
    while let Some(c) = cutter.take() {
        cutter.step(c)?;
    }
    cutter.end_word();
    Some(cutter.out)
}

/// Expands a word into text.
pub(crate) fn expand(parts: &[Part], variables: &BTreeMap<String, String>) -> Option<String> {
    parts.iter().try_fold(String::new(), |mut text, part| {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Expand(inner) if inner.starts_with("seq ") => {
                text.push_str(&sequence(&inner[4..])?.join("\n"));
            }
            Part::Expand(name) => text.push_str(variables.get(name).map_or("", String::as_str)),
        }
        Some(text)
    })
}

/// The numbers of `seq LAST` or `seq FIRST LAST`, bounded.
pub(crate) fn sequence(arguments: &str) -> Option<Vec<String>> {
    let numbers: Vec<i64> =
        arguments.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let (first, last) = match numbers[..] {
        [last] => (1, last),
        [first, last] => (first, last),
        _ => return None,
    };
    let count = last.checked_sub(first)?;
    (count < i64::try_from(SEQUENCE_LIMIT).expect("small"))
        .then(|| (first..=last).map(|n| n.to_string()).collect())
}

struct Cutter<'a> {
    rest: &'a str,
    out: Vec<Token>,
    word: Option<Vec<Part>>,
}

impl Cutter<'_> {
    fn take(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn take_if(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_until(&mut self, end: char) -> Option<String> {
        let (inner, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(inner.to_owned())
    }

    fn step(&mut self, c: char) -> Option<()> {
        match c {
            ' ' | '\t' => self.end_word(),
            '\n' | ';' => self.operator(Token::End),
            '&' if self.take_if("&") => self.operator(Token::And),
            '|' if self.take_if("|") => self.operator(Token::Or),
            '1' if self.word.is_none() && self.take_if(">&2") => self.operator(Token::ToStderr),
            '>' if self.take_if("&2") => self.operator(Token::ToStderr),
            '&' | '|' | '<' | '>' | '(' | ')' | '`' => return None,
            '#' if self.word.is_none() => {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
            }
            '\'' => {
                let text = self.take_until('\'')?;
                self.push(Part::Text(text));
            }
            '"' => self.double_quoted()?,
            '\\' => {
                let escaped = self.take()?;
                self.push(Part::Text(escaped.to_string()));
            }
            '$' => self.dollar()?,
            other => self.push(Part::Text(other.to_string())),
        }
        Some(())
    }

    fn double_quoted(&mut self) -> Option<()> {
        self.push(Part::Text(String::new()));
        loop {
            match self.take()? {
                '"' => return Some(()),
                '$' => self.dollar()?,
                '`' => return None,
                '\\' => {
                    let escaped = self.take()?;
                    if !matches!(escaped, '"' | '\\' | '$' | '`') {
                        self.push(Part::Text("\\".to_owned()));
                    }
                    self.push(Part::Text(escaped.to_string()));
                }
                other => self.push(Part::Text(other.to_string())),
            }
        }
    }

    fn dollar(&mut self) -> Option<()> {
        if self.take_if("$") {
            // The script is the container's first process.
            self.push(Part::Text("1".to_owned()));
        } else if self.take_if("(") {
            let inner = self.take_until(')')?;
            inner.starts_with("seq ").then_some(())?;
            self.push(Part::Expand(inner));
        } else if self.take_if("{") {
            let name = self.take_until('}')?;
            is_name(&name).then_some(())?;
            self.push(Part::Expand(name));
        } else {
            let end =
                self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            is_name(name).then_some(())?;
            let name = name.to_owned();
            self.rest = rest;
            self.push(Part::Expand(name));
        }
        Some(())
    }

    fn push(&mut self, part: Part) {
        let word = self.word.get_or_insert_default();
        if let (Some(Part::Text(last)), Part::Text(text)) = (word.last_mut(), &part) {
            last.push_str(text);
        } else {
            word.push(part);
        }
    }

    fn operator(&mut self, token: Token) {
        self.end_word();
        self.out.push(token);
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.out.push(Token::Word(word));
        }
    }
}

fn is_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
