//! Page tokens: opaque to clients, bound to the question they answer, refused when forged or used with another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::Status;

use super::status;

/// Entries of a page when the client does not say.
const DEFAULT_SIZE: usize = 50;
/// Most entries of a page.
const MAX_SIZE: usize = 1000;

/// How many entries a page may have: 0 means 50, more than 1000 means 1000.
pub(super) fn size(asked: i32) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Err(_) => Err(status::invalid_field("page_size", "must not be negative")),
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(MAX_SIZE)),
    }
}

/// A token for the entries after `after`, bound to `question`.
pub(super) fn token(question: &str, after: u64) -> String {
    URL_SAFE_NO_PAD.encode([&after.to_be_bytes()[..], &binding(question).to_be_bytes()].concat())
}

/// Where a token says to go on; `None` for an empty one.
pub(super) fn after(question: &str, token: &str) -> Result<Option<u64>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let refuse =
        || status::invalid_field("page_token", "not a token of this list: begin again with an empty one");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refuse())?;
    let (after, bound) = bytes.split_first_chunk::<8>().ok_or_else(refuse)?;
    if *bound != binding(question).to_be_bytes() {
        return Err(refuse());
    }
    Ok(Some(u64::from_be_bytes(*after)))
}

fn binding(question: &str) -> u32 {
    crc32fast::hash(question.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_for_its_own_question_only() {
        let token = token("filter a", 42);
        assert_eq!(after("filter a", &token).expect("ours"), Some(42));
        assert_eq!(after("filter a", "").expect("empty"), None);
        for (question, forged) in
            [("filter b", token.as_str()), ("filter a", "x"), ("filter a", "AAAA"), ("filter a", "%%%")]
        {
            assert!(after(question, forged).is_err(), "{question} {forged}");
        }
    }

    #[test]
    fn page_sizes_are_bounded() {
        assert_eq!(size(0).expect("default"), 50);
        assert_eq!(size(i32::MAX).expect("cut"), 1000);
        assert!(size(-1).is_err());
    }
}
