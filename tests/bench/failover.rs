//! How long a cluster of three coordinators is without a leader after `kill -9` of the one that leads, under load.

use std::process::ExitCode;
use std::time::Duration;

use dockmgr_tests::failover::Failover;
use dockmgr_tests::figures::{self, Table, seconds};
use dockmgr_tests::{Cluster, load, needs};

const TRIALS: usize = 20;
/// For the worst of all trials.
const GOAL: Duration = Duration::from_secs(10);
/// Submits that go on all the time, and the pause of each between two: some hundred a second together.
const SUBMITTERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> ExitCode {
    figures::expect_release();
    if !needs::etcd() {
        return ExitCode::SUCCESS;
    }
    let mut table = Table::default();
    let mut cluster = Cluster::builder().own_etcd(3, &[]).coordinators(3).workers(2).start().await;
    let mut submitters = Vec::new();
    for _ in 0..SUBMITTERS {
        submitters.push(tokio::spawn(load::keep_submitting(cluster.client().await, PAUSE)));
    }
    let (mut answered, mut ran) = (Vec::new(), Vec::new());
    for n in 1..=TRIALS {
        let trial = Failover::of(&mut cluster).await;
        let both = format!("{} / {}", seconds(trial.answered), seconds(trial.ran));
        table.note(&format!("trial {n}: both others answer / a new job has run"), both);
        answered.push(trial.answered);
        ran.push(trial.ran);
    }
    for (what, times) in [("both others answer", answered), ("a new job has run", ran)] {
        let worst = times.into_iter().max().unwrap_or_default();
        let goal = format!("< {}", seconds(GOAL));
        table.goal(&format!("worst of {TRIALS}: {what}"), &goal, seconds(worst), worst < GOAL);
    }
    let failed = submitters.iter().any(tokio::task::JoinHandle::is_finished);
    table.goal("submits that went wrong meanwhile", "none", if failed { "some" } else { "none" }, !failed);
    submitters.iter().for_each(tokio::task::JoinHandle::abort);
    table.print(
        "kill -9 of the leader: three coordinators, etcd of three members, two workers, steady submits",
    )
}
