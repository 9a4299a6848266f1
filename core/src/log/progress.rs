//! The order rule: given what is held, is an arriving entry new, known, too early or impossible.
//!
//! ```text
//!   open --Data at the held offset--> open      (held offset moves)
//!   open --End at exactly the held offsets--> ended (nothing moves any more)
//! ```
//!
//! The same rule serves the spool (a capture that re-reads Docker's log from 0), the store (a worker that sends again)
//! and a reader (a resume in the middle of a record).

use super::{End, Entry, Offsets};

/// How far one attempt's log has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Next expected offset of each stream.
    pub offsets: Offsets,
    /// The end, once it is held.
    pub end: Option<End>,
}

/// What to do with an arriving entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accept {
    /// New: append this, which may be only the later part of what arrived.
    Append(Entry),
    /// Already held; drop it.
    Duplicate,
    /// Earlier bytes are missing; the sender must go on from here.
    Missing(Offsets),
    /// It contradicts what is held and can never be appended.
    Conflict(Conflict),
}

/// Why an entry can never be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Bytes behind the end.
    #[error("bytes beyond the end of the log")]
    BeyondEnd,
    /// An end that lies before bytes already held.
    #[error("end of the log before bytes that are already held")]
    EndTooEarly,
    /// An offset that does not fit.
    #[error("offset out of range")]
    BadRange,
}

impl Progress {
    /// Progress from which a reader that has everything before `offsets` goes on.
    pub fn at(offsets: Offsets) -> Self {
        Self { offsets, end: None }
    }

    /// Judges `entry`; changes nothing.
    pub fn accept(&self, entry: Entry) -> Accept {
        match entry {
            Entry::Data(record) => {
                let seen = self.offsets.of(record.stream);
                match self.judge(record.offset, record.end(), seen) {
                    Some(other) => other,
                    None => Accept::Append(Entry::Data(record.trimmed_to(seen))),
                }
            }
            Entry::End(end) => self.accept_end(end),
        }
    }

    /// Takes note of an entry that [`Progress::accept`] said to append.
    pub fn advance(&mut self, entry: &Entry) {
        match entry {
            Entry::Data(record) => self.offsets.set(record.stream, record.end().unwrap_or(u64::MAX)),
            Entry::End(end) => self.end = Some(end.clone()),
        }
    }

    /// Whether the end is held.
    pub fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Anything but "append" for the range `from..to` of a stream held up to `seen`.
    fn judge(&self, from: u64, to: Option<u64>, seen: u64) -> Option<Accept> {
        let Some(to) = to else {
            return Some(Accept::Conflict(Conflict::BadRange));
        };
        if from > seen {
            // A range behind the end is not early, it is wrong: nothing will ever fill the space between.
            return Some(match self.end {
                Some(_) => Accept::Conflict(Conflict::BeyondEnd),
                None => Accept::Missing(self.offsets),
            });
        }
        if to <= seen {
            return Some(Accept::Duplicate);
        }
        self.end.as_ref().map(|_| Accept::Conflict(Conflict::BeyondEnd))
    }

    fn accept_end(&self, end: End) -> Accept {
        if self.end.is_some() {
            // The first end stored is the end; a second one is a repeat by a worker that did not hear the answer.
            return Accept::Duplicate;
        }
        if !self.offsets.all_at_most(end.offsets) {
            return Accept::Conflict(Conflict::EndTooEarly);
        }
        if self.offsets != end.offsets {
            return Accept::Missing(self.offsets);
        }
        Accept::Append(Entry::End(end))
    }
}

#[cfg(test)]
mod tests;
