//! The table at the end of a run.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Profile;
use crate::faults::Done;
use crate::oracle::{RULES, Verdict};

/// Violations of one rule that are shown.
const SHOWN: usize = 5;

/// The table as text.
pub(crate) fn table(seed: u64, profile: Profile, length: Duration, done: &Done, verdict: &Verdict) -> String {
    let mut out = String::new();
    let faults: u32 = done.counts.values().sum();
    let mut row = |name: &str, value: String| {
        let _infallible = writeln!(out, "  {name:<30} {value}");
    };
    row("profile, seed", format!("{profile:?}, {seed}"));
    row("length", format!("{} s", length.as_secs()));
    row("faults", format!("{faults}, longest gap {:.1} s", done.longest_gap.as_secs_f64()));
    for (name, count) in &done.counts {
        row(&format!("  {name}"), count.to_string());
    }
    row(
        "jobs",
        format!("{}, {} attempts, {} executions", verdict.jobs, verdict.attempts, verdict.executions),
    );
    for (name, count) in &verdict.ends {
        row(&format!("  {name}"), count.to_string());
    }
    row("flagged overlaps", verdict.flagged.to_string());
    row("streams compared", format!("{}, {} bytes", verdict.streams, verdict.bytes));
    for (name, count) in &verdict.marks {
        row(&format!("  {name}"), count.to_string());
    }
    for rule in RULES {
        row(rule, verdict.violations.get(rule).map_or(0, Vec::len).to_string());
    }
    for (rule, what) in &verdict.violations {
        for line in what.iter().take(SHOWN) {
            let _infallible = writeln!(out, "VIOLATION {rule}: {line}");
        }
        if what.len() > SHOWN {
            let _infallible = writeln!(out, "VIOLATION {rule}: and {} more", what.len() - SHOWN);
        }
    }
    out
}
