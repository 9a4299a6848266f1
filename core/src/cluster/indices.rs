//! The task indices of a job, and how they relate to positions.
//!
//! Positions count from 0 without holes and are what is stored and scheduled; indices are what people see. They differ
//! where an array does not begin at 0 or where a retry repeats only some tasks.

use crate::ids::TaskIndex;
use crate::spec::{ArraySpec, JobSpec};

/// The task indices of a job: ranges, growing, not touching out of order, never more than
/// [`ArraySpec::MAX_TASKS`] tasks and never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indices {
    ranges: Vec<Range>,
    count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    /// Position of the first index.
    position: u32,
}

impl Indices {
    /// The indices a spec asks for.
    pub fn of(spec: &JobSpec) -> Self {
        let (first, last) = spec.array.map_or((0, 0), |array| (array.first(), array.last()));
        Self { ranges: vec![Range { first, last, position: 0 }], count: last - first + 1 }
    }

    /// Indices from pairs of first and last, as they are stored; `None` unless they grow and hold 1 to
    /// [`ArraySpec::MAX_TASKS`] tasks.
    pub fn from_ranges(pairs: impl IntoIterator<Item = (u32, u32)>) -> Option<Self> {
        let mut ranges: Vec<Range> = Vec::new();
        let mut count: u32 = 0;
        for (first, last) in pairs {
            if last < first || ranges.last().is_some_and(|before| first <= before.last) {
                return None;
            }
            ranges.push(Range { first, last, position: count });
            count = count.checked_add(last - first)?.checked_add(1)?;
            if count > ArraySpec::MAX_TASKS {
                return None;
            }
        }
        (count > 0).then_some(Self { ranges, count })
    }

    /// Indices from single ones that grow; `None` if there are none.
    pub(super) fn from_growing(indices: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for index in indices {
            match pairs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(index) => *last = index,
                Some(_) | None => pairs.push((index, index)),
            }
        }
        Self::from_ranges(pairs)
    }

    /// Pairs of first and last, growing.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.ranges.iter().map(|range| (range.first, range.last))
    }

    /// How many tasks there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The index at a position; `None` beyond the last.
    pub fn index_of(&self, position: u32) -> Option<TaskIndex> {
        if position >= self.count {
            return None;
        }
        let at = self.ranges.partition_point(|range| range.position <= position);
        let range = self.ranges[at - 1];
        Some(TaskIndex(range.first + (position - range.position)))
    }

    /// The position of an index; `None` if the job has no such task.
    pub fn position_of(&self, index: TaskIndex) -> Option<u32> {
        let at = self.ranges.partition_point(|range| range.last < index.0);
        let range = self.ranges.get(at)?;
        index.0.checked_sub(range.first).map(|into| range.position + into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_indices_lead_to_each_other_across_holes() {
        let indices = Indices::from_growing([3, 7, 8, 9, 20]).expect("growing");
        assert_eq!(indices.ranges().collect::<Vec<_>>(), [(3, 3), (7, 9), (20, 20)]);
        let seen: Vec<u32> = (0..indices.count()).map(|p| indices.index_of(p).expect("inside").0).collect();
        assert_eq!(seen, [3, 7, 8, 9, 20]);
        for position in 0..5 {
            let index = indices.index_of(position).expect("inside");
            assert_eq!(indices.position_of(index), Some(position));
        }
        assert_eq!(indices.index_of(5), None);
        for missing in [0, 4, 6, 10, 19, 21] {
            assert_eq!(indices.position_of(TaskIndex(missing)), None, "{missing}");
        }
    }

    #[test]
    fn ranges_that_overlap_reverse_or_are_too_many_are_refused() {
        let bad: [&[(u32, u32)]; 6] =
            [&[], &[(2, 1)], &[(0, 5), (5, 6)], &[(5, 6), (0, 1)], &[(0, 1_000_000)], &[(0, u32::MAX)]];
        for ranges in bad {
            assert_eq!(Indices::from_ranges(ranges.iter().copied()), None, "{ranges:?}");
        }
    }
}
