//! Names of stored values.
//!
//! Owns what a key and a prefix may look like; what they mean is the controller's.

use std::borrow::Borrow;
use std::fmt;

use super::Error;

/// Longest key in bytes; keeps 126 preconditions far below etcd's request limit.
const MAX_KEY_BYTES: usize = 512;

/// Name of a stored value: segments joined by `/`, such as `jobs/000000000000002a`. Ordered by its bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Parses a key.
    ///
    /// # Errors
    /// [`Error::BadKey`] if it is empty or longer than 512 bytes, has an empty segment or a control character.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let fits = text.len() <= MAX_KEY_BYTES;
        if fits && text.split('/').all(|segment| !segment.is_empty()) && !text.contains(char::is_control) {
            Ok(Self(text))
        } else {
            Err(Error::BadKey { text: excerpt(&text) })
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lets ordered maps be searched by text; a key orders as its text does.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The leading segments of keys, ending in `/`, or nothing for all keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix(String);

impl Prefix {
    /// Every key.
    pub fn all() -> Self {
        Self(String::new())
    }

    /// Parses a prefix such as `jobs/`.
    ///
    /// # Errors
    /// [`Error::BadKey`] if it does not end in `/` or what is before it is no key.
    pub fn new(text: &str) -> Result<Self, Error> {
        let folder = text.strip_suffix('/').ok_or_else(|| Error::BadKey { text: excerpt(text) })?;
        Key::new(folder)?;
        Ok(Self(text.to_owned()))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `key` lies under it.
    pub fn contains(&self, key: &Key) -> bool {
        key.as_str().starts_with(&self.0)
    }
}

/// The first characters of text that is no key, safe to print.
fn excerpt(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clean_paths_are_keys() {
        for good in ["a", "jobs/1", "jobs/1/tasks/0", "jobs/\u{e4}"] {
            assert_eq!(Key::new(good).expect(good).as_str(), good);
        }
        let long = "k".repeat(MAX_KEY_BYTES + 1);
        for bad in ["", "/", "a/", "/a", "a//b", "a\0b", "a\nb", long.as_str()] {
            assert!(Key::new(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let prefix = Prefix::new("jobs/").expect("well formed");
        assert!(prefix.contains(&Key::new("jobs/1").expect("well formed")));
        assert!(!prefix.contains(&Key::new("jobs2/1").expect("well formed")));
        assert!(Prefix::all().contains(&Key::new("x").expect("well formed")));
        for bad in ["", "jobs", "/", "a//"] {
            assert!(Prefix::new(bad).is_err(), "{bad:?} must be refused");
        }
    }
}
