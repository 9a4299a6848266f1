//! The fields of structured lines: a JSON object, or logfmt (`key=value key="two words"`) anywhere in a line of text.
//!
//! Names are compared without regard to case. `user.id` means the field of that very name, or the field `id` of the object
//! in `user`; a list has the values of all its elements.

use std::borrow::Cow;

use serde_json::Value;

use super::expr::Order;
use super::pattern::Pattern;

/// What the value of a field must be like.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FieldTest {
    /// Like this text.
    Fits(Pattern),
    /// A number in this order to that one.
    Number(Order, f64),
}

impl FieldTest {
    /// Whether a value, as text, is like this.
    pub(super) fn fits(&self, value: &[u8]) -> bool {
        match self {
            Self::Fits(pattern) => pattern.fits(value),
            Self::Number(order, number) => {
                read_number(value).is_some_and(|value| order.holds(&value, number))
            }
        }
    }
}

/// A number as people and programs write it: no infinity and nothing that is no number.
pub(super) fn read_number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The fields of one line.
pub(super) enum Fields<'a> {
    /// The line is a JSON object.
    Json(Value),
    /// It is text, in which there may be `key=value`.
    Text(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// Takes a line apart.
    pub(super) fn of(line: &'a [u8]) -> Self {
        if line.trim_ascii_start().first() == Some(&b'{')
            && let Ok(value @ Value::Object(_)) = serde_json::from_slice(line)
        {
            return Self::Json(value);
        }
        Self::Text(line)
    }

    /// Whether a value of the field `path` passes the test. Values come as text, without quotes and escapes.
    pub(super) fn any(&self, path: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        match self {
            Self::Json(value) => any_in(value, path, test),
            Self::Text(line) => {
                pairs(line).any(|(key, value)| key.eq_ignore_ascii_case(path.as_bytes()) && test(&value))
            }
        }
    }
}

/// Looks for `path` in an object. No object is looked at twice: the names that lead to it leave one rest of the path.
fn any_in(value: &Value, path: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            let Some((start, rest)) = path.split_at_checked(name.len()) else { return false };
            start.eq_ignore_ascii_case(name)
                && match rest.strip_prefix('.') {
                    None => rest.is_empty() && any_value(value, test),
                    Some(inner) => any_in(value, inner, test),
                }
        }),
        Value::Array(elements) => elements.iter().any(|element| any_in(element, path, test)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn any_value(value: &Value, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    match value {
        Value::String(text) => test(text.as_bytes()),
        Value::Array(elements) => elements.iter().any(|element| any_value(element, test)),
        Value::Object(_) => false,
        Value::Null => test(b"null"),
        Value::Bool(flag) => test(flag.to_string().as_bytes()),
        Value::Number(number) => test(number.to_string().as_bytes()),
    }
}

/// The `key=value` pairs of a line, in order. A key begins the line or follows white space.
fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                return None;
            }
            let end = rest
                .iter()
                .position(|byte| byte.is_ascii_whitespace() || *byte == b'=')
                .unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            if let Some(after) = after.strip_prefix(b"=") {
                let (value, behind) = value(after);
                let glued = behind.iter().position(u8::is_ascii_whitespace).unwrap_or(behind.len());
                rest = &behind[glued..];
                if !key.is_empty() {
                    return Some((key, value));
                }
            } else {
                rest = after;
            }
        }
    })
}

/// Reads a value up to white space, or to its closing quote; what follows it.
fn value(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        return (Cow::Borrowed(&text[..end]), &text[end..]);
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return (Cow::Owned(value), &quoted[at + 1..]),
            b'\\' => match bytes.next() {
                Some((_, b'n')) => value.push(b'\n'),
                Some((_, b't')) => value.push(b'\t'),
                Some((_, b'r')) => value.push(b'\r'),
                Some((_, other)) => value.push(other),
                None => value.push(b'\\'),
            },
            other => value.push(other),
        }
    }
    (Cow::Owned(value), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(line: &str, path: &str, wanted: &str) -> bool {
        Fields::of(line.as_bytes()).any(path, &mut |value| value == wanted.as_bytes())
    }

    #[test]
    fn fields_of_objects_are_found_by_their_path() {
        let line = r#" {"user":{"id":42,"tags":["a","b"]},"user.id":"flat","a.b":{"c.d":null},"Ok":true}"#;
        for (path, value) in
            [("user.id", "42"), ("user.id", "flat"), ("user.tags", "b"), ("a.b.c.d", "null"), ("ok", "true")]
        {
            assert!(has(line, path, value), "{path} {value}");
        }
        for (path, value) in [("user", "42"), ("id", "42"), ("user.i", "42"), ("user.id.x", "42"), ("", "42")]
        {
            assert!(!has(line, path, value), "{path} {value}");
        }
    }

    #[test]
    fn pairs_of_a_line_of_text_are_found_wherever_they_stand() {
        let line = r#"10:02 INFO done user.id=42 msg="two \"words\"\n" empty= url=a=b =x x"#;
        for (path, value) in [
            ("user.id", "42"),
            ("msg", "two \"words\"\n"),
            ("empty", ""),
            ("url", "a=b"),
            ("MSG", "two \"words\"\n"),
        ] {
            assert!(has(line, path, value), "{path} {value}");
        }
        for (path, value) in [("id", "42"), ("x", ""), ("", "x")] {
            assert!(!has(line, path, value), "{path} {value}");
        }
        assert!(has("{not json a=1", "a", "1"));
        assert!(has("a=\"open \\", "a", "open \\"));
    }
}
