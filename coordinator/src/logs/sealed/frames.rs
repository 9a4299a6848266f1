//! The frames of all segments, as a search goes through them.

use std::sync::Arc;

use dockmgr_archive::{Filter, Frame, FrameEntry, Segment};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::time::WallTime;

use super::catalogue::Number;
use super::{Error, Sealed, Stored};

/// Where a frame is, and of which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedFrame {
    /// Earliest and latest time of its output.
    pub times: (WallTime, WallTime),
    segment: Number,
    at: usize,
    /// After which merge it was listed.
    merges: u64,
}

/// A frame whose entry is at hand.
#[derive(Debug, Clone)]
pub struct OpenFrame {
    sealed: Arc<Sealed>,
    segment: Arc<Segment<Stored>>,
    listed: SealedFrame,
}

impl Sealed {
    /// The frames with output from `since` on and before `until`, earliest first.
    pub(in crate::logs) fn frames(
        &self,
        since: Option<WallTime>,
        until: Option<WallTime>,
    ) -> Vec<SealedFrame> {
        let catalogue = self.lock();
        let merges = catalogue.merges;
        let mut found = Vec::new();
        for (segment, listed) in catalogue.segments() {
            for (at, times) in listed.frames.iter().enumerate() {
                let Some(times) = *times else { continue };
                if since.is_none_or(|since| since <= times.1) && until.is_none_or(|until| times.0 < until) {
                    found.push(SealedFrame { times, segment, at, merges });
                }
            }
        }
        drop(catalogue);
        found.sort_unstable_by_key(|frame| (frame.times, frame.segment, frame.at));
        found
    }

    /// Opens a frame; `None` if its segment is gone: all in it was deleted, or is in another one. Blocks.
    pub(in crate::logs) fn open_frame(
        self: &Arc<Self>,
        frame: &SealedFrame,
    ) -> Result<Option<OpenFrame>, Error> {
        if self.lock().segment(frame.segment).is_none() {
            return Ok(None);
        }
        let segment = self.open(frame.segment)?;
        Ok(segment.map(|segment| OpenFrame { sealed: Arc::clone(self), segment, listed: *frame }))
    }
}

impl OpenFrame {
    /// What the directory says of it.
    pub fn entry(&self) -> &FrameEntry {
        &self.segment.frames()[self.listed.at]
    }

    /// Whether what it has of `attempt` counts: else it was deleted, or another segment has it. A merge after the frame was
    /// listed changes nothing: of all frames that were listed together one counts.
    pub fn owns(&self, attempt: AttemptId) -> bool {
        self.sealed.lock().counts(self.listed.segment, attempt, self.listed.merges)
    }

    /// Its filter. Blocks.
    pub fn filter(&self) -> Result<Filter, Error> {
        self.segment.filter(self.listed.at).map_err(Error::Segment)
    }

    /// What it holds, decompressed. Blocks.
    pub fn frame(&self) -> Result<Frame, Error> {
        self.segment.frame(self.listed.at).map_err(Error::Segment)
    }
}
