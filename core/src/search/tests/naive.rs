//! What a query means, in the plainest code: no index, no gates, nothing kept from one question to the next.

use serde_json::Value;

use super::super::expr::{Expr, Term};
use super::super::fields::{FieldTest, read_number};
use super::super::pattern::Pattern;
use super::super::severity;
use crate::log::Stream;

pub(super) fn matches(expr: &Expr, stream: Stream, line: &[u8]) -> bool {
    match expr {
        Expr::Always => true,
        Expr::Never => false,
        Expr::And(parts) => parts.iter().filter(|part| matches(part, stream, line)).count() == parts.len(),
        Expr::Or(parts) => parts.iter().filter(|part| matches(part, stream, line)).count() > 0,
        Expr::Not(part) => !matches(part, stream, line),
        Expr::Term(term) => holds(term, stream, line),
    }
}

fn holds(term: &Term, stream: Stream, line: &[u8]) -> bool {
    match term {
        Term::Stream(asked) => *asked == stream,
        Term::Text(text) => has(line, text.pattern()),
        Term::Regex(regex) => regex::bytes::Regex::new(regex.source()).expect("it compiled").is_match(line),
        Term::Level { order, severity, .. } => {
            severity::severity(line).is_some_and(|found| order.holds(&found, severity))
        }
        Term::Field { path, test, .. } => fields(line)
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case(path.as_bytes()) && fits(value, test)),
        _ => false,
    }
}

fn in_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte > 127)
}

fn has(line: &[u8], pattern: &Pattern) -> bool {
    let (line, text) = (line.to_ascii_lowercase(), pattern.text.to_ascii_lowercase().into_bytes());
    (0..line.len()).filter(|at| line[*at..].starts_with(&text)).any(|at| {
        let goes_back = at > 0 && in_word(line.get(at - 1)) && in_word(line.get(at));
        let end = at + text.len();
        let goes_on = in_word(line.get(end - 1)) && in_word(line.get(end));
        (pattern.open_start || !goes_back) && (pattern.open_end || !goes_on)
    })
}

fn fits(value: &[u8], test: &FieldTest) -> bool {
    match test {
        FieldTest::Number(order, number) => {
            read_number(value).is_some_and(|value| order.holds(&value, number))
        }
        FieldTest::Fits(pattern) => {
            let (value, text) = (value.to_ascii_lowercase(), pattern.text.to_ascii_lowercase().into_bytes());
            match (pattern.open_start, pattern.open_end) {
                (false, false) => value == text,
                (false, true) => value.starts_with(&text),
                (true, false) => value.ends_with(&text),
                (true, true) => text.is_empty() || value.windows(text.len()).any(|part| part == text),
            }
        }
    }
}

/// Every field of a line with every value.
fn fields(line: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    if let Ok(Value::Object(object)) = serde_json::from_slice(line) {
        flatten(&Value::Object(object), String::new(), &mut found);
        return found;
    }
    let pair = r#"(?s-u)(?:^|\s)([^\s="][^\s=]*)=("(?:[^"\\]|\\.)*\\?"?|[^\s]*)"#;
    for pair in regex::bytes::Regex::new(pair).expect("it compiles").captures_iter(line) {
        found.push((pair[1].to_vec(), unquoted(&pair[2])));
    }
    found
}

fn flatten(value: &Value, name: String, found: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    let text = match value {
        Value::Object(fields) => {
            for (inner, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(value, format!("{name}{dot}{inner}"), found);
            }
            return;
        }
        Value::Array(elements) => {
            for element in elements {
                flatten(element, name.clone(), found);
            }
            return;
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    found.push((name.into_bytes(), text.into_bytes()));
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(inner) = value.strip_prefix(b"\"") else { return value.to_vec() };
    let mut found = Vec::new();
    let mut at = 0;
    while at < inner.len() && inner[at] != b'"' {
        let escaped = inner[at] == b'\\' && at + 1 < inner.len();
        at += usize::from(escaped);
        found.push(match (escaped, inner[at]) {
            (true, b'n') => b'\n',
            (true, b't') => b'\t',
            (true, b'r') => b'\r',
            (_, byte) => byte,
        });
        at += 1;
    }
    found
}
