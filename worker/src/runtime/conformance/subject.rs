//! What a behaviour runs on: a runtime, an image, and a label that makes its containers findable and removable.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;

use crate::runtime::docker::{DEFAULT_SOCKET, Docker};
use crate::runtime::fake::Fake;
use crate::runtime::output::Stream;
use crate::runtime::{
    AnyRuntime, Attached, ContainerId, ContainerSpec, ContainerState, PullProgress, Recovered, RecoveredLog,
    Runtime,
};

/// Label of every container a behaviour makes.
const LABEL: &str = "dockmgr.test";
/// The image that `deploy/host/image.sh` makes.
const IMAGE: &str = "dockmgr/base:local";
/// Far beyond what any behaviour takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A runtime under test.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) runtime: AnyRuntime,
    pub(crate) image: String,
    mark: String,
}

impl Subject {
    pub(crate) async fn fake() -> Self {
        let runtime = AnyRuntime::Fake(Fake::new(2, 1 << 30));
        let progress = watch::Sender::new(PullProgress::default());
        runtime.pull("test/image", None, &progress).await.expect("the fake pulls anything");
        Self { runtime, image: "test/image".to_owned(), mark: mark() }
    }

    /// A real daemon; `None` when it is allowed to be missing.
    pub(crate) async fn docker() -> Option<Self> {
        Self::on(Docker::new(DEFAULT_SOCKET)).await
    }

    /// The daemon behind `docker`.
    #[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
    pub(crate) async fn on(docker: Docker) -> Option<Self> {
        if std::env::var("DOCKMGR_SKIP_DOCKER").is_ok_and(|value| value == "1") {
            eprintln!("SKIPPED: DOCKMGR_SKIP_DOCKER=1");
            return None;
        }
        let image = std::env::var("DOCKMGR_TEST_IMAGE").unwrap_or_else(|_| IMAGE.to_owned());
        let runtime = AnyRuntime::Docker(docker);
        let found = runtime.inspect_image(&image).await.expect(
            "a Docker daemon is needed: run deploy/host/setup.sh --docker, or set DOCKMGR_SKIP_DOCKER=1 to go without",
        );
        assert!(
            found.is_some(),
            "image {image} is needed: run deploy/host/image.sh base, or set DOCKMGR_TEST_IMAGE"
        );
        Some(Self { runtime, image, mark: mark() })
    }

    /// Runs a behaviour and removes its containers, whatever happens.
    pub(crate) async fn check<F: Future<Output = ()>>(self, behaviour: impl FnOnce(Self) -> F) {
        let outcome =
            tokio::time::timeout(PATIENCE, AssertUnwindSafe(behaviour(self.clone())).catch_unwind()).await;
        for container in self.runtime.list(&self.labels()).await.expect("lists its own") {
            self.runtime.remove(&container.id, true).await.expect("removes its own");
        }
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(elapsed) => panic!("not done within {PATIENCE:?}: {elapsed}"),
        }
    }

    pub(crate) fn is_docker(&self) -> bool {
        matches!(self.runtime, AnyRuntime::Docker(_))
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(LABEL.to_owned(), self.mark.clone())])
    }

    /// A container of ours named after `name`.
    pub(crate) fn spec(&self, name: &str, argv: &[&str]) -> ContainerSpec {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let mut spec = ContainerSpec::new(format!("dockmgr-test-{}-{name}", self.mark), &self.image, argv);
        spec.labels = self.labels();
        spec
    }

    pub(crate) fn script(&self, name: &str, script: &str) -> ContainerSpec {
        self.spec(name, &["sh", "-c", script])
    }

    pub(crate) async fn create(&self, spec: &ContainerSpec) -> ContainerId {
        self.runtime.create(spec).await.expect("created")
    }

    /// Creates and starts.
    pub(crate) async fn start(&self, spec: &ContainerSpec) -> ContainerId {
        let id = self.create(spec).await;
        self.runtime.start(&id).await.expect("started");
        id
    }

    /// Waits for the end and inspects.
    pub(crate) async fn ended(&self, id: &ContainerId) -> ContainerState {
        self.runtime.wait_hint(id, None).await.expect("waits");
        self.state(id).await
    }

    pub(crate) async fn state(&self, id: &ContainerId) -> ContainerState {
        self.runtime.inspect(id.as_str()).await.expect("answers").expect("is there")
    }

    /// Runs a container to its end with somebody attached from before the start: what was written, and the state.
    pub(crate) async fn run(&self, spec: &ContainerSpec) -> (Output, ContainerState, ContainerId) {
        let id = self.create(spec).await;
        let attached = self.runtime.attach(&id).await.expect("attaches");
        self.runtime.start(&id).await.expect("started");
        let output = read_attached(attached).await;
        let state = self.ended(&id).await;
        (output, state, id)
    }

    pub(crate) async fn recover(&self, id: &ContainerId) -> (Output, bool) {
        read_recovered(self.runtime.recover_log(id).await.expect("opens")).await
    }
}

/// Both streams of a container.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Output {
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(bytes),
            Stream::Stderr => self.stderr.extend_from_slice(bytes),
        }
    }
}

async fn read_attached(mut attached: Attached) -> Output {
    let mut output = Output::default();
    while let Some((stream, bytes)) = attached.next().await.expect("reads") {
        output.push(stream, &bytes);
    }
    output
}

pub(crate) async fn read_recovered(mut log: RecoveredLog) -> (Output, bool) {
    let mut output = Output::default();
    loop {
        match log.next().await.expect("reads").expect("an end comes first") {
            Recovered::Bytes(stream, bytes) => output.push(stream, &bytes),
            Recovered::End { exact } => {
                assert_eq!(log.next().await.expect("reads"), None);
                return (output, exact);
            }
        }
    }
}

/// Text that no other behaviour uses.
fn mark() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
