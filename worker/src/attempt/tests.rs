//! Drivers against the fake daemon: one start, one result, nothing left, whatever is lost in between.

use std::time::Duration;

use dockmgr_core::agent::container_name;
use dockmgr_core::cluster::{Progress, Start, StopCause};
use dockmgr_core::ids::{AttemptId, ClusterId, NodeId};
use dockmgr_core::outcome::{AttemptEnd, EndReason};
use dockmgr_core::spec::OnLost;
use dockmgr_core::time::BootTime;
use dockmgr_support::clock;
use dockmgr_support::traces::Tracer;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::fence::watch_forever;
use crate::images::Index;
use crate::journal::JournalFile;
use crate::runtime::docker::auth::Credentials;
use crate::runtime::fake::{Fake, Fault};
use crate::runtime::{Call, ImageFailure, Runtime as _};
use crate::testing::{start, wait_until};

mod fencing;

const IDENTITY: ContainerIdentity =
    ContainerIdentity { cluster: ClusterId(Uuid::from_u128(1)), node: NodeId(Uuid::from_u128(2)) };

/// One data folder and one daemon, over any number of worker lives.
struct Rig {
    folder: TempDir,
    fake: Fake,
    starts: u32,
}

/// One life of the worker's attempts.
struct Life {
    attempts: Attempts,
    tasks: Tasks,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        Self { folder, fake: Fake::new(8, 8 << 30), starts: 0 }
    }

    async fn boot(&mut self) -> Life {
        let contact = LeaderContact::open(self.folder.path(), "boot").expect("the contact file opens");
        touch(&contact);
        self.boot_without_contact().await
    }

    /// Starts the attempts of a worker that has not reached its leader yet.
    async fn boot_without_contact(&mut self) -> Life {
        self.starts += 1;
        let (tasks, root) = (Tasks::default(), self.folder.path());
        let file = JournalFile::open(&root.join("journal")).expect("the journal opens");
        let entries = file.entries().clone();
        let runtime = AnyRuntime::Fake(self.fake.clone());
        let health = Health::default();
        health.probe(&runtime, root, crate::spool::Watermark::default()).await;
        let credentials = Credentials::in_folder(root);
        let identity = OnceLock::new();
        identity.get_or_init(|| IDENTITY);
        let context = Context {
            journal: Journal::start(file, &tasks, tokio_util::sync::CancellationToken::new()),
            outbox: Outbox::new(self.starts),
            spool: Spool::open(root.join("spool")).await.expect("the spool opens"),
            images: Images::new(
                runtime.clone(),
                credentials,
                Index::open(root),
                tasks.clone(),
                Metrics::default(),
            ),
            health,
            identity: Arc::new(identity),
            guard: Some(Records::open(root, "boot").expect("the guard's folder opens")),
            contact: LeaderContact::open(root, "boot").expect("the contact file opens"),
            node_name: "n1".into(),
            boot_id: "boot".into(),
            allowed_mounts: AllowedMounts::default(),
            starts: Arc::new(Semaphore::new(4)),
            usage: UsageBoard::default(),
            metrics: Metrics::default(),
            tracer: Tracer::default(),
            tasks: tasks.clone(),
            runtime,
        };
        let attempts = Attempts::new(Arc::new(context));
        attempts.adopt(entries);
        // The leader is in touch.
        attempts.confirm();
        Life { attempts, tasks }
    }

    fn runs(&self, attempt: AttemptId) -> Option<u32> {
        self.fake.runs(&container_name(IDENTITY.cluster, attempt))
    }
}

/// The leader has just answered.
fn touch(contact: &LeaderContact) {
    contact.set_fence_after(Duration::from_secs(240));
    contact.heard(BootTime(clock::boot_nanos()));
}

impl Life {
    /// Ends at once, as a killed process would: nothing is finished, nothing is said.
    async fn crash(self) {
        let Self { attempts, tasks } = self;
        tasks.token().cancel();
        drop(attempts);
        assert_eq!(tasks.shut_down(Duration::from_secs(20)).await, Vec::<&str>::new());
    }

    fn end_of(&self, attempt: AttemptId) -> Option<(u64, AttemptEnd)> {
        let reports = self.attempts.context().outbox.all();
        let report = reports.into_iter().find(|report| report.attempt == attempt)?;
        match report.progress {
            Progress::Ended(end) => Some((report.sequence, *end)),
            Progress::Accepted
            | Progress::Pulling(_)
            | Progress::Starting { .. }
            | Progress::Running { .. }
            | Progress::Stopping { .. } => None,
        }
    }

    async fn ended(&self, attempt: AttemptId) -> AttemptEnd {
        wait_until("the attempt ends", || self.end_of(attempt)).await.1
    }

    async fn running(&self, attempt: AttemptId) {
        let runs = || {
            let reports = self.attempts.context().outbox.all();
            reports.into_iter().find(|report| {
                report.attempt == attempt && matches!(report.progress, Progress::Running { .. })
            })
        };
        wait_until("the attempt runs", runs).await;
    }

    /// Plays the coordinator to the end: result stored, output delivered, nothing left.
    async fn settle(&self, attempt: AttemptId) {
        let sequence = wait_until("the attempt ends", || self.end_of(attempt)).await.0;
        self.attempts.acknowledge(attempt, sequence);
        self.attempts.log_end_durable(attempt);
        wait_until("the attempt is forgotten", || self.attempts.known().is_empty().then_some(())).await;
    }
}

#[tokio::test]
async fn an_attempt_runs_once_is_reported_and_leaves_nothing() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    let start = start(1, "image:1", "echo hi; exit 7");
    let attempt = start.attempt;
    life.attempts.start(start.clone());
    life.attempts.start(start);
    let end = life.ended(attempt).await;
    assert_eq!((end.reason, end.exit_code), (EndReason::Exited, Some(7)));
    assert_eq!(end.log_end.as_ref().map(|log| (log.offsets.stdout, log.is_complete())), Some((3, true)));
    assert_eq!(rig.runs(attempt), Some(1));
    life.settle(attempt).await;
    assert_eq!(rig.runs(attempt), None, "the container is gone");
    assert!(life.attempts.context().spool.attempts().is_empty());
    assert!(life.attempts.context().outbox.all().is_empty());
    life.crash().await;
    assert!(rig.boot().await.attempts.known().is_empty(), "the journal forgot it too");
}

#[tokio::test]
async fn a_result_and_its_container_stay_until_both_are_durable() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    let start = start(1, "image:1", "true");
    let attempt = start.attempt;
    life.attempts.start(start);
    let before = wait_until("ends", || life.end_of(attempt)).await;
    life.attempts.acknowledge(attempt, before.0);
    life.crash().await;
    let life = rig.boot().await;
    let after = wait_until("is told again", || life.end_of(attempt)).await;
    assert!(after.0 > before.0, "report numbers grow over restarts");
    assert_eq!(after.1, before.1, "a result never changes");
    assert_eq!(rig.runs(attempt), Some(1), "its output is not delivered yet");
    life.settle(attempt).await;
}

#[tokio::test]
async fn lost_answers_never_make_a_second_start() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        for call in [Call::InspectImage, Call::Create, Call::Start, Call::Inspect, Call::Attach, Call::Remove]
        {
            let mut rig = Rig::new();
            let life = rig.boot().await;
            rig.fake.order_fault(call, fault.clone());
            let start = start(1, "image:1", "exit 3");
            let attempt = start.attempt;
            life.attempts.start(start);
            let end = life.ended(attempt).await;
            let case = format!("{call} {fault:?}");
            match end.reason {
                EndReason::Exited => assert_eq!(end.exit_code, Some(3), "{case}"),
                EndReason::InfraUnknown => assert!(call == Call::Start && end.retryable, "{case}: {end:?}"),
                other => panic!("{case}: {other}"),
            }
            assert!(rig.runs(attempt).unwrap_or(0) <= 1, "{case}");
            life.settle(attempt).await;
            assert_eq!(rig.runs(attempt), None, "{case}: something is left");
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_moment_gives_one_run_and_one_true_result() {
    for millis in 0..40 {
        let mut rig = Rig::new();
        let life = rig.boot().await;
        let start = start(1, "image:1", "echo one; sleep 0.02; echo two; exit 4");
        let attempt = start.attempt;
        life.attempts.start(start.clone());
        tokio::time::sleep(Duration::from_millis(millis)).await;
        life.crash().await;
        let life = rig.boot().await;
        // A coordinator whose start was not taken in sends it again.
        life.attempts.start(start);
        let end = life.ended(attempt).await;
        match end.reason {
            EndReason::Exited => {
                assert_eq!(end.exit_code, Some(4), "after {millis} ms");
                let stdout = end.log_end.as_ref().map(|log| log.offsets.stdout);
                assert_eq!(stdout, Some(8), "after {millis} ms: {end:?}");
            }
            EndReason::InfraUnknown => assert!(end.retryable, "after {millis} ms: {end:?}"),
            other => panic!("after {millis} ms: {other}: {}", end.message),
        }
        assert!(rig.runs(attempt).unwrap_or(0) <= 1, "after {millis} ms: it ran twice");
        life.settle(attempt).await;
        assert_eq!(rig.runs(attempt), None, "after {millis} ms: something is left");
        life.crash().await;
    }
}

#[tokio::test]
async fn a_stop_signals_and_a_command_that_ignores_it_is_killed() {
    for (script, cause, grace, reason, code) in [
        ("sleep 100", StopCause::Stop, 5000, EndReason::Stopped, 143),
        ("trap '' TERM; sleep 100", StopCause::Stop, 100, EndReason::Stopped, 137),
        ("sleep 100", StopCause::Kill, 0, EndReason::Killed, 137),
    ] {
        let mut rig = Rig::new();
        let life = rig.boot().await;
        let start = start(1, "image:1", script);
        let attempt = start.attempt;
        life.attempts.start(start);
        life.running(attempt).await;
        life.attempts.stop(attempt, cause, None, Some(Duration::from_millis(grace)));
        let end = life.ended(attempt).await;
        assert_eq!((end.reason, end.exit_code), (reason, Some(code)), "{script}");
        life.settle(attempt).await;
    }
}

#[tokio::test]
async fn a_stop_before_the_start_never_runs_anything() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    rig.fake.order_fault(Call::Create, Fault::LostBefore);
    let start = start(1, "image:1", "echo must not run");
    let attempt = start.attempt;
    life.attempts.start(start);
    life.attempts.stop(attempt, StopCause::Stop, None, None);
    let end = life.ended(attempt).await;
    assert_eq!((end.reason, end.exit_code), (EndReason::Stopped, None));
    assert_eq!(rig.runs(attempt).unwrap_or(0), 0);
    life.settle(attempt).await;
}

#[tokio::test]
async fn a_run_time_out_ends_the_attempt_as_such() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    let mut start = start(1, "image:1", "sleep 100");
    start.spec.timeout = Some(Duration::from_millis(100));
    let attempt = start.attempt;
    life.attempts.start(start);
    assert_eq!(life.ended(attempt).await.reason, EndReason::Timeout);
    life.settle(attempt).await;
}

#[tokio::test]
async fn an_image_that_does_not_exist_fails_with_its_class() {
    let mut rig = Rig::new();
    rig.fake.break_image("image:1", Some(ImageFailure::NotFound));
    let life = rig.boot().await;
    let start = start(1, "image:1", "true");
    let attempt = start.attempt;
    life.attempts.start(start);
    let end = life.ended(attempt).await;
    assert_eq!((end.reason, end.retryable), (EndReason::ImageFailed, false));
    assert!(end.message.contains("not found"), "{}", end.message);
    assert!(end.log_end.is_some_and(|log| log.is_complete()), "even nothing has an end");
    life.settle(attempt).await;
}

#[tokio::test]
async fn a_mount_nobody_allowed_is_rejected() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    let mut start = start(1, "image:1", "true");
    start.spec.mounts =
        vec![dockmgr_core::spec::Mount::Bind { source: "/tmp".into(), target: "/x".into(), read_only: true }];
    let attempt = start.attempt;
    life.attempts.start(start);
    assert_eq!(life.ended(attempt).await.reason, EndReason::Rejected);
    life.settle(attempt).await;
}

#[tokio::test]
async fn a_forgotten_attempt_is_ended_and_leaves_nothing() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    let start = start(1, "image:1", "sleep 100");
    let attempt = start.attempt;
    life.attempts.start(start);
    life.running(attempt).await;
    life.attempts.forget(attempt);
    wait_until("it is forgotten", || life.attempts.known().is_empty().then_some(())).await;
    assert_eq!(rig.runs(attempt), None);
    assert!(life.attempts.context().spool.attempts().is_empty());
}

#[tokio::test]
async fn an_attempt_that_was_being_ended_before_its_start_never_runs() {
    let mut rig = Rig::new();
    let start = start(1, "image:1", "echo seen");
    let attempt = start.attempt;
    // A process that was killed between the end of the output and the record of the end.
    let file = JournalFile::open(&rig.folder.path().join("journal")).expect("the journal opens");
    let tasks = Tasks::default();
    let journal = Journal::start(file, &tasks, tokio_util::sync::CancellationToken::new());
    let change = crate::journal::Change::Intent(start);
    journal.append(crate::journal::Record { attempt, change }).await.expect("is written");
    let spool = Spool::open(rig.folder.path().join("spool")).await.expect("the spool opens");
    let spool = spool.attempt(attempt).await.expect("opens");
    spool
        .append(vec![dockmgr_core::log::Entry::End(dockmgr_core::log::End {
            offsets: dockmgr_core::log::Offsets::default(),
            marks: Vec::new(),
        })])
        .await
        .expect("ends");
    drop((journal, spool));
    tasks.token().cancel();
    assert_eq!(tasks.shut_down(Duration::from_secs(20)).await, Vec::<&str>::new());

    let life = rig.boot().await;
    let end = life.ended(attempt).await;
    assert_eq!((end.reason, end.retryable), (EndReason::InfraUnknown, true), "{end:?}");
    assert_eq!(rig.runs(attempt).unwrap_or(0), 0, "its output would be lost");
    life.settle(attempt).await;
    life.crash().await;
}

#[tokio::test]
async fn nothing_runs_whose_output_would_have_no_place() {
    let mut rig = Rig::new();
    let life = rig.boot().await;
    let spool = rig.folder.path().join("spool");
    std::fs::remove_dir_all(&spool).expect("removes the spool");
    // As on a full disk, no folder can be made in it.
    std::fs::write(&spool, "").expect("takes its place");
    let start = start(1, "test", "echo seen; exit 0");
    let attempt = start.attempt;
    life.attempts.start(start);
    let end = life.ended(attempt).await;
    assert_eq!((end.reason, end.retryable), (EndReason::StartFailed, true), "{end:?}");
    assert!(end.message.contains("its output has no place here"), "{end:?}");
    assert_eq!(rig.runs(attempt).unwrap_or(0), 0);
    life.crash().await;
}
