//! What several tests of the worker need: a job to run, and waiting for a condition.

use std::collections::BTreeMap;
use std::time::Duration;

use dockmgr_core::cluster::Start;
use dockmgr_core::ids::{AttemptId, JobUid};
use dockmgr_core::spec::{
    Command, Entrypoint, ImageRef, JobSpec, NetworkMode, OnLost, PullPolicy, Resources, Shell,
};
use uuid::Uuid;

/// Longest wait for a condition: far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// An attempt that runs `script`.
pub(crate) fn start(job: u64, image: &str, script: &str) -> Box<Start> {
    let spec = JobSpec {
        name: None,
        labels: BTreeMap::new(),
        image: ImageRef::parse(image).expect("a reference"),
        command: Command::Script { text: script.into(), shell: Shell::Auto, entrypoint: Entrypoint::None },
        env: Vec::new(),
        working_dir: None,
        user: None,
        resources: Resources { cpu_millis: 250, memory: 64 << 20, gpus: 0 },
        pids_limit: 128,
        timeout: None,
        queue_timeout: None,
        retries: 0,
        priority: 0,
        constraints: Vec::new(),
        array: None,
        pull: PullPolicy::Missing,
        grace: Duration::from_secs(10),
        stop_signal: None,
        network: NetworkMode::Outbound,
        mounts: Vec::new(),
        read_only: false,
        log_limit: 64 << 20,
        keep_image: false,
        on_lost: OnLost::Retry,
    };
    let attempt = AttemptId::from_parts(job, 0, 1).expect("numbers from 1");
    Box::new(Start {
        attempt,
        spec,
        job_uid: JobUid(Uuid::from_u128(job.into())),
        task_count: 1,
        pinned_digest: None,
    })
}

/// Waits until `condition` gives something; fails the test with `what` if it never does.
pub(crate) async fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let give_up = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(tokio::time::Instant::now() < give_up, "waited for {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// [`wait_until`] for a condition that has to ask somebody.
pub(crate) async fn wait_until_async(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let give_up = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < give_up, "waited for {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
