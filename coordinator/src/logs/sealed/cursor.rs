//! A reader's place in the sealed output of one attempt.
//!
//! The place is the offsets alone: a segment that is merged into another one meanwhile changes nothing.

use std::collections::VecDeque;

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{Accept, Entry, LastLines, Offsets, Progress, Stream};

use super::catalogue::Number;
use super::{Error, Sealed};

/// Most bytes given out at once.
const GIVEN: usize = 256 * 1024;

/// Gives everything at and behind the offsets it began with; `u64::MAX` for a stream means nothing of it.
#[derive(Debug)]
pub(in crate::logs) struct SealedCursor {
    attempt: AttemptId,
    progress: Progress,
    ready: VecDeque<Entry>,
    /// The frame that was taken last.
    taken: Option<Place>,
    /// Whether no frame is left.
    dry: bool,
}

/// A frame of a segment.
type Place = (Number, usize);

/// What a frame has of an attempt.
#[derive(Debug)]
pub(in crate::logs) struct Taken {
    place: Place,
    entries: Vec<Entry>,
}

impl SealedCursor {
    pub(in crate::logs) fn new(attempt: AttemptId, from: Offsets) -> Self {
        let progress = Progress::at(from);
        Self { attempt, progress, ready: VecDeque::new(), taken: None, dry: false }
    }

    /// What has been given out.
    pub(in crate::logs) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether a frame is to be fetched before anything can be given.
    pub(in crate::logs) fn is_hungry(&self) -> bool {
        self.ready.is_empty() && !self.dry && !self.progress.is_ended()
    }

    /// Whether everything was given.
    pub(in crate::logs) fn is_done(&self) -> bool {
        self.ready.is_empty() && (self.dry || self.progress.is_ended())
    }

    /// What [`SealedCursor::feed`] wants next. Blocks when it is called; the place stays where it is.
    pub(in crate::logs) fn fetch(
        &self,
    ) -> impl FnOnce(&Sealed) -> Result<Option<Taken>, Error> + Send + use<> {
        let (attempt, from, taken) = (self.attempt, self.progress.offsets, self.taken);
        move |sealed| sealed.take(attempt, from, taken)
    }

    /// Takes what was fetched.
    pub(in crate::logs) fn feed(&mut self, taken: Option<Taken>) {
        match taken {
            Some(taken) => {
                self.taken = Some(taken.place);
                self.ready.extend(taken.entries);
            }
            None => self.dry = true,
        }
    }

    /// The next entries of what was fed, about a quarter of a MiB at most.
    pub(in crate::logs) fn give(&mut self) -> Result<Vec<Entry>, Error> {
        let mut given = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.ready.front() {
            if bytes > 0 && bytes + next.payload_len() > GIVEN {
                break;
            }
            bytes += next.payload_len();
            let Some(entry) = self.ready.pop_front() else { break };
            if let Entry::End(end) = &entry {
                // A reader of one stream, or with a token from beyond the end, hears of the end all the same.
                self.progress.end = Some(end.clone());
                given.push(entry);
                continue;
            }
            match self.progress.accept(entry) {
                Accept::Append(entry) => {
                    self.progress.advance(&entry);
                    given.push(entry);
                }
                Accept::Duplicate => {}
                Accept::Missing(_) | Accept::Conflict(_) => return Err(Error::Incomplete(self.attempt)),
            }
        }
        Ok(given)
    }
}

impl Sealed {
    /// What the first frame behind `taken` that has something at or behind `from` has of `attempt`.
    fn take(&self, attempt: AttemptId, from: Offsets, taken: Option<Place>) -> Result<Option<Taken>, Error> {
        let found = self.find(attempt, |segment, number| {
            let behind = taken.filter(|taken| taken.0 == number).map(|taken| taken.1);
            let wanted = segment.frames_of(attempt).find(|at| {
                let mut sections = segment.frames()[*at].sections.iter();
                behind.is_none_or(|behind| *at > behind)
                    && sections.any(|section| {
                        let more = |stream: Stream| section.to.of(stream) > from.of(stream);
                        section.attempt == attempt
                            && (section.end.is_some() || Stream::ALL.into_iter().any(more))
                    })
            });
            let Some(at) = wanted else { return Ok(None) };
            let frame = self.frame(number, segment, at)?;
            Ok(Some(Taken { place: (number, at), entries: frame.entries_of(attempt).collect() }))
        })?;
        match found {
            Some(taken) => Ok(taken),
            None if self.is_deleted(attempt.job()) => Err(Error::Deleted),
            // Its segment does not hold what it should, and the plain files are still there.
            None => Err(Error::NotLoaded),
        }
    }

    /// Where the last `lines` lines of an attempt begin. Blocks.
    pub(in crate::logs) fn last_lines(
        &self,
        attempt: AttemptId,
        lines: u64,
        only: Option<Stream>,
    ) -> Result<Option<Offsets>, Error> {
        self.find(attempt, |segment, number| {
            let end = segment.kept(attempt).map(|kept| kept.to).unwrap_or_default();
            let mut search = LastLines::new(lines, end, only);
            let mut frames: Vec<_> = segment.frames_of(attempt).collect();
            while let Some(at) = frames.pop().filter(|_| !search.is_found()) {
                let frame = self.frame(number, segment, at)?;
                let data = |entry| if let Entry::Data(record) = entry { Some(record) } else { None };
                search.look_at(&frame.entries_of(attempt).filter_map(data).collect::<Vec<_>>());
            }
            Ok(search.start())
        })
    }
}
