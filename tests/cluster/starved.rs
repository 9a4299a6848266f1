//! Programs that get hardly any processor time: slower, and nothing is given up.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockmgr_proto::v1::node::State;
use dockmgr_tests::process::Process;
use dockmgr_tests::{Cluster, Store, needs};

/// Where version 1 of control groups counts processor time.
const CPU_GROUPS: &str = "/sys/fs/cgroup/cpu";
/// The period in which a share is measured, in microseconds.
const PERIOD: u32 = 100_000;
/// How long jobs may take at a twentieth of a processor.
const PATIENCE: Duration = Duration::from_secs(180);

/// A share of a processor for some processes. Dropping it lets them go.
struct Throttle(PathBuf);

impl Throttle {
    /// Gives `process` so many percent of one processor.
    fn new(process: &Process, percent: u32) -> Self {
        let group = Path::new(CPU_GROUPS).join(format!("dockmgr-test-{}", process.id()));
        fs::create_dir(&group).expect("a control group of its own");
        let throttle = Self(group);
        let set =
            |file: &str, value: u32| fs::write(throttle.0.join(file), value.to_string()).expect("a setting");
        set("cpu.cfs_period_us", PERIOD);
        set("cpu.cfs_quota_us", PERIOD / 100 * percent);
        set("cgroup.procs", process.id());
        throttle
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        let processes = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for process in processes.lines() {
            // One that has ended meanwhile needs no other group.
            let _ended = fs::write(Path::new(CPU_GROUPS).join("cgroup.procs"), process);
        }
        // A group that cannot be removed is empty and harms nobody.
        let _left = fs::remove_dir(&self.0);
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so where the person looks")]
fn can_throttle() -> bool {
    let can = rustix::process::geteuid().is_root() && Path::new(CPU_GROUPS).join("cgroup.procs").exists();
    if !can {
        eprintln!("SKIPPED: throttling needs root and version 1 of the cpu control group");
    }
    can
}

/// Runs jobs to their end and expects that nobody was given up meanwhile.
async fn expect_patience(mut cluster: Cluster) {
    for code in [3, 4, 5] {
        let job = cluster.submit([format!("sleep 1; exit {code}")]).await;
        let output = cluster.cli(["wait", &job.to_string()]).limit(PATIENCE).run().await;
        output.expect_code(code);
        assert_eq!(cluster.job(job).await.task.expect("one task").attempts.len(), 1);
    }
    let nodes = cluster.client().await.all_nodes().await.expect("an answer");
    assert!(nodes.iter().all(|node| node.state() == State::Ready), "{nodes:?}");
    let log = fs::read_to_string(cluster.folder().join("coordinator.log")).expect("a log");
    assert_eq!(log.matches("cluster_id=").count(), 1, "one term only:\n{log}");
    assert!(!log.contains("NodeSilent") && !log.contains("campaigning again"), "{log}");
    assert!(!cluster.coordinator().has_ended());
}

#[tokio::test]
async fn a_leader_with_a_twentieth_of_a_processor_keeps_its_lease_and_its_workers() {
    if needs::etcd() && can_throttle() {
        let patient = Cluster::builder().store(Store::Etcd).suspect_after(Duration::from_secs(30));
        let mut cluster = patient.start().await;
        let _throttle = Throttle::new(cluster.coordinator(), 5);
        expect_patience(cluster).await;
    }
}

#[tokio::test]
async fn a_worker_with_a_fiftieth_of_a_processor_is_not_lost() {
    if can_throttle() {
        let mut cluster = Cluster::builder().suspect_after(Duration::from_secs(30)).start().await;
        let _throttle = Throttle::new(cluster.worker(0), 2);
        expect_patience(cluster).await;
    }
}
