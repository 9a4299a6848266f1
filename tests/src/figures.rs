//! Figures of a measurement: percentiles, and one table with the goal beside what was measured.

use std::process::ExitCode;
use std::time::Duration;

/// Rows of a table.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<[String; 4]>,
    missed: bool,
}

impl Table {
    /// Adds a figure that has a goal.
    pub fn goal(&mut self, what: &str, goal: &str, measured: impl Into<String>, met: bool) {
        self.missed |= !met;
        let verdict = if met { "met" } else { "MISSED" };
        self.rows.push([what.to_owned(), goal.to_owned(), measured.into(), verdict.to_owned()]);
    }

    /// Adds a figure without one.
    pub fn note(&mut self, what: &str, measured: impl Into<String>) {
        self.rows.push([what.to_owned(), "-".to_owned(), measured.into(), String::new()]);
    }

    /// Prints the table; the exit code is 1 if a goal was missed.
    #[expect(clippy::print_stdout, reason = "the table is what a measurement is for")]
    pub fn print(&self, title: &str) -> ExitCode {
        let head = ["", "goal", "measured", ""].map(str::to_owned);
        let mut widths = [0; 4];
        for row in self.rows.iter().chain([&head]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        println!("\n{title}");
        for row in [&head].into_iter().chain(&self.rows) {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        ExitCode::from(u8::from(self.missed))
    }
}

/// The value below which `percent` of all lie; zero of none.
pub fn percentile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort_unstable();
    let at = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(at).copied().unwrap_or_default()
}

/// Bytes as mebibytes.
pub fn mib(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// A time in milliseconds.
pub fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// A time in seconds.
pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Whether the programs under test were optimised; a measurement of others is worth nothing.
///
/// # Panics
/// If they were not.
pub fn expect_release() {
    let optimised = !cfg!(debug_assertions);
    assert!(optimised, "measure release builds: make bench");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let mut values: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut values, 50), Duration::from_millis(100));
        assert_eq!(percentile(&mut values, 99), Duration::from_millis(198));
        assert_eq!(percentile(&mut values[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&mut [], 99), Duration::ZERO);
    }
}
