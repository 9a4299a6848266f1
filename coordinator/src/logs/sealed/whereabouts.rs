//! Where a search finds output: in which segment, if in one, and whether anything of it is of the times it asks for.

use std::sync::Arc;

use dockmgr_core::ids::AttemptId;
use dockmgr_core::time::WallTime;

use super::catalogue::Number;
use super::{Error, Sealed, Segment};

/// Where the output of an attempt is to be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// In plain files, if there is any: a reader knows.
    Plain,
    /// In this segment.
    Segment(Number),
    /// In a segment that has nothing of these times.
    OtherTimes,
}

impl Sealed {
    /// Where to look for output of each of these attempts from `since` on and before `until`.
    pub(in crate::logs) fn whereabouts(
        &self,
        attempts: impl Iterator<Item = AttemptId>,
        (since, until): (Option<WallTime>, Option<WallTime>),
    ) -> Vec<Whereabouts> {
        let catalogue = self.lock();
        let of = |attempt| {
            let Some(number) = catalogue.owner(attempt) else { return Whereabouts::Plain };
            let overlaps = |(first, last): (WallTime, WallTime)| {
                since.is_none_or(|since| since <= last) && until.is_none_or(|until| first < until)
            };
            let frames = catalogue.segment(number).map(|listed| &listed.frames);
            let any = frames.is_none_or(|frames| frames.iter().flatten().copied().any(overlaps));
            if any { Whereabouts::Segment(number) } else { Whereabouts::OtherTimes }
        };
        attempts.map(of).collect()
    }

    /// A segment by its number; `None` if it is gone: all in it was deleted, or is in another one. Blocks.
    pub(in crate::logs) fn segment(&self, number: Number) -> Result<Option<Arc<Segment>>, Error> {
        self.open(number)
    }
}
