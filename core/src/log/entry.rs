//! One entry of an attempt's log, in the order the log keeps them.

use super::{End, Record};

/// What a log is a sequence of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Output.
    Data(Record),
    /// Nothing follows.
    End(End),
}

impl Entry {
    /// Bytes of output it carries.
    pub fn payload_len(&self) -> usize {
        match self {
            Self::Data(record) => record.bytes.len(),
            Self::End(_) => 0,
        }
    }
}

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        Self::Data(record)
    }
}

impl From<End> for Entry {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}
