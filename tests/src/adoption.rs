//! A worker that is killed while many containers run on it, and takes them back.
//!
//! The test of it asks whether every result is right; the measurement, how long it takes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dockmgr_proto::v1::{ListTasksRequest, TaskState};

use crate::docker::{docker, try_docker};
use crate::{Cluster, wait_until};

/// Longest time for all containers to come up, one by one on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(300);
/// Longest time for one step after that.
const LIMIT: Duration = Duration::from_secs(120);
/// Exit codes repeat after so many tasks: a prime, so that no pattern of the tests hides a mix-up.
const CODES: u32 = 251;
/// What the worker says of each attempt it has taken back.
const TAKEN_BACK: &str = "attempt taken back";

/// One worker with `count` tasks of one job, all running until they are released.
#[derive(Debug)]
pub struct Adoption {
    /// The cluster: one coordinator, one worker on real Docker.
    pub cluster: Cluster,
    job: u64,
    count: u32,
}

impl Adoption {
    /// Starts all of it and waits until every command waits to be released.
    pub async fn start(count: u32) -> Self {
        let cluster = Cluster::builder().docker().cpus("64").memory("64GiB").start().await;
        // The shell of the image ends `wait` at the signal; nothing here takes processor time while it waits.
        let script = format!(
            "trap 'go=1' USR1; for i in $(seq 50); do echo $DOCKMGR_TASK before $i; done; \
             while [ -z \"$go\" ]; do sleep 600 & wait $!; done; \
             for i in $(seq 50); do echo $DOCKMGR_TASK after $i; done; exit $((DOCKMGR_TASK % {CODES}))"
        );
        let array = format!("0-{}", count - 1);
        let job = cluster.submit(["--cpus", "0.01", "--memory", "32m", "--array", &array, &script]).await;
        let adoption = Self { cluster, job, count };
        wait_until("every command to wait", START_LIMIT, async || {
            let lines = adoption.cluster.logs(job).await.text().lines().count();
            if lines == 50 * count as usize { Ok(()) } else { Err(format!("{lines} lines")) }
        })
        .await;
        adoption
    }

    /// `kill -9` of the worker.
    pub async fn kill(&mut self) {
        self.cluster.kill_worker(0).await;
    }

    /// Starts the worker again; how long it took until it had taken back `due` attempts.
    pub async fn restart(&mut self, due: usize) -> Duration {
        let before = self.taken_back();
        let begun = Instant::now();
        self.cluster.launch_worker(0);
        wait_until("the attempts to be taken back", LIMIT, async || {
            let seen = self.taken_back() - before;
            if seen >= due { Ok(()) } else { Err(format!("{seen} of {due}")) }
        })
        .await;
        begun.elapsed()
    }

    /// Releases so many of the commands that still run, past the worker.
    ///
    /// The signal goes out again to those that still run: what is tested is not how surely the daemon hands on a signal.
    pub async fn release(&self, many: usize) {
        let chosen: BTreeSet<String> = self.running().await.into_iter().take(many).collect();
        wait_until("the released commands to end", LIMIT, async || {
            let running = self.running().await;
            let left: Vec<&str> = running.intersection(&chosen).map(String::as_str).collect();
            if left.is_empty() {
                return Ok(());
            }
            let sent = try_docker(&[&["kill", "--signal", "USR1"], left.as_slice()].concat()).await;
            Err(format!("{} of {} still run; the signal: {sent:?}", left.len(), chosen.len()))
        })
        .await;
    }

    /// Waits for the end of all tasks, then checks every exit code, every byte of output and that nothing ran twice or stays.
    pub async fn expect_right_results(&self) {
        let wait = self.cluster.cli(["wait", &self.job.to_string()]).limit(LIMIT).run().await;
        wait.expect_code(i32::try_from((self.count - 1).min(CODES - 1)).expect("small"));
        let request =
            ListTasksRequest { job: self.job.to_string(), page_size: 1000, ..ListTasksRequest::default() };
        let tasks = self.cluster.client().await.list_tasks(request).await.expect("the job is known").tasks;
        assert_eq!(tasks.len(), self.count as usize);
        for task in &tasks {
            let code = i32::try_from(task.index % CODES).expect("small");
            assert_eq!((task.exit_code, task.attempts.len()), (Some(code), 1), "{task:?}");
            let state = if code == 0 { TaskState::Succeeded } else { TaskState::Failed };
            assert_eq!(task.state(), state, "{task:?}");
            let name = format!("{}.{}", self.job, task.index);
            let output = self.cluster.cli(["logs", &name]).ok().await.text();
            let due: Vec<String> = ["before", "after"]
                .iter()
                .flat_map(|part| (1..=50).map(move |line| format!("{} {part} {line}", task.index)))
                .collect();
            assert_eq!(output.lines().collect::<Vec<_>>(), due, "output of task {}", task.index);
        }
        self.cluster.expect_clean().await;
    }

    async fn running(&self) -> BTreeSet<String> {
        let filter = format!("label=dockmgr.cluster={}", self.cluster.id());
        let names = docker(&["ps", "--filter", &filter, "--format", "{{.Names}}"]).await;
        names.lines().map(str::to_owned).collect()
    }

    fn taken_back(&self) -> usize {
        let log = std::fs::read_to_string(self.cluster.folder().join("worker-0.log")).unwrap_or_default();
        log.matches(TAKEN_BACK).count()
    }
}
