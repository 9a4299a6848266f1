//! A sparse map from stream offsets to places in a log file, so that a reader need not start at the first byte.

use super::Offsets;
use super::frame::HEADER_LEN;

/// File bytes between two checkpoints: reading one step costs about a millisecond, and a 256 MiB log keeps 256 of them.
const STEP: u64 = 1024 * 1024;

/// A frame boundary and the offsets of the streams there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Place in the file.
    pub position: u64,
    /// Next offset of each stream at that place.
    pub offsets: Offsets,
}

/// The checkpoints of one file, in file order; the first is behind the header.
#[derive(Debug, Clone)]
pub struct Checkpoints(Vec<Checkpoint>);

impl Default for Checkpoints {
    fn default() -> Self {
        Self(vec![Checkpoint { position: HEADER_LEN as u64, offsets: Offsets::default() }])
    }
}

impl Checkpoints {
    /// Tells that a frame ended at `position`, behind which the streams go on at `offsets`.
    pub fn note(&mut self, position: u64, offsets: Offsets) {
        if self.0.last().is_none_or(|last| position >= last.position + STEP) {
            self.0.push(Checkpoint { position, offsets });
        }
    }

    /// The last checkpoint that has nothing at or behind `wanted` of either stream before it.
    pub fn before(&self, wanted: Offsets) -> Checkpoint {
        let after = self.0.partition_point(|point| point.offsets.all_at_most(wanted));
        self.0[after.saturating_sub(1)]
    }

    /// All of them.
    pub fn as_slice(&self) -> &[Checkpoint] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_starts_at_the_last_place_that_misses_nothing() {
        let mut points = Checkpoints::default();
        for step in 1..10u64 {
            points.note(step * STEP * 2, Offsets { stdout: step * 10, stderr: 5 });
        }
        let at = |stdout, stderr| points.before(Offsets { stdout, stderr }).offsets;
        assert_eq!(at(0, 0), Offsets::default());
        assert_eq!(at(35, 5), Offsets { stdout: 30, stderr: 5 });
        assert_eq!(at(35, 4), Offsets::default(), "stderr 4 lies before every later checkpoint");
        assert_eq!(at(u64::MAX, u64::MAX).stdout, 90);
    }
}
