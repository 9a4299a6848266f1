//! Attempts on a real Docker daemon: what scripts, stops and kills do to real processes, and what is left.
//!
//! Needs a daemon and an image with bash and coreutils (`DOCKMGR_TEST_IMAGE`, else `dockmgr/base:local`).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dockmgr_core::agent::ContainerIdentity;
use dockmgr_core::cluster::{Progress, Start, StopCause};
use dockmgr_core::ids::{AttemptId, ClusterId, JobUid, NodeId};
use dockmgr_core::log::{End, Entry, Offsets, Record};
use dockmgr_core::outcome::{AttemptEnd, EndReason};
use dockmgr_core::spec::{
    Command, Entrypoint, ImageRef, JobSpec, NetworkMode, OnLost, PullPolicy, Resources, Shell,
};
use dockmgr_core::time::BootTime;
use dockmgr_support::clock;
use dockmgr_support::tasks::Tasks;
use dockmgr_worker::attempt::{AllowedMounts, Attempts, Context, UsageBoard};
use dockmgr_worker::fence::LeaderContact;
use dockmgr_worker::health::Health;
use dockmgr_worker::images::{Images, Index};
use dockmgr_worker::journal::{Journal, JournalFile};
use dockmgr_worker::metrics::Metrics;
use dockmgr_worker::outbox::Outbox;
use dockmgr_worker::runtime::docker::auth::Credentials;
use dockmgr_worker::runtime::docker::{DEFAULT_SOCKET, Docker};
use dockmgr_worker::runtime::{AnyRuntime, Runtime as _};
use dockmgr_worker::spool::{Spool, Watermark};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longest wait for a condition: far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// One worker's attempts on the machine's daemon, with labels of its own.
struct Worker {
    attempts: Attempts,
    tasks: Tasks,
    identity: ContainerIdentity,
    folder: TempDir,
}

impl Worker {
    /// A worker; `None` if the person who runs the tests allows to go without Docker.
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    async fn new() -> Option<Self> {
        if std::env::var_os("DOCKMGR_SKIP_DOCKER").is_some_and(|value| value == "1") {
            eprintln!("SKIPPED: DOCKMGR_SKIP_DOCKER=1");
            return None;
        }
        let identity = ContainerIdentity { cluster: ClusterId(Uuid::now_v7()), node: NodeId(Uuid::now_v7()) };
        let folder = tempfile::tempdir().expect("temporary folder");
        Some(Self::open(identity, folder, 1).await)
    }

    async fn open(identity: ContainerIdentity, folder: TempDir, starts: u32) -> Self {
        let (tasks, root) = (Tasks::default(), folder.path());
        let file = JournalFile::open(&root.join("journal")).expect("the journal opens");
        let entries = file.entries().clone();
        let runtime = AnyRuntime::Docker(Docker::new(DEFAULT_SOCKET));
        let health = Health::default();
        health.probe(&runtime, root, Watermark::default()).await;
        health
            .daemon()
            .expect("a Docker daemon must answer at /var/run/docker.sock, or DOCKMGR_SKIP_DOCKER=1");
        let contact = LeaderContact::open(root, "boot").expect("the contact file opens");
        contact.heard(BootTime(clock::boot_nanos()));
        let known = OnceLock::new();
        known.get_or_init(|| identity);
        let credentials = Credentials::in_folder(root);
        let context = Context {
            journal: Journal::start(file, &tasks, CancellationToken::new()),
            outbox: Outbox::new(starts),
            spool: Spool::open(root.join("spool")).await.expect("the spool opens"),
            images: Images::new(
                runtime.clone(),
                credentials,
                Index::open(root),
                tasks.clone(),
                Metrics::default(),
            ),
            health,
            contact,
            guard: None,
            identity: Arc::new(known),
            node_name: "n1".into(),
            boot_id: "boot".into(),
            allowed_mounts: AllowedMounts::default(),
            starts: Arc::new(Semaphore::new(4)),
            usage: UsageBoard::default(),
            tracer: dockmgr_support::traces::Tracer::default(),
            metrics: Metrics::default(),
            tasks: tasks.clone(),
            runtime,
        };
        let attempts = Attempts::new(Arc::new(context));
        attempts.adopt(entries);
        // The leader is in touch.
        attempts.confirm();
        Self { attempts, tasks, identity, folder }
    }

    /// Ends as a killed process would and starts again on the same folder.
    async fn crash_and_restart(self) -> Self {
        let Self { attempts, tasks, identity, folder } = self;
        tasks.token().cancel();
        drop(attempts);
        assert_eq!(tasks.shut_down(Duration::from_secs(20)).await, Vec::<&str>::new());
        Self::open(identity, folder, 2).await
    }

    fn run(&self, job: u64, command: Command) -> AttemptId {
        let start = start(job, command);
        let attempt = start.attempt;
        self.attempts.start(start);
        attempt
    }

    async fn ended(&self, attempt: AttemptId) -> AttemptEnd {
        let end = self.progress(attempt, |progress| match progress {
            Progress::Ended(end) => Some(*end),
            _ => None,
        });
        end.await
    }

    async fn running(&self, attempt: AttemptId) {
        self.progress(attempt, |progress| matches!(progress, Progress::Running { .. }).then_some(())).await;
    }

    async fn progress<T>(&self, attempt: AttemptId, wanted: impl Fn(Progress) -> Option<T>) -> T {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let reports = self.attempts.context().outbox.all();
            let found = reports.into_iter().find(|report| report.attempt == attempt);
            if let Some(found) = found.and_then(|report| wanted(report.progress)) {
                return found;
            }
            assert!(Instant::now() < give_up, "attempt {attempt} did not get there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the output holds `text`, so that a signal comes after what the script prepared.
    async fn says(&self, attempt: AttemptId, text: &str) {
        let give_up = Instant::now() + PATIENCE;
        while !self.output(attempt).await.contains(text) {
            assert!(Instant::now() < give_up, "attempt {attempt} never said {text:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn output(&self, attempt: AttemptId) -> String {
        let spool = self.attempts.context().spool.attempt(attempt).await.expect("a spool");
        let mut cursor = spool.cursor(Offsets::default());
        let mut text = Vec::new();
        loop {
            let entries = cursor.read().await.expect("reads");
            if entries.is_empty() {
                return String::from_utf8_lossy(&text).into_owned();
            }
            for entry in entries {
                if let Entry::Data(Record { bytes, .. }) = entry {
                    text.extend_from_slice(&bytes);
                }
            }
        }
    }

    /// Plays the coordinator to the end and checks that nothing is left on the daemon.
    async fn leaves_nothing(self) {
        for report in self.attempts.context().outbox.all() {
            self.attempts.acknowledge(report.attempt, report.sequence);
            self.attempts.log_end_durable(report.attempt);
        }
        let give_up = Instant::now() + PATIENCE;
        while !self.attempts.known().is_empty() {
            assert!(Instant::now() < give_up, "attempts were not forgotten");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = self.attempts.context().runtime.list(&self.identity.labels()).await.expect("lists");
        assert!(left.is_empty(), "{left:?}");
        assert!(self.attempts.context().spool.attempts().is_empty());
    }
}

fn start(job: u64, command: Command) -> Box<Start> {
    let image = std::env::var("DOCKMGR_TEST_IMAGE").unwrap_or_else(|_| "dockmgr/base:local".to_owned());
    let spec = JobSpec {
        name: None,
        labels: BTreeMap::new(),
        image: ImageRef::parse(&image).expect("a reference"),
        command,
        env: Vec::new(),
        working_dir: None,
        user: None,
        resources: Resources { cpu_millis: 500, memory: 64 << 20, gpus: 0 },
        pids_limit: 128,
        timeout: None,
        queue_timeout: None,
        retries: 0,
        priority: 0,
        constraints: Vec::new(),
        array: None,
        pull: PullPolicy::Missing,
        grace: Duration::from_secs(20),
        stop_signal: None,
        network: NetworkMode::None,
        mounts: Vec::new(),
        read_only: false,
        log_limit: 64 << 20,
        keep_image: false,
        on_lost: OnLost::Retry,
    };
    let attempt = AttemptId::from_parts(job, 0, 1).expect("numbers from 1");
    Box::new(Start { attempt, spec, job_uid: JobUid(Uuid::now_v7()), task_count: 1, pinned_digest: None })
}

fn script(text: &str) -> Command {
    Command::Script { text: text.into(), shell: Shell::Auto, entrypoint: Entrypoint::None }
}

fn argv(words: &[&str]) -> Command {
    let args = words.iter().map(|word| (*word).to_owned()).collect();
    Command::Argv { args, entrypoint: Entrypoint::None }
}

#[tokio::test]
async fn commands_and_scripts_end_with_their_own_code_and_exact_output() {
    let Some(worker) = Worker::new().await else { return };
    let rows = [
        (argv(&["sh", "-c", "exit 7"]), 7, ""),
        (argv(&["echo", "$HOME", "a  b"]), 0, "$HOME a  b\n"),
        (argv(&["no-such-program"]), 127, ""),
        (argv(&["/etc/passwd"]), 126, ""),
        (script("exit 7"), 7, ""),
        (script("seq 100 | tail -1 | sed 's/1/x/'"), 0, "x00\n"),
        (script("echo \"quotes ' and \\$ and $((6*7))\"\nfalse\necho $?"), 0, "quotes ' and $ and 42\n1\n"),
        (script("set -o pipefail; false | true"), 1, ""),
        (script("echo ${BASH_VERSION:+bash}; trap 'echo bye' EXIT; exit 3"), 3, "bash\nbye\n"),
        (script("echo $DOCKMGR_TASK.$DOCKMGR_ATTEMPT $DOCKMGR_TASK_COUNT $DOCKMGR_NODE"), 0, "0.1 1 n1\n"),
        (script("kill -9 $$"), 137, ""),
    ];
    let started = (1..)
        .zip(rows)
        .map(|(job, (command, code, output))| (worker.run(job, command.clone()), command, code, output));
    for (attempt, command, code, output) in started.collect::<Vec<_>>() {
        let end = worker.ended(attempt).await;
        assert_eq!(end.exit_code, Some(code), "{command:?}: {end:?}");
        let reason = if code == 137 { EndReason::Signaled } else { EndReason::Exited };
        assert_eq!(end.reason, reason, "{command:?}");
        assert!(end.log_end.as_ref().is_some_and(End::is_complete), "{command:?}: {end:?}");
        if code < 126 {
            assert_eq!(worker.output(attempt).await, output, "{command:?}");
        }
    }
    worker.leaves_nothing().await;
}

#[tokio::test]
async fn a_stop_gives_the_children_of_a_script_their_time() {
    let Some(worker) = Worker::new().await else { return };
    // A child that needs a second to end cleanly, in the ways scripts hold children.
    let child = "bash -c 'trap \"sleep 1; echo tidy; exit 0\" TERM; echo up; while :; do sleep 0.1; done'";
    let own = "trap 'sleep 1; echo tidy; exit 0' TERM; echo up; while :; do sleep 0.1; done";
    let rows = [
        (format!("{child}; echo never"), Some("tidy"), 143),
        (format!("(cd /tmp; {child}; echo never); echo never"), Some("tidy"), 143),
        (format!("{child} & wait; echo never"), Some("tidy"), 143),
        ("echo up; sleep 1000; echo never".to_owned(), None, 143),
        (own.to_owned(), Some("tidy"), 0),
    ];
    let started =
        (1..).zip(rows).map(|(job, (text, last, code))| (worker.run(job, script(&text)), text, last, code));
    let started: Vec<_> = started.collect();
    for (attempt, ..) in &started {
        worker.says(*attempt, "up").await;
        worker.attempts.stop(*attempt, StopCause::Stop, None, None);
    }
    for (attempt, text, last, code) in started {
        let end = worker.ended(attempt).await;
        assert_eq!((end.reason, end.exit_code), (EndReason::Stopped, Some(code)), "{text}: {end:?}");
        let output = worker.output(attempt).await;
        assert!(last.is_none_or(|last| output.contains(last)), "{text}: {output:?}");
        assert!(!output.contains("never"), "{text}: {output:?}");
    }
    worker.leaves_nothing().await;
}

#[tokio::test]
async fn what_ignores_the_stop_is_killed_after_its_grace_and_a_kill_does_not_wait() {
    let Some(worker) = Worker::new().await else { return };
    let stubborn = worker.run(1, script("trap '' TERM; echo up; while :; do sleep 0.1; done"));
    worker.says(stubborn, "up").await;
    worker.attempts.stop(stubborn, StopCause::Stop, None, Some(Duration::from_secs(1)));
    let end = worker.ended(stubborn).await;
    assert_eq!((end.reason, end.exit_code), (EndReason::Stopped, Some(137)));
    let asleep = worker.run(2, argv(&["sleep", "1000"]));
    worker.running(asleep).await;
    worker.attempts.stop(asleep, StopCause::Kill, None, Some(Duration::ZERO));
    let end = worker.ended(asleep).await;
    assert_eq!((end.reason, end.exit_code), (EndReason::Killed, Some(137)));
    worker.leaves_nothing().await;
}

#[tokio::test]
async fn a_worker_that_died_adopts_its_containers_and_loses_no_byte() {
    let Some(worker) = Worker::new().await else { return };
    let text = "for i in $(seq 3000); do echo line $i; [ $((i % 300)) = 0 ] && sleep 0.2; done; exit 9";
    let attempt = worker.run(1, script(text));
    worker.says(attempt, "line 600\n").await;
    let worker = worker.crash_and_restart().await;
    let end = worker.ended(attempt).await;
    assert_eq!((end.reason, end.exit_code), (EndReason::Exited, Some(9)), "{end:?}");
    let expected: Vec<String> = (1..=3000).map(|i| format!("line {i}\n")).collect();
    assert!(worker.output(attempt).await == expected.concat(), "the output is not what the script wrote");
    assert!(end.log_end.is_some_and(|log| log.is_complete()));
    worker.leaves_nothing().await;
}

#[tokio::test]
async fn memory_and_usage_are_told() {
    let Some(worker) = Worker::new().await else { return };
    let hog = worker.run(1, script("exec tail /dev/zero"));
    let busy = worker.run(2, script("end=$((SECONDS + 4)); while [ $SECONDS -lt $end ]; do :; done"));
    let end = worker.ended(hog).await;
    assert_eq!((end.reason, end.oom_seen), (EndReason::Oom, true), "{end:?}");
    let usage = worker.ended(busy).await.usage.expect("it ran for seconds");
    assert!(usage.cpu > Duration::from_millis(100) && usage.peak_memory > 0, "{usage:?}");
    worker.leaves_nothing().await;
}
