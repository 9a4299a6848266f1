//! Signals, memory exhaustion and usage.

use std::time::Duration;

use super::Subject;
use crate::runtime::{ContainerId, Recovered, Runtime};

/// Starts a script that prints when it is ready, and waits for that.
async fn ready(on: &Subject, script: &str) -> ContainerId {
    let id = on.start(&on.script("a", script)).await;
    let mut log = on.runtime.recover_log(&id).await.expect("opens");
    assert!(matches!(log.next().await.expect("reads"), Some(Recovered::Bytes(..))), "it never got ready");
    id
}

pub(super) async fn sigterm_ends_a_container_with_143(on: Subject) {
    let id = ready(&on, "echo ready; exec sleep 60").await;
    assert_eq!(on.runtime.signal(&id, "SIGTERM").await, Ok(true));
    assert_eq!(on.ended(&id).await.exit(), Some(143));
}

pub(super) async fn a_container_that_ignores_sigterm_dies_of_sigkill(on: Subject) {
    let id = ready(&on, "trap '' TERM; echo ready; while true; do sleep 0.2; done").await;
    assert_eq!(on.runtime.signal(&id, "TERM").await, Ok(true));
    let still = tokio::time::timeout(Duration::from_millis(500), on.runtime.wait_hint(&id, None)).await;
    assert!(still.is_err(), "it must ignore the signal");
    assert_eq!(on.runtime.signal(&id, "SIGKILL").await, Ok(true));
    let state = on.ended(&id).await;
    assert_eq!((state.exit(), state.oom_killed), (Some(137), false));
}

pub(super) async fn a_trap_gets_its_time(on: Subject) {
    let script = "trap 'echo bye; exit 3' TERM; echo ready; while true; do sleep 0.1; done";
    let id = ready(&on, script).await;
    assert_eq!(on.runtime.signal(&id, "15").await, Ok(true));
    assert_eq!(on.ended(&id).await.exit(), Some(3));
    assert_eq!(on.recover(&id).await.0.stdout, b"ready\nbye\n");
}

pub(super) async fn a_signal_to_what_does_not_run_is_told(on: Subject) {
    let id = on.create(&on.spec("a", &["true"])).await;
    assert_eq!(on.runtime.signal(&id, "SIGTERM").await, Ok(false));
    on.runtime.start(&id).await.expect("starts");
    on.ended(&id).await;
    assert_eq!(on.runtime.signal(&id, "SIGKILL").await, Ok(false));
    assert_eq!(on.state(&id).await.exit(), Some(0));
}

pub(super) async fn memory_exhaustion_ends_with_137_and_is_flagged(on: Subject) {
    // A last line without end: it is kept in memory whole.
    let script = if on.is_docker() { "exec tail -n 1 /dev/zero" } else { "fake:oom" };
    let mut spec = on.script("a", script);
    spec.memory_bytes = 16 << 20;
    let id = on.start(&spec).await;
    let state = on.ended(&id).await;
    assert_eq!(state.exit(), Some(137));
    assert!(
        state.oom_killed,
        "the daemon missed it; are all controllers of /proc/cgroups mounted? run deploy/host/setup.sh --docker: {state:?}"
    );
}

pub(super) async fn usage_is_known_while_it_runs_only(on: Subject) {
    let id = ready(&on, "echo ready; sleep 60").await;
    let usage = on.runtime.usage(&id).await.expect("answers").expect("runs");
    assert!(usage.memory_bytes > 0 && usage.memory_peak_bytes.is_none_or(|peak| peak > 0), "{usage:?}");
    on.runtime.signal(&id, "SIGKILL").await.expect("sent");
    on.ended(&id).await;
    assert_eq!(on.runtime.usage(&id).await, Ok(None));
}
