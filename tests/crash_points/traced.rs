//! A coordinator under strace, which injects one fault into its n-th call that changes a file.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dockmgr_client::{Client, Options};
use dockmgr_support::channel::{Address, Credentials};
use dockmgr_support::secret::ApiToken;
use dockmgr_tests::process::Process;
use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

/// The calls by which the store and the logs change files. `write` is left out: it is how log lines and wake-ups go.
const CHANGES: &str =
    "pwrite64,pwritev,fdatasync,fsync,ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,mkdir";
/// Deadline of one call: short, for the coordinator may be gone in the middle of it.
const CALL: Duration = Duration::from_secs(10);
/// Pause between two looks for a coordinator.
const PAUSE: Duration = Duration::from_millis(50);

/// What happens at the n-th call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed before it.
    Kill,
    /// A sync gives EIO.
    SyncFails,
    /// A write gives ENOSPC.
    DiskFull,
}

/// The coordinator of a cluster, traced.
pub(crate) struct Traced {
    process: Process,
    log: PathBuf,
}

impl Traced {
    /// Starts the coordinator of `cluster`; does not wait until it serves, for it may never.
    pub(crate) fn start(cluster: &Cluster, fault: Fault, point: usize) -> Self {
        let coordinator = cluster.coordinator_command();
        let coordinator = coordinator.as_std();
        let inject = match fault {
            Fault::Kill => format!("inject={CHANGES}:signal=SIGKILL:when={point}"),
            Fault::SyncFails => format!("inject=fdatasync,fsync:error=EIO:when={point}"),
            Fault::DiskFull => format!("inject=pwrite64,pwritev:error=ENOSPC:when={point}"),
        };
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-e", &format!("trace={CHANGES}"), "-e", &inject, "-o"])
            .arg(cluster.folder().join("strace.log"))
            .arg(coordinator.get_program())
            .args(coordinator.get_args())
            .env_clear()
            .envs(coordinator.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(cluster.folder());
        let log = cluster.folder().join("traced.log");
        Self { process: Process::start("traced coordinator", &mut command, &log), log }
    }

    /// Whether the coordinator has ended, which ends strace.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Asks it to end; whether it ended as one does that a fault has hit.
    pub(crate) async fn stop(&mut self) -> bool {
        let tasks = format!("/proc/{0}/task/{0}/children", self.process.id());
        wait_until("the traced coordinator to end", STEP_LIMIT, async || {
            let children = std::fs::read_to_string(&tasks).unwrap_or_default();
            let child = children.split_whitespace().next().and_then(|id| Pid::from_raw(id.parse().ok()?));
            if let Some(child) = child {
                // It may have ended this moment.
                let _gone = kill_process(child, Signal::TERM);
            }
            if self.process.has_ended() { Ok(()) } else { Err(self.log_tail()) }
        })
        .await;
        !self.process.wait(STEP_LIMIT).await.success()
    }

    /// The last lines it wrote.
    pub(crate) fn log_tail(&self) -> String {
        dockmgr_tests::process::tail(&self.log, 20)
    }
}

impl Fault {
    /// Whether a coordinator that ended by itself ended as it should: killed, or with a failure it names.
    pub(crate) async fn ended_well(self, traced: &mut Traced) -> bool {
        let status = traced.process.wait(STEP_LIMIT).await;
        match self {
            Self::Kill => !status.success(),
            Self::SyncFails | Self::DiskFull => {
                status.code() == Some(1) && traced.log_tail().contains("error: ")
            }
        }
    }
}

/// The seed of the sample: given, or fresh.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("DOCKMGR_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| fastrand::u64(..1 << 32))
}

/// Some points, in order.
pub(crate) fn sample(fault: Fault, seed: u64, size: usize) -> Vec<usize> {
    // About as many calls as the busiest thread makes in a start and one job.
    let calls = match fault {
        Fault::Kill => 40,
        Fault::SyncFails => 20,
        Fault::DiskFull => 30,
    };
    let mut points = fastrand::Rng::with_seed(seed).choose_multiple(1..=calls, size);
    points.sort_unstable();
    points
}

/// A client that waits for a coordinator that is not there yet.
pub(crate) async fn patient_client(server: &str, token: &ApiToken) -> Client {
    let deadline = Instant::now() + STEP_LIMIT * 2;
    loop {
        let address = Address::parse(server).expect("a URL");
        let credentials = Credentials { token: Some(token.clone()), ..Credentials::default() };
        let options = Options { call_timeout: CALL, ..Options::new(vec![address], credentials) };
        match Client::connect(options).await {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "no coordinator answers: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
