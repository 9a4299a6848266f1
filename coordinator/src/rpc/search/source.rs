//! Where the records of an attempt come from when they are read one after the other, from plain files or a segment.

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{Entry, Offsets, Record, Stream};

use crate::logs::{self, LogReader, LogStore};

/// The records of one attempt from some place on, as many as there are by now.
#[derive(Debug)]
pub(super) struct Records {
    reader: LogReader,
    /// Where they end for whoever reads.
    to: Offsets,
}

impl Records {
    /// All of an attempt. One without output has no records.
    pub(super) async fn all(store: &LogStore, attempt: AttemptId) -> Result<Self, logs::Error> {
        let all = (Offsets::default(), Offsets { stdout: u64::MAX, stderr: u64::MAX });
        Self::between(store, attempt, all).await
    }

    /// Those between two places.
    pub(super) async fn between(
        store: &LogStore,
        attempt: AttemptId,
        (from, to): (Offsets, Offsets),
    ) -> Result<Self, logs::Error> {
        Ok(Self { reader: store.reader(attempt, from).await?, to })
    }

    /// Those of one stream from an offset on; the first may be the later part of one.
    pub(super) async fn of_stream(
        store: &LogStore,
        attempt: AttemptId,
        stream: Stream,
        from: u64,
    ) -> Result<Self, logs::Error> {
        let nothing = Offsets { stdout: u64::MAX, stderr: u64::MAX };
        let mut offsets = nothing;
        offsets.set(stream, from);
        Self::between(store, attempt, (offsets, nothing)).await
    }

    /// The next records, about a quarter of a MiB; none at the end of what is there. Blocks.
    pub(super) fn next(&mut self) -> Result<Vec<Record>, logs::Error> {
        loop {
            if self.to.all_at_most(self.reader.progress().offsets) {
                return Ok(Vec::new());
            }
            let entries = self.reader.read_blocking()?;
            let is_end = entries.is_empty();
            let records: Vec<Record> = entries.into_iter().filter_map(|entry| self.wanted(entry)).collect();
            if is_end || !records.is_empty() {
                return Ok(records);
            }
        }
    }

    fn wanted(&self, entry: Entry) -> Option<Record> {
        match entry {
            Entry::Data(mut record) => {
                let room = self.to.of(record.stream).saturating_sub(record.offset);
                record.bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
                (!record.bytes.is_empty()).then_some(record)
            }
            Entry::End(_) => None,
        }
    }
}
