//! What an exporter shows to a server: read from a file or the environment, never printed.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// The value of an `Authorization` header. Has no way to print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization(HeaderValue);

impl Authorization {
    /// Reads it from a file that only its owner may read.
    ///
    /// # Errors
    /// In words; the content is never part of them.
    pub(super) fn from_file(path: &str) -> Result<Self, String> {
        let path = Path::new(path);
        let failed = |error: std::io::Error| format!("read '{}': {error}", path.display());
        let about = fs::metadata(path).map_err(failed)?;
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "'{}' can be read by other users (mode {mode:03o}): chmod 600 it",
                path.display()
            ));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        Self::parse(text.trim())
            .ok_or_else(|| format!("'{}' holds no USER:PASSWORD or SCHEME TOKEN", path.display()))
    }

    /// Reads it from a variable of the environment.
    ///
    /// # Errors
    /// In words; the content is never part of them.
    pub(super) fn from_variable(name: &str) -> Result<Self, String> {
        let text = std::env::var(name).map_err(|_| format!("the variable {name} is not set"))?;
        Self::parse(text.trim())
            .ok_or_else(|| format!("the variable {name} holds no USER:PASSWORD or SCHEME TOKEN"))
    }

    /// `USER:PASSWORD`, or a scheme and a token such as `Bearer x` and `ApiKey x`.
    fn parse(text: &str) -> Option<Self> {
        if text.contains(char::is_control) {
            return None;
        }
        let is_scheme = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
        let value = match (text.split_once(' '), text.split_once(':')) {
            (Some((scheme, token)), _) if is_scheme(scheme) && !token.is_empty() => text.to_owned(),
            (_, Some((user, _))) if !user.is_empty() => format!("Basic {}", STANDARD.encode(text)),
            (_, _) => return None,
        };
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// The value, for the one header it goes into.
    pub(super) fn expose(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_say_it_make_a_header_and_neither_is_printed() {
        for (text, value) in
            [("me:a b", "Basic bWU6YSBi"), ("Bearer x.y", "Bearer x.y"), ("ApiKey Zm9v", "ApiKey Zm9v")]
        {
            let read = Authorization::parse(text).expect(text);
            assert_eq!(read.expose().to_str().ok(), Some(value));
            assert_eq!(format!("{read:?} {:?}", read.expose()), "Authorization(..) Sensitive");
        }
        for bad in ["", "x", ":x", " x", "Bearer ", "a\nb:c"] {
            assert_eq!(Authorization::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("temp folder");
        let path = folder.path().join("auth");
        fs::write(&path, "me:secret\n").expect("write");
        let text = path.to_str().expect("a plain path");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let error = Authorization::from_file(text).expect_err("refused");
        assert!(error.contains("chmod") && !error.contains("secret"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        assert!(Authorization::from_file(text).is_ok());
    }
}
