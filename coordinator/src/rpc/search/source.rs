//! Where the records of an attempt come from: the seam between searching and keeping.
//!
//! A store of sealed segments is asked here, too, and skips what [`dockmgr_core::search::Query::needs`] and the times rule
//! out; what it skips it must count, because hits have line numbers.

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{Entry, Offsets, Record, Stream};

use crate::logs::{self, LogReader, LogStore};

/// The records of one attempt from some place on, as many as there are by now.
#[derive(Debug)]
pub(super) struct Records {
    reader: LogReader,
}

impl Records {
    /// All of an attempt. One without output has no records.
    pub(super) async fn all(store: &LogStore, attempt: AttemptId) -> Result<Self, logs::Error> {
        Ok(Self { reader: store.reader(attempt, Offsets::default()).await? })
    }

    /// Those of one stream from an offset on; the first may be the later part of one.
    pub(super) async fn of_stream(
        store: &LogStore,
        attempt: AttemptId,
        stream: Stream,
        from: u64,
    ) -> Result<Self, logs::Error> {
        let mut offsets = Offsets { stdout: u64::MAX, stderr: u64::MAX };
        offsets.set(stream, from);
        Ok(Self { reader: store.reader(attempt, offsets).await? })
    }

    /// The next records, about a quarter of a MiB; none at the end of what is there. Blocks.
    pub(super) fn next(&mut self) -> Result<Vec<Record>, logs::Error> {
        loop {
            let entries = self.reader.read_blocking()?;
            let is_end = entries.is_empty();
            let records: Vec<Record> = entries.into_iter().filter_map(record).collect();
            if is_end || !records.is_empty() {
                return Ok(records);
            }
        }
    }
}

fn record(entry: Entry) -> Option<Record> {
    match entry {
        Entry::Data(record) => Some(record),
        Entry::End(_) => None,
    }
}
