//! What has ended lately, for people who watch a cluster.

use std::time::Duration;

use crate::ids::JobId;
use crate::outcome::JobState;
use crate::time::WallTime;

use super::state::Cluster;

/// Ends that are looked at: two hundred a second for a minute, and a look stays below a few milliseconds.
const MAX_ENDS: usize = 12_000;
/// Failed jobs that are named.
const MAX_NAMED: usize = 10;
/// How far back is looked, in minutes.
const MINUTES: usize = 60;

/// Jobs that ended within one minute, by how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends {
    /// Those that succeeded.
    pub succeeded: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that were stopped or killed.
    pub cancelled: u32,
}

/// The ends of the last hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lately {
    /// By minute, the oldest first; the last one ends now.
    pub minutes: [Ends; MINUTES],
    /// The newest that failed, the newest first.
    pub failed: Vec<JobId>,
    /// There were more ends than are looked at.
    pub cut: bool,
}

impl Cluster {
    /// What ended in the hour before `now`.
    pub fn lately(&self, now: WallTime) -> Lately {
        let mut lately = Lately { minutes: [Ends::default(); MINUTES], failed: Vec::new(), cut: false };
        let minute = i64::try_from(Duration::from_mins(1).as_millis()).unwrap_or(i64::MAX);
        for (looked_at, (ended, id)) in self.ended.iter().rev().enumerate() {
            // An end that a jump of the clock put into the future is one of now.
            let ago = usize::try_from(now.0.saturating_sub(ended.0).max(0) / minute).unwrap_or(MINUTES);
            if ago >= MINUTES {
                break;
            }
            if looked_at == MAX_ENDS {
                lately.cut = true;
                break;
            }
            let Some(job) = self.jobs.get(id) else { continue };
            let ends = &mut lately.minutes[MINUTES - 1 - ago];
            match job.state() {
                JobState::Succeeded => ends.succeeded += 1,
                JobState::Cancelled => ends.cancelled += 1,
                JobState::Failed => {
                    ends.failed += 1;
                    if lately.failed.len() < MAX_NAMED {
                        lately.failed.push(*id);
                    }
                }
                JobState::Active => {}
            }
        }
        lately
    }
}
