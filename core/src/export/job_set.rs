//! A set of job numbers, kept as ranges: jobs mostly end in the order of their numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::PlaceError;
use crate::ids::JobId;

/// A set of jobs. Printed `1-17,19`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobSet {
    /// First to last of each range; ranges neither touch nor overlap.
    ranges: BTreeMap<u64, u64>,
}

impl JobSet {
    /// Whether `job` is in the set.
    pub fn contains(&self, job: JobId) -> bool {
        self.ranges.range(..=job.get()).next_back().is_some_and(|(_, last)| job.get() <= *last)
    }

    /// Adds a job.
    pub fn insert(&mut self, job: JobId) {
        if self.contains(job) {
            return;
        }
        let (mut first, mut last) = (job.get(), job.get());
        if let Some((start, end)) = self.ranges.range(..first).next_back().map(|(start, end)| (*start, *end))
            && end + 1 == first
        {
            first = start;
        }
        if let Some(end) = last.checked_add(1).and_then(|next| self.ranges.remove(&next)) {
            last = end;
        }
        self.ranges.insert(first, last);
    }

    /// The lowest job that is not in the set.
    pub fn first_missing(&self) -> JobId {
        let after = self.ranges.get(&JobId::FIRST.get()).and_then(|last| JobId::new(last.saturating_add(1)));
        after.unwrap_or(JobId::FIRST)
    }

    /// Ranges it is kept as: what its printed form grows with.
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }
}

impl fmt::Display for JobSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{first}")?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for JobSet {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let mut set = Self::default();
        // Ranges come in the one order they are printed in, so they can neither touch nor overlap.
        let mut free_from = 1;
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let number = |text: &str| text.parse::<u64>().map_err(|_| PlaceError);
            let (first, last) = (number(first)?, number(last)?);
            if first < free_from || last < first {
                return Err(PlaceError);
            }
            free_from = last.saturating_add(2);
            set.ranges.insert(first, last);
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in_and_reads_as_it_prints(
            jobs in proptest::collection::vec(1u64..40, 0..40),
        ) {
            let id = |number| JobId::new(number).expect("not 0");
            let mut set = JobSet::default();
            for job in &jobs {
                set.insert(id(*job));
            }
            for job in 1..42 {
                prop_assert_eq!(set.contains(id(job)), jobs.contains(&job));
            }
            let first = (1..42).find(|job| !jobs.contains(job)).map(id);
            prop_assert_eq!(Some(set.first_missing()), first);
            prop_assert_eq!(set.to_string().parse(), Ok(set));
        }
    }

    #[test]
    fn nothing_else_is_read() {
        for bad in ["0", "2-1", "1,2", "3,1", "x", ",", "1-", "-1"] {
            assert_eq!(bad.parse::<JobSet>(), Err(PlaceError), "{bad:?}");
        }
    }
}
