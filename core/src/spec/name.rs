//! Names and labels.

use std::fmt;
use std::str::FromStr;

use super::error::{Error, Excerpt};
use super::limits::RESERVED_LABEL_PREFIX;

/// Name of a job: `[a-z0-9][a-z0-9._-]{1,62}`, not all digits, not `last`; it means the newest job of that name.
///
/// Neither may it look like another way to name a job (`42.7`, a uid), or the job could not be reached by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

impl JobName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |rule| Err(Error::JobName(Excerpt::of(text), rule));
        if !(2..=63).contains(&text.len()) {
            return bad("it has 2 to 63 characters");
        }
        if !text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')) {
            return bad("it is made of a-z, 0-9, '.', '_' and '-'");
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return bad("it begins with a letter or digit");
        }
        if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return bad("numbers mean job, task and attempt ids; add a letter");
        }
        if text == "last" {
            return bad("'last' means the newest job");
        }
        if uuid::Uuid::try_parse(text).is_ok() {
            return bad("it looks like the uid of a job");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Key of a label: optional DNS prefix and `/`, then up to 63 characters, as Kubernetes has it; at most 253 + 1 + 63.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(String);

impl LabelKey {
    /// Reads a key. Reserved keys parse: nodes carry them, and constraints may ask for them.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |rule| Err(Error::LabelKey(Excerpt::of(text), rule));
        let name = match text.split_once('/') {
            Some((prefix, _)) if !is_dns_name(prefix) => {
                return bad("what is before '/' is a DNS name in lower case of at most 253 characters");
            }
            Some((_, name)) => name,
            None => text,
        };
        if !is_label_text(name) {
            return bad("the name has 1 to 63 of A-Z, a-z, 0-9, '-', '_', '.', \
                        first and last a letter or digit, optionally after a DNS prefix and '/'");
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether the key is dockmgr's own and so refused in a job's labels.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED_LABEL_PREFIX)
    }
}

/// Value of a label: empty, or up to 63 characters that begin and end alphanumeric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(String);

impl LabelValue {
    /// Reads a value.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() || is_label_text(text) {
            return Ok(Self(text.to_owned()));
        }
        let rule =
            "it is empty or has up to 63 of A-Z, a-z, 0-9, '-', '_', '.', first and last a letter or digit";
        Err(Error::LabelValue(Excerpt::of(text), rule))
    }
}

/// Whether `text` has 1 to 63 characters of the label alphabet and begins and ends with a letter or digit.
fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    bytes.len() <= 63
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether `text` is a DNS subdomain as RFC 1123 has it, in lower case.
fn is_dns_name(text: &str) -> bool {
    let is_part = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::parse(text)
            }
        }
    };
}

text_newtype!(JobName);
text_newtype!(LabelKey);
text_newtype!(LabelValue);
