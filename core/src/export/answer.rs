//! What an answer of a server means for the documents that were sent.

use std::time::Duration;

/// Most bytes of a server's words that are kept.
const MAX_WORDS: usize = 512;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A word on each document, in the order they were sent.
    Each(Vec<Verdict>),
    /// All of them were taken.
    Taken,
    /// None can be taken now: the server is away, overloaded, or does not know us (yet).
    Later {
        /// What it said.
        why: String,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
    /// The request as a whole was refused for good: at least one document of it is why.
    Refused {
        /// What it said.
        why: String,
    },
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server has it, perhaps from an earlier try.
    Delivered,
    /// The server could not take it now.
    Again,
    /// The server will never take it; why.
    Dead(String),
}

impl Answer {
    /// A request that got no answer: the server is away, or was cut off in the middle.
    pub fn none(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }
}

/// What an HTTP status alone says; `None` for success, where the body may say more.
///
/// Only what is about the content is final. A wrong password or a missing index is a matter of settings, and settings are
/// mended: nothing may be lost meanwhile.
pub fn by_status(status: u16, after: Option<Duration>, body: &[u8]) -> Option<Answer> {
    let why = || format!("status {status}: {}", words(body));
    match status {
        200..=299 => None,
        400 | 413 | 415 | 422 => Some(Answer::Refused { why: why() }),
        _ => Some(Answer::Later { why: why(), after }),
    }
}

/// The first words of a server's answer, safe to keep and to log.
pub(super) fn words(body: &[u8]) -> String {
    let short = &body[..body.len().min(MAX_WORDS)];
    String::from_utf8_lossy(short).trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_content_is_refused_for_good() {
        for status in [200, 201, 204] {
            assert_eq!(by_status(status, None, b""), None);
        }
        for status in [400, 413, 422] {
            assert!(matches!(by_status(status, None, b"x"), Some(Answer::Refused { .. })), "{status}");
        }
        let after = Some(Duration::from_secs(7));
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503, 504] {
            let answer = by_status(status, after, b"wait\x1b[2J");
            let expected = Answer::Later { why: format!("status {status}: wait [2J"), after };
            assert_eq!(answer, Some(expected), "{status}");
        }
    }
}
