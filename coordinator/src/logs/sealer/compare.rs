//! Whether a segment has what the plain files have.

use std::collections::{BTreeMap, BTreeSet};

use crc32fast::Hasher;
use dockmgr_archive::{Frame, Segment};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{End, Entry, Offsets, Stream};
use dockmgr_support::error_chain::Chain;

use super::super::plain::PlainOutput;
use super::super::sealed::Stored;
use crate::logs::Error;

/// What two sequences of entries have in common if they hold the same bytes at the same times, however these are cut into
/// records.
#[derive(Debug, Default)]
struct Sum {
    stdout: Hasher,
    stderr: Hasher,
    offsets: Offsets,
    times: u64,
    end: Option<End>,
    /// Whether anything did not follow what came before it.
    torn: bool,
}

impl Sum {
    fn add(&mut self, entry: &Entry) {
        match entry {
            Entry::Data(record) => {
                self.torn |= record.offset != self.offsets.of(record.stream) || self.end.is_some();
                match record.stream {
                    Stream::Stdout => self.stdout.update(&record.bytes),
                    Stream::Stderr => self.stderr.update(&record.bytes),
                }
                let time = record.time.0.cast_unsigned().wrapping_mul(record.bytes.len() as u64);
                self.times = self.times.wrapping_add(time);
                self.offsets.set(record.stream, record.end().unwrap_or(u64::MAX));
            }
            Entry::End(end) => {
                self.torn |= self.end.is_some();
                self.end = Some(end.clone());
            }
        }
    }

    fn finish(self) -> Option<Total> {
        let Self { stdout, stderr, offsets, times, end, torn } = self;
        end.filter(|_| !torn).map(|end| (stdout.finalize(), stderr.finalize(), offsets, times, end))
    }
}

/// Checksums of both streams, where they end, a sum of the times, and the end.
type Total = (u32, u32, Offsets, u64, End);

/// What a segment has of each of `attempts`; `None` for one that is not whole. Reads each of their frames once. Blocks.
pub(super) fn totals(
    segment: &Segment<Stored>,
    attempts: &BTreeSet<AttemptId>,
) -> Result<BTreeMap<AttemptId, Option<Total>>, dockmgr_archive::Error> {
    let mut sums = BTreeMap::<AttemptId, Sum>::new();
    for (at, entry) in segment.frames().iter().enumerate() {
        if entry.sections.iter().any(|section| attempts.contains(&section.attempt)) {
            for (attempt, entry) in segment.frame(at)?.entries() {
                if attempts.contains(&attempt) {
                    sums.entry(attempt).or_default().add(&entry);
                }
            }
        }
    }
    Ok(sums.into_iter().map(|(attempt, sum)| (attempt, sum.finish())).collect())
}

/// Compares attempts of a segment with their plain files.
pub(super) struct Comparison<'s> {
    segment: &'s Segment<Stored>,
    /// The frame that was read last: neighbours share it.
    last: Option<(usize, Frame)>,
}

impl<'s> Comparison<'s> {
    pub(super) fn with(segment: &'s Segment<Stored>) -> Self {
        Self { segment, last: None }
    }

    /// Whether the segment has all output of `attempt` that is in `plain`, byte for byte. Reads both. Blocks.
    pub(super) fn is_same(&mut self, attempt: AttemptId, mut plain: PlainOutput) -> Result<bool, Error> {
        let (mut kept, mut sealed) = (Sum::default(), Sum::default());
        while let Some(entry) = plain.next_entry()? {
            kept.add(&entry);
        }
        for at in self.segment.frames_of(attempt) {
            let frame = match self.last.take() {
                Some((of, frame)) if of == at => frame,
                Some(_) | None => match self.segment.frame(at) {
                    Ok(frame) => frame,
                    Err(error) if error.is_retryable() => return Err(Error::Segment(error)),
                    Err(error) => {
                        tracing::error!(%attempt, error = %Chain(&error), "sealed output is damaged");
                        return Ok(false);
                    }
                },
            };
            frame.entries_of(attempt).for_each(|entry| sealed.add(&entry));
            self.last = Some((at, frame));
        }
        let (kept, sealed) = (kept.finish(), sealed.finish());
        Ok(kept.is_some() && kept == sealed)
    }
}
