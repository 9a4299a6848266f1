//! Which output goes when there is more of it than there may be.
//!
//! Owns the rule; when it is asked, what output takes and how it is deleted is the coordinator's business. Age has a rule of
//! its own: output that is too old goes whether or not there is room.
//!
//! ```text
//!   of the cluster   more than `total`   -> the output of the job that ended longest ago, and of the next, until it fits
//!   of a job         more than `per_job` -> all output of this job, once it has ended
//! ```
//!
//! Invariant: output of a job that has not ended, that is pinned, or that somebody still needs never goes, however much there
//! is.

use std::fmt;

use crate::ids::JobId;
use crate::time::WallTime;

/// How much output may be kept. Bytes as they are stored; `None` means any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Of all jobs.
    pub total: Option<u64>,
    /// Of one job.
    pub per_job: Option<u64>,
}

/// The output of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Whose.
    pub job: JobId,
    /// What it takes.
    pub bytes: u64,
    /// When the job ended; `None` while it has not. A job that the cluster has forgotten ended before all it remembers.
    pub ended: Option<WallTime>,
    /// Whether it must stay: it is pinned, or somebody still needs it.
    pub stays: bool,
}

/// Why output is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// One job had more than a job may have.
    JobTooLarge,
    /// All jobs together had more than there may be, and others ended later.
    ClusterFull,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JobTooLarge => "it was more than a job may keep",
            Self::ClusterFull => "all output together was more than may be kept, and other jobs ended later",
        })
    }
}

/// Whose output goes now, and why; the order is that in which it is to go.
pub fn choose(limits: Limits, outputs: &[Output]) -> Vec<(JobId, Reason)> {
    let may_go = |output: &&Output| output.ended.is_some() && !output.stays && output.bytes > 0;
    let is_large = |output: &&Output| limits.per_job.is_some_and(|most| output.bytes > most);
    let (large, mut others): (Vec<&Output>, Vec<&Output>) = outputs.iter().filter(may_go).partition(is_large);
    let mut kept = outputs.iter().fold(0_u64, |sum, output| sum.saturating_add(output.bytes));
    kept = large.iter().fold(kept, |sum, output| sum.saturating_sub(output.bytes));
    let mut chosen: Vec<_> = large.iter().map(|output| (output.job, Reason::JobTooLarge)).collect();
    others.sort_unstable_by_key(|output| (output.ended, output.job));
    for output in others {
        if limits.total.is_none_or(|most| kept <= most) {
            break;
        }
        kept = kept.saturating_sub(output.bytes);
        chosen.push((output.job, Reason::ClusterFull));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn outputs() -> impl Strategy<Value = Vec<Output>> {
        let one = (0..100u64, proptest::option::of(-5..50i64), any::<bool>());
        proptest::collection::vec(one, 0..30).prop_map(|all| {
            let job = |number: u64| JobId::new(number).expect("not 0");
            let output = |(number, (bytes, ended, stays)): (u64, (u64, Option<i64>, bool))| Output {
                job: job(number),
                bytes,
                ended: ended.map(WallTime),
                stays,
            };
            (1..).zip(all).map(output).collect()
        })
    }

    proptest! {
        #[test]
        fn what_stays_fits_or_must_stay_and_nothing_goes_without_need(
            outputs in outputs(),
            total in proptest::option::of(0..1500u64),
            per_job in proptest::option::of(0..100u64),
        ) {
            let chosen = choose(Limits { total, per_job }, &outputs);
            let gone: BTreeSet<JobId> = chosen.iter().map(|(job, _)| *job).collect();
            prop_assert_eq!(gone.len(), chosen.len(), "each once");
            let (went, left): (Vec<&Output>, Vec<&Output>) = outputs.iter().partition(|output| gone.contains(&output.job));
            prop_assert!(went.iter().all(|output| output.ended.is_some() && !output.stays));
            let kept: u64 = left.iter().map(|output| output.bytes).sum();
            for output in left.iter().filter(|output| output.ended.is_some() && !output.stays && output.bytes > 0) {
                prop_assert!(per_job.is_none_or(|most| output.bytes <= most), "{:?} is too large", output);
                prop_assert!(total.is_none_or(|most| kept <= most), "there is more than there may be");
                // What went for room was not younger than what stays.
                for (job, _) in chosen.iter().filter(|(_, reason)| *reason == Reason::ClusterFull) {
                    let went = outputs.iter().find(|output| output.job == *job).expect("one of them");
                    prop_assert!((went.ended, went.job) < (output.ended, output.job));
                }
            }
            // The last that went had to.
            if let Some((job, Reason::ClusterFull)) = chosen.last() {
                let last = outputs.iter().find(|output| output.job == *job).expect("one of them");
                prop_assert!(total.is_some_and(|most| kept + last.bytes > most));
            }
        }
    }
}
