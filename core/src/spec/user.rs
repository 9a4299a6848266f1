//! The user a command runs as inside its container.

use super::error::{Error, Excerpt};

/// Largest user or group number: runc refuses larger ones.
const MAX_ID: u32 = i32::MAX.unsigned_abs();

/// Checks `name|uid[:group|gid]`.
pub(super) fn parse(text: &str) -> Result<String, Error> {
    let bad = |rule| Err(Error::User(Excerpt::of(text), rule));
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    for part in [Some(user), group].into_iter().flatten() {
        if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
            if part.parse::<u32>().map_or(true, |id| id > MAX_ID) {
                return bad("numbers are 0 to 2147483647");
            }
        } else if !is_account_name(part) {
            return bad("it is NAME or UID, optionally with ':GROUP' or ':GID'");
        }
    }
    Ok(text.to_owned())
}

/// Whether `text` has the form that `useradd` accepts, in either case and with dots.
fn is_account_name(text: &str) -> bool {
    let body = text.strip_suffix('$').unwrap_or(text);
    text.len() <= 32
        && body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}
