//! Who leads, as the leader key says it.
//!
//! The key's value is `NAME ADDRESS`. A value of another shape is a leader whose address is not known: it is shown, and
//! nobody can be sent to it.

use std::sync::Arc;

use dockmgr_core::ids::Epoch;

/// Longest part of a foreign value that is kept: an address is a host name and a port.
const MAX_CHARS: usize = 300;

/// Who campaigns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Name for people, without blanks.
    pub name: String,
    /// URL under which the other coordinators reach its API; empty where there are none.
    pub address: String,
}

/// The leader of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its fencing number.
    pub epoch: Epoch,
    /// The name it campaigned with.
    pub name: String,
    /// URL of its API; `None` if it gave none.
    pub address: Option<String>,
}

/// What a candidate sees of the election.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Who leads; `None` while nobody does.
    pub leader: Option<Leader>,
    /// Why the last try to stand for election failed, for people; `None` if it did not fail.
    pub trouble: Option<Arc<str>>,
}

impl Candidate {
    /// The value of the leader key.
    pub(super) fn value(&self) -> String {
        format!("{} {}", self.name, self.address)
    }
}

impl Leader {
    /// Reads the value of the leader key.
    pub(super) fn parse(epoch: Epoch, value: &[u8]) -> Self {
        let text: String = String::from_utf8_lossy(value).chars().take(MAX_CHARS).collect();
        let (name, address) = text.split_once(' ').unwrap_or((&text, ""));
        let address = (!address.is_empty()).then(|| address.to_owned());
        Self { epoch, name: name.to_owned(), address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_candidate_writes_is_what_the_others_read() {
        let candidate =
            Candidate { name: "coordinator-7".to_owned(), address: "http://10.0.0.1:7443".to_owned() };
        let leader = Leader::parse(Epoch(3), candidate.value().as_bytes());
        assert_eq!(
            (leader.name.as_str(), leader.address.as_deref()),
            ("coordinator-7", Some("http://10.0.0.1:7443"))
        );
    }

    #[test]
    fn a_foreign_value_is_a_leader_without_an_address() {
        for value in [&b""[..], b"old-program", b"\xff\xfe", &[b'x'; 5000]] {
            let leader = Leader::parse(Epoch(3), value);
            assert!(leader.address.is_none() && leader.name.chars().count() <= MAX_CHARS, "{leader:?}");
        }
    }
}
