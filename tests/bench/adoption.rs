//! How long a worker that was killed takes to have a hundred running containers back.

use std::process::ExitCode;
use std::time::Duration;

use dockmgr_tests::adoption::Adoption;
use dockmgr_tests::figures::{self, Table, seconds};
use dockmgr_tests::needs;

const CONTAINERS: u32 = 100;
/// 5 s and 20 ms for each container.
const GOAL: Duration = Duration::from_secs(7);
/// Kills that are measured; the slowest counts.
const KILLS: usize = 10;

#[tokio::main]
async fn main() -> ExitCode {
    figures::expect_release();
    let mut table = Table::default();
    if needs::docker() {
        let mut adoption = Adoption::start(CONTAINERS).await;
        let mut times = Vec::new();
        for _ in 0..KILLS {
            adoption.kill().await;
            times.push(adoption.restart(CONTAINERS as usize).await);
        }
        let slowest = times.iter().copied().max().unwrap_or_default();
        table.goal("slowest", &format!("< {}", seconds(GOAL)), seconds(slowest), slowest < GOAL);
        table.note("median", seconds(figures::percentile(&mut times, 50)));
        adoption.release(CONTAINERS as usize).await;
        adoption.expect_right_results().await;
        table.note("exit codes, output, attempts", "right");
    }
    table.print("100 running containers taken back after kill -9 of their worker, 10 times")
}
