//! Open segments and decompressed frames that are kept for the next who wants them, within bounds.

use std::collections::VecDeque;
use std::sync::Arc;

use dockmgr_archive::{Frame, Segment};

use super::Stored;
use super::catalogue::Number;

/// Open segments: each may be an open file.
const SEGMENTS: usize = 64;
/// Sections of all open segments: about 150 bytes each, 40 MB.
const SECTIONS: usize = 256 * 1024;
/// Decompressed frames, about a mebibyte each: the tasks of an array lie side by side and are read one after the other.
const FRAMES: usize = 8;

/// Open segments, latest used last.
#[derive(Debug, Default)]
pub(super) struct Opened {
    held: VecDeque<(Number, usize, Arc<Segment<Stored>>)>,
    sections: usize,
}

impl Opened {
    pub(super) fn get(&mut self, number: Number) -> Option<Arc<Segment<Stored>>> {
        let at = self.held.iter().position(|held| held.0 == number)?;
        let held = self.held.remove(at)?;
        let segment = Arc::clone(&held.2);
        self.held.push_back(held);
        Some(segment)
    }

    pub(super) fn forget(&mut self, number: Number) {
        if let Some(at) = self.held.iter().position(|held| held.0 == number) {
            self.sections -= self.held.remove(at).map_or(0, |held| held.1);
        }
    }

    pub(super) fn put(&mut self, number: Number, segment: Arc<Segment<Stored>>) {
        let sections = segment.frames().iter().map(|frame| frame.sections.len()).sum();
        self.sections += sections;
        self.held.push_back((number, sections, segment));
        while self.held.len() > 1 && (self.held.len() > SEGMENTS || self.sections > SECTIONS) {
            self.sections -= self.held.pop_front().map_or(0, |oldest| oldest.1);
        }
    }
}

/// Decompressed frames, latest used last.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    held: VecDeque<((Number, usize), Arc<Frame>)>,
}

impl Decoded {
    pub(super) fn get(&mut self, key: (Number, usize)) -> Option<Arc<Frame>> {
        let at = self.held.iter().position(|held| held.0 == key)?;
        let held = self.held.remove(at)?;
        let frame = Arc::clone(&held.1);
        self.held.push_back(held);
        Some(frame)
    }

    pub(super) fn put(&mut self, key: (Number, usize), frame: Arc<Frame>) {
        self.held.push_back((key, frame));
        if self.held.len() > FRAMES {
            self.held.pop_front();
        }
    }
}
