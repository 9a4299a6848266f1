//! Why a piece of text is not a part of a job spec.

use std::fmt;

/// Why a piece of text is not what it should be. Each says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a job name.
    #[error("'{0}' is not a job name: {1}")]
    JobName(Excerpt, &'static str),
    /// Not the key of a label.
    #[error("'{0}' is not a label key: {1}")]
    LabelKey(Excerpt, &'static str),
    /// Not the value of a label.
    #[error("'{0}' is not a label value: {1}")]
    LabelValue(Excerpt, &'static str),
    /// Not an image reference.
    #[error("'{0}' is not an image reference: {1}")]
    Image(Excerpt, &'static str),
    /// Not a signal.
    #[error("'{0}' is not a signal: {1}")]
    Signal(Excerpt, &'static str),
    /// Not a user of a container.
    #[error("'{0}' is not a user: {1}")]
    User(Excerpt, &'static str),
    /// Not a usable path.
    #[error("'{0}' is not a usable path: {1}")]
    Path(Excerpt, &'static str),
    /// Not the name of a Docker volume.
    #[error("'{0}' is not a volume name: {1}")]
    Volume(Excerpt, &'static str),
    /// Not the name of an environment variable.
    #[error("'{0}' is not a variable name: {1}")]
    Variable(Excerpt, &'static str),
}

/// The first characters of text that may be hostile or long, escaped, for an error message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// Most characters shown.
    const SHOWN: usize = 64;

    /// Takes what is shown of `text`; control and non-ASCII characters are escaped.
    pub fn of(text: &str) -> Self {
        let mut short: String = text.chars().take(Self::SHOWN).flat_map(escaped).collect();
        if text.chars().nth(Self::SHOWN).is_some() {
            short.push_str("...");
        }
        Self(short)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A printable ASCII character as it is, anything else escaped.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let plain = matches!(c, ' '..='~');
    plain.then_some(c).into_iter().chain((!plain).then(|| c.escape_default()).into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_printable() {
        assert_eq!(Excerpt::of("a'b\u{1b}[2J\u{e9}").to_string(), "a'b\\u{1b}[2J\\u{e9}");
        assert_eq!(Excerpt::of(&"x".repeat(65)).to_string(), format!("{}...", "x".repeat(64)));
    }
}
