//! Many containers over two workers, with and without `kill -9` in the middle.

use std::collections::BTreeMap;
use std::time::Duration;

use dockmgr_proto::v1::{ListTasksRequest, Task};
use dockmgr_tests::docker::ForeignContainer;
use dockmgr_tests::{Cluster, Store, eventually, needs};

/// Containers of the short version: enough that every worker has some of each kind.
const SHORT: u32 = 60;
/// Containers of the long version.
const LONG: u32 = 300;
/// How many run at a time.
const AT_A_TIME: u32 = 8;
/// Longest time for one container and its place in the queue, on a loaded machine.
const EACH: Duration = Duration::from_millis(1500);
/// Modulus of the exit codes: 251 is prime, so codes do not repeat with the workers' turns.
const CODES: u32 = 251;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Faults {
    None,
    CoordinatorDies,
    WorkerDies,
    BothDie,
}

fn due_output(task: u32) -> (String, String) {
    let lines: String = (1..=20).map(|n| format!("{task} line {n}\n")).collect();
    (lines, format!("{task} to stderr\n"))
}

async fn crowd(store: Store, count: u32, faults: Faults) {
    if !needs::docker() || (store == Store::Etcd && !needs::etcd()) {
        return;
    }
    let foreign = ForeignContainer::start().await;
    let foreign_before = foreign.state().await;
    let mut cluster =
        Cluster::builder().docker().store(store).workers(2).cpus("1").memory("4GiB").start().await;
    let script = format!(
        "for i in $(seq 1 20); do echo $DOCKMGR_TASK line $i; done; echo $DOCKMGR_TASK to stderr >&2; exit $((DOCKMGR_TASK % {CODES}))"
    );
    let array = format!("0-{}%{AT_A_TIME}", count - 1);
    let job = cluster.submit(["--cpus", "0.25", "--memory", "64m", "--array", &array, &script]).await;
    disturb(&mut cluster, job, count, faults).await;
    let limit = EACH * count + Duration::from_secs(60);
    let wait = cluster.cli(["wait", &job.to_string()]).limit(limit).run().await;
    wait.expect_code(i32::try_from((count - 1).min(CODES - 1)).expect("small"));
    check_codes(&cluster, job, count).await;
    check_output(&cluster, job, count).await;
    cluster.expect_clean().await;
    assert_eq!(foreign.state().await, foreign_before, "a stranger's container was touched");
    // Kept output is readable when everything is gone.
    check_output(&cluster, job, count).await;
}

async fn ended(cluster: &Cluster, job: u64) -> u32 {
    let counts = cluster.job(job).await.tasks.expect("counts");
    counts.succeeded + counts.failed + counts.cancelled
}

async fn disturb(cluster: &mut Cluster, job: u64, count: u32, faults: Faults) {
    let limit = EACH * count;
    if matches!(faults, Faults::CoordinatorDies | Faults::BothDie) {
        eventually("a third to be done", limit, async || ended(cluster, job).await >= count / 3).await;
        cluster.kill_coordinator().await;
        cluster.start_coordinator().await;
    }
    if matches!(faults, Faults::WorkerDies | Faults::BothDie) {
        eventually("half to be done", limit, async || ended(cluster, job).await >= count / 2).await;
        cluster.kill_worker(0).await;
        cluster.launch_worker(0);
    }
    if faults == Faults::BothDie {
        eventually("two thirds to be done", limit, async || ended(cluster, job).await >= count * 2 / 3).await;
        cluster.kill_worker(1).await;
        cluster.kill_coordinator().await;
        cluster.start_coordinator().await;
        cluster.launch_worker(1);
    }
}

async fn all_tasks(cluster: &Cluster, job: u64) -> Vec<Task> {
    let request = ListTasksRequest { job: job.to_string(), page_size: 1000, ..ListTasksRequest::default() };
    cluster.client().await.list_tasks(request).await.expect("the job is known").tasks
}

async fn check_codes(cluster: &Cluster, job: u64, count: u32) {
    let tasks = all_tasks(cluster, job).await;
    assert_eq!(tasks.len(), count as usize);
    let mut nodes = BTreeMap::<String, u32>::new();
    let mut wrong = Vec::new();
    for task in &tasks {
        if task.exit_code != Some(i32::try_from(task.index % CODES).expect("small")) {
            wrong.push(format!("{task:?}"));
        }
        *nodes.entry(task.attempts.last().map(|a| a.node_name.clone()).unwrap_or_default()).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} have a wrong code:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(nodes.len(), 2, "both workers had work: {nodes:?}");
}

async fn check_output(cluster: &Cluster, job: u64, count: u32) {
    let all =
        cluster.cli(["logs", &job.to_string()]).limit(Duration::from_secs(120)).run().await.expect_code(0);
    for (bytes, pick) in [(&all.stdout, 0), (&all.stderr, 1)] {
        let mut seen = BTreeMap::<u32, String>::new();
        for line in String::from_utf8_lossy(bytes).lines() {
            let (prefix, rest) = line.split_once("| ").unwrap_or_else(|| panic!("no prefix: {line:?}"));
            let task = prefix.strip_prefix(&format!("{job}.")).and_then(|n| n.trim().parse().ok());
            let task = task.unwrap_or_else(|| panic!("no task: {line:?}"));
            *seen.entry(task).or_default() += &format!("{rest}\n");
        }
        for task in 0..count {
            let due = due_output(task);
            let due = if pick == 0 { due.0 } else { due.1 };
            assert_eq!(seen.get(&task), Some(&due), "output of task {task}");
        }
    }
}

#[tokio::test]
async fn three_hundred_containers_end_right_through_kill_9_of_everything() {
    crowd(Store::Redb, LONG, Faults::BothDie).await;
}

#[tokio::test]
async fn sixty_containers_end_right_on_etcd_through_kill_9_of_everything() {
    let count = if needs::full() { LONG } else { SHORT };
    crowd(Store::Etcd, count, Faults::BothDie).await;
}

#[tokio::test]
async fn three_hundred_containers_end_right_undisturbed() {
    if needs::full() {
        crowd(Store::Redb, LONG, Faults::None).await;
        crowd(Store::Redb, LONG, Faults::CoordinatorDies).await;
        crowd(Store::Redb, LONG, Faults::WorkerDies).await;
    } else {
        crowd(Store::Redb, SHORT, Faults::None).await;
    }
}
