//! Where a hit stands among all lines, and the page token that names it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Stream;
use dockmgr_core::time::WallTime;
use tonic::Status;

use crate::rpc::status;

/// Bytes of a token before they become text: the fields and a checksum.
const TOKEN_LEN: usize = 8 + 8 + 4 + 4 + 1 + 8 + 4;

/// The place of a line, which no other line has; earlier places are smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) time: WallTime,
    pub(super) attempt: AttemptId,
    pub(super) stream: Stream,
    pub(super) offset: u64,
}

/// The order of hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    NewestFirst,
    OldestFirst,
}

impl Order {
    /// Whether `place` comes behind `other`.
    pub(super) fn is_behind(self, place: Place, other: Place) -> bool {
        match self {
            Self::NewestFirst => place < other,
            Self::OldestFirst => place > other,
        }
    }
}

/// A token for what comes behind `place`, bound to `question`.
pub(super) fn to_token(question: &str, place: Place) -> String {
    let Place { time, attempt, stream, offset } = place;
    let mut bytes = Vec::with_capacity(TOKEN_LEN);
    bytes.extend(time.0.to_be_bytes());
    bytes.extend(attempt.job().get().to_be_bytes());
    bytes.extend(attempt.task.index.0.to_be_bytes());
    bytes.extend(attempt.number.0.to_be_bytes());
    bytes.push(match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    });
    bytes.extend(offset.to_be_bytes());
    bytes.extend(binding(question, &bytes).to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place a token names; `None` for an empty one.
pub(super) fn from_token(question: &str, token: &str) -> Result<Option<Place>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let refuse =
        || status::invalid_field("page_token", "not a token of this search: begin again with an empty one");
    read(question, token).map(Some).ok_or_else(refuse)
}

fn read(question: &str, token: &str) -> Option<Place> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == TOKEN_LEN)?;
    let (fields, bound) = bytes.split_last_chunk::<4>()?;
    if *bound != binding(question, fields).to_be_bytes() {
        return None;
    }
    let (time, rest) = fields.split_first_chunk::<8>()?;
    let (job, rest) = rest.split_first_chunk::<8>()?;
    let (index, rest) = rest.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<4>()?;
    let (stream, offset) = rest.split_first_chunk::<1>()?;
    let (job, index) = (u64::from_be_bytes(*job), u32::from_be_bytes(*index));
    Some(Place {
        time: WallTime(i64::from_be_bytes(*time)),
        attempt: AttemptId::from_parts(job, index, u32::from_be_bytes(*number))?,
        stream: match stream {
            [1] => Stream::Stdout,
            [2] => Stream::Stderr,
            _ => return None,
        },
        offset: u64::from_be_bytes(*offset.first_chunk::<8>()?),
    })
}

fn binding(question: &str, fields: &[u8]) -> u32 {
    crc32fast::hash(&[question.as_bytes(), fields].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_place_for_its_own_question_only() {
        let place = Place {
            time: WallTime(-5),
            attempt: AttemptId::from_parts(7, 3, 2).expect("valid"),
            stream: Stream::Stderr,
            offset: u64::MAX,
        };
        let token = to_token("a", place);
        assert_eq!(from_token("a", &token).expect("ours"), Some(place));
        assert_eq!(from_token("a", "").expect("empty"), None);
        let mut forged = URL_SAFE_NO_PAD.decode(&token).expect("ours");
        forged[3] ^= 1;
        let forged = URL_SAFE_NO_PAD.encode(forged);
        for (question, wrong) in
            [("b", token.as_str()), ("a", &forged), ("a", "AAAA"), ("a", "%"), ("a", &token[1..])]
        {
            assert!(from_token(question, wrong).is_err(), "{question} {wrong}");
        }
    }
}
