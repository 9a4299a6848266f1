//! One worker's attempts on a misbehaving daemon.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dockmgr_core::agent::{ContainerIdentity, container_name};
use dockmgr_core::cluster::{Progress, Start};
use dockmgr_core::ids::{AttemptId, ClusterId, NodeId};
use dockmgr_core::outcome::{AttemptEnd, EndReason};
use dockmgr_core::time::BootTime;
use dockmgr_support::tasks::Tasks;
use dockmgr_support::traces::Tracer;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::attempt::{AllowedMounts, Attempts, Context, UsageBoard};
use crate::fence::LeaderContact;
use crate::health::Health;
use crate::images::{Images, Index};
use crate::journal::{Journal, JournalFile};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::runtime::docker::auth::Credentials;
use crate::runtime::docker::testing::FakeDocker;
use crate::runtime::{AnyRuntime, ContainerId};
use crate::spool::{Spool, Watermark};
use crate::testing::{start, wait_until};

pub(super) const IDENTITY: ContainerIdentity =
    ContainerIdentity { cluster: ClusterId(Uuid::from_u128(1)), node: NodeId(Uuid::from_u128(2)) };

/// Watermark that no disk is below.
pub(super) const NO_WATERMARK: Watermark = Watermark { percent: 0, enough: 0 };

/// A worker without a coordinator, and its daemon.
pub(super) struct Rig {
    pub(super) daemon: FakeDocker,
    pub(super) attempts: Attempts,
    pub(super) health: Health,
    pub(super) runtime: AnyRuntime,
    pub(super) folder: TempDir,
    tasks: Tasks,
    starts: u32,
}

impl Rig {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        Self::on(FakeDocker::start(), folder, 1).await
    }

    async fn on(daemon: FakeDocker, folder: TempDir, starts: u32) -> Self {
        let (tasks, root) = (Tasks::default(), folder.path());
        let file = JournalFile::open(&root.join("journal")).expect("the journal opens");
        let entries = file.entries().clone();
        let runtime = AnyRuntime::Docker(daemon.client());
        let health = Health::default();
        health.probe(&runtime, root, NO_WATERMARK).await;
        let contact = LeaderContact::open(root, "boot").expect("the contact file opens");
        // No test of this matrix is about the leader: its fence is an hour away.
        contact.set_fence_after(Duration::from_secs(3600));
        contact.heard(BootTime(dockmgr_support::clock::boot_nanos()));
        let identity = OnceLock::new();
        identity.get_or_init(|| IDENTITY);
        let context = Context {
            journal: Journal::start(file, &tasks, tokio_util::sync::CancellationToken::new()),
            outbox: Outbox::new(starts),
            spool: Spool::open(root.join("spool")).await.expect("the spool opens"),
            images: Images::new(
                runtime.clone(),
                Credentials::in_folder(root),
                Index::open(root),
                tasks.clone(),
                Metrics::default(),
            ),
            health: health.clone(),
            identity: Arc::new(identity),
            contact,
            guard: None,
            node_name: "n1".into(),
            boot_id: "boot".into(),
            allowed_mounts: AllowedMounts::default(),
            starts: Arc::new(Semaphore::new(4)),
            usage: UsageBoard::default(),
            metrics: Metrics::default(),
            tracer: Tracer::default(),
            tasks: tasks.clone(),
            runtime: runtime.clone(),
        };
        let attempts = Attempts::new(Arc::new(context));
        attempts.adopt(entries);
        Self { daemon, attempts, health, runtime, folder, tasks, starts }
    }

    /// Ends the worker at once, as `kill -9` does, lets `meanwhile` happen and starts it again.
    pub(super) async fn crash(self, meanwhile: impl AsyncFnOnce(&FakeDocker)) -> Self {
        let Self { daemon, attempts, tasks, folder, starts, .. } = self;
        tasks.token().cancel();
        drop(attempts);
        assert_eq!(tasks.shut_down(Duration::from_secs(20)).await, Vec::<&str>::new());
        meanwhile(&daemon).await;
        Self::on(daemon, folder, starts + 1).await
    }

    /// Begins an attempt of `script`.
    pub(super) fn run(&self, job: u64, script: &str) -> AttemptId {
        self.run_as(start(job, "image:1", script))
    }

    pub(super) fn run_as(&self, start: Box<Start>) -> AttemptId {
        let attempt = start.attempt;
        self.attempts.start(start);
        attempt
    }

    /// How often the container of an attempt ran; `None` if there is none.
    pub(super) fn runs(&self, attempt: AttemptId) -> Option<u32> {
        self.daemon.fake.runs(&container_name(IDENTITY.cluster, attempt))
    }

    /// The container of an attempt by its name.
    pub(super) fn container(attempt: AttemptId) -> ContainerId {
        ContainerId::parse(&container_name(IDENTITY.cluster, attempt)).expect("a name")
    }

    pub(super) fn progress(&self, attempt: AttemptId) -> Option<Progress> {
        let reports = self.attempts.context().outbox.all();
        reports.into_iter().find(|report| report.attempt == attempt).map(|report| report.progress)
    }

    pub(super) fn end_of(&self, attempt: AttemptId) -> Option<AttemptEnd> {
        match self.progress(attempt)? {
            Progress::Ended(end) => Some(*end),
            Progress::Accepted
            | Progress::Pulling(_)
            | Progress::Starting { .. }
            | Progress::Running { .. }
            | Progress::Stopping { .. } => None,
        }
    }

    pub(super) async fn ended(&self, attempt: AttemptId) -> AttemptEnd {
        wait_until("the attempt ends", || self.end_of(attempt)).await
    }

    /// The end must be the command's own with this code.
    pub(super) async fn expect_exit(&self, attempt: AttemptId, code: u8, case: &str) -> AttemptEnd {
        let end = self.ended(attempt).await;
        assert_eq!((end.reason, end.exit_code), (EndReason::Exited, Some(code)), "{case}: {end:?}");
        end
    }

    /// The end must be unknown, worth another attempt, and without a code.
    pub(super) async fn expect_unknown(&self, attempt: AttemptId, case: &str) -> AttemptEnd {
        let end = self.ended(attempt).await;
        assert_eq!((end.reason, end.exit_code), (EndReason::InfraUnknown, None), "{case}: {end:?}");
        assert!(end.retryable, "{case}: {end:?}");
        end
    }

    pub(super) async fn running(&self, attempt: AttemptId) {
        let runs = || matches!(self.progress(attempt)?, Progress::Running { .. }).then_some(());
        wait_until("the attempt runs", runs).await;
    }

    /// Waits until a warning of the node holds `text`.
    pub(super) async fn warned(&self, text: &str) -> String {
        let warning = || self.health.status().warnings.into_iter().find(|warning| warning.contains(text));
        wait_until(&format!("a warning of {text:?}"), warning).await
    }

    /// Plays the coordinator to the end: the attempt must leave nothing.
    pub(super) async fn settle(&self, attempt: AttemptId) {
        for report in self.attempts.context().outbox.all() {
            if report.attempt == attempt {
                self.attempts.acknowledge(attempt, report.sequence);
            }
        }
        self.attempts.log_end_durable(attempt);
        let forgotten = || (!self.attempts.known().contains(&attempt)).then_some(());
        wait_until("the attempt is forgotten", forgotten).await;
    }

    /// [`Self::settle`], and no container is left.
    pub(super) async fn settle_clean(&self, attempt: AttemptId, case: &str) {
        self.settle(attempt).await;
        assert_eq!(self.runs(attempt), None, "{case}: a container is left");
    }

    pub(super) async fn probe(&self) {
        self.health.probe(&self.runtime, self.data(), NO_WATERMARK).await;
    }

    pub(super) fn data(&self) -> &Path {
        self.folder.path()
    }
}
