//! API tokens: read from files, compared in constant time, never printed.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Longest token file that is read: a token is one short line.
const MAX_FILE_BYTES: u64 = 4096;
/// Shortest token that is taken: anything shorter can be guessed.
const MIN_TOKEN_BYTES: usize = 16;

/// A bearer token. Has no way to print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken(String);

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("read token file '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a plain file.
    #[error("token file '{}' is not a plain file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner may read it.
    #[error("token file '{}' can be read by other users (mode {mode:03o}): chmod 600 it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its content is no token.
    #[error("token file '{}' holds no token: one line of {MIN_TOKEN_BYTES} to 1024 printable characters", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl ApiToken {
    /// Reads a token from a file that only its owner may read.
    ///
    /// # Errors
    /// See [`Error`]; the content is never part of it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let kind = std::fs::metadata(path).map_err(failed)?;
        if !kind.is_file() {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
        Self::parse(text.trim()).ok_or_else(|| Error::Malformed { path: path.to_owned() })
    }

    /// Takes a token from text; `None` unless it is 16 to 1024 printable ASCII characters without spaces.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (MIN_TOKEN_BYTES..=1024).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// Whether `given` is this token; takes the same time wherever they differ.
    pub fn matches(&self, given: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), given.as_bytes());
        let same_length = ours.len() == theirs.len();
        let differing = ours
            .iter()
            .enumerate()
            .fold(0u8, |sum, (at, b)| sum | (b ^ theirs.get(at).copied().unwrap_or(0)));
        same_length && differing == 0
    }

    /// The token itself, for the one header it goes into.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(..)")
    }
}

/// Whether a private key file can be read by others than its owner's group; `None` if it cannot be looked at.
pub fn is_world_readable(path: &Path) -> Option<bool> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(metadata.mode() & 0o007 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_read_without_its_newline_and_never_printed() {
        let dir = tempfile::tempdir().expect("temp folder");
        let path = dir.path().join("token");
        fs::write(&path, "0123456789abcdef0123\n").expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        let token = ApiToken::read(&path).expect("readable");
        assert!(token.matches("0123456789abcdef0123"));
        for wrong in ["", "0123456789abcdef012", "0123456789abcdef01234", "1123456789abcdef0123"] {
            assert!(!token.matches(wrong), "{wrong} must not match");
        }
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn exposed_and_malformed_token_files_are_refused() {
        let dir = tempfile::tempdir().expect("temp folder");
        let path = dir.path().join("token");
        fs::write(&path, "0123456789abcdef0123").expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(ApiToken::read(&path), Err(Error::Exposed { mode: 0o644, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        for bad in ["", "short", "0123456789 abcdef", "\u{7f}0123456789abcdef"] {
            fs::write(&path, bad).expect("write");
            assert!(matches!(ApiToken::read(&path), Err(Error::Malformed { .. })), "{bad:?}");
        }
        assert!(matches!(ApiToken::read(dir.path()), Err(Error::NotAFile { .. })));
        assert!(matches!(ApiToken::read(Path::new("/dev/zero")), Err(Error::NotAFile { .. })));
    }
}
