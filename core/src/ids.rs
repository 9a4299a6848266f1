//! Identities: what a job, a task, an attempt, a node and a leader are called.
//!
//! Owns parsing and printing of ids and nothing else. Every other module and crate uses these newtypes instead of bare
//! numbers, so that a task index can never be passed where an attempt number is meant.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use uuid::Uuid;

/// Why a piece of text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not a job number, `JOB.TASK` or `JOB.TASK.ATTEMPT`.
    #[error("'{0}' is not an id: expected JOB, JOB.TASK or JOB.TASK.ATTEMPT, each a number")]
    Malformed(String),
}

/// Number of a job, unique in the cluster and growing; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(NonZeroU64);

impl JobId {
    /// The first job of every cluster, and the smallest id.
    pub const FIRST: Self = Self(NonZeroU64::MIN);
    /// Larger than the id of any job there will be.
    pub(crate) const MAX: Self = Self(NonZeroU64::MAX);

    /// Makes a job id; `None` for 0, which no job has.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number as a person types it.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse::<u64>().ok() } else { None };
        number.and_then(Self::new).ok_or_else(|| Error::Malformed(excerpt(text)))
    }
}

/// Index of a task in its job: 0 for a plain job, the array index for an array job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TaskIndex(pub u32);

impl fmt::Display for TaskIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of an attempt of a task, from 1; the fencing number of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptNumber(pub u32);

impl AttemptNumber {
    /// The first attempt of every task.
    pub const FIRST: Self = Self(1);

    /// The number of the attempt after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One task of one job, printed `42.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The job it belongs to.
    pub job: JobId,
    /// Its index in that job.
    pub index: TaskIndex,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.index)
    }
}

/// One attempt of one task, printed `42.7.2`; at most one container ever runs for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The task it runs.
    pub task: TaskId,
    /// Its number among that task's attempts.
    pub number: AttemptNumber,
}

impl AttemptId {
    /// Puts an id together from plain numbers; `None` if the job or the attempt number is 0.
    pub fn from_parts(job: u64, index: u32, number: u32) -> Option<Self> {
        let job = JobId::new(job)?;
        (number > 0)
            .then_some(Self { task: TaskId { job, index: TaskIndex(index) }, number: AttemptNumber(number) })
    }

    /// The job this attempt belongs to.
    pub fn job(self) -> JobId {
        self.task.job
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.task, self.number)
    }
}

impl FromStr for AttemptId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = || Error::Malformed(excerpt(text));
        let mut parts = text.split('.');
        let (Some(job), Some(index), Some(number), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        let job: JobId = job.parse().map_err(|_| malformed())?;
        let index = digits(index).ok_or_else(malformed)?;
        let number = digits(number).ok_or_else(malformed)?;
        Self::from_parts(job.get(), index, number).ok_or_else(malformed)
    }
}

/// Reads a plain decimal number without sign or spaces.
fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The first characters of hostile or long input, for an error message.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut short: String = text.chars().take(SHOWN).flat_map(char::escape_default).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push_str("...");
    }
    short
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Uuid::try_parse(text).map(Self).map_err(|_| Error::Malformed(excerpt(text)))
            }
        }
    };
}

uuid_id! {
    /// Identity of a cluster, made once by the first coordinator; labels every Docker object.
    ClusterId
}
uuid_id! {
    /// Identity of a node: made by a worker at its first start and kept in its data folder, so it survives restarts.
    NodeId
}
uuid_id! {
    /// Identity of one start of a worker process; a newer one takes the node id over from an older one.
    Incarnation
}
uuid_id! {
    /// `UUIDv7` of a job; unlike its number it is unique over all clusters.
    JobUid
}
uuid_id! {
    /// Idempotency key of a mutating call, made by the client.
    RequestId
}

/// Fencing number of the leader: etcd's create-revision of the leader key, or a counter bumped at each open of the
/// embedded store. Larger is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_id_prints_as_it_parses() {
        let id: AttemptId = "42.7.2".parse().expect("well formed");
        assert_eq!(id.to_string(), "42.7.2");
        assert_eq!(id.task.to_string(), "42.7");
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for bad in ["", "0", "-1", "+1", " 1", "1 ", "x", "1.2", "18446744073709551616", "\u{661}"] {
            assert!(bad.parse::<AttemptId>().is_err(), "{bad:?} must not parse as an attempt");
        }
        for bad in ["", "0", "-1", "+1", " 1", "1.0", "99999999999999999999"] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?} must not parse as a job");
        }
        for bad in ["0.0.1", "1.0.0", "1.0.1.1", "1..1", "1.4294967296.1"] {
            assert!(bad.parse::<AttemptId>().is_err(), "{bad:?} must not parse as an attempt");
        }
    }
}
