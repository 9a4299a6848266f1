//! Cuts a filter into words, operators and quoted texts.

use super::Error;

/// One piece of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Its text, without quotes.
    pub(super) text: String,
    /// It stood in quotes.
    pub(super) quoted: bool,
    /// It is an operator.
    pub(super) is_operator: bool,
    at: usize,
}

impl Token {
    /// An error about this piece.
    pub(super) fn error(&self, problem: &str) -> Error {
        Error { at: self.at, problem: problem.to_owned() }
    }
}

/// Cuts `text` into pieces.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let characters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&c) = characters.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (token, end) = match c {
            '"' => quoted(&characters, at)?,
            '=' | '!' | '<' | '>' => operator(&characters, at)?,
            _ => word(&characters, at),
        };
        found.push(token);
        at = end;
    }
    Ok(found)
}

fn quoted(characters: &[char], at: usize) -> Result<(Token, usize), Error> {
    let mut text = String::new();
    let mut next = at + 1;
    loop {
        match characters.get(next) {
            None => return Err(Error { at, problem: "this quote is never closed".to_owned() }),
            Some('"') => break,
            Some('\\') if matches!(characters.get(next + 1), Some('"' | '\\')) => {
                text.extend(characters.get(next + 1));
                next += 2;
            }
            Some(&c) => {
                text.push(c);
                next += 1;
            }
        }
    }
    Ok((Token { text, quoted: true, is_operator: false, at }, next + 1))
}

fn operator(characters: &[char], at: usize) -> Result<(Token, usize), Error> {
    let equals_follows = characters.get(at + 1) == Some(&'=');
    let (text, end) = match (characters[at], equals_follows) {
        ('=', _) => ("=", at + 1),
        ('!', true) => ("!=", at + 2),
        ('<', true) => ("<=", at + 2),
        ('<', false) => ("<", at + 1),
        ('>', true) => (">=", at + 2),
        ('>', false) => (">", at + 1),
        _ => return Err(Error { at, problem: "expected an operator here: = != < <= > >=".to_owned() }),
    };
    Ok((Token { text: text.to_owned(), quoted: false, is_operator: true, at }, end))
}

fn word(characters: &[char], at: usize) -> (Token, usize) {
    let ends = |c: &char| c.is_whitespace() || matches!(c, '=' | '!' | '<' | '>' | '"');
    let length = characters[at..].iter().position(ends).unwrap_or(characters.len() - at);
    let text = characters[at..at + length].iter().collect();
    (Token { text, quoted: false, is_operator: false, at }, at + length)
}
