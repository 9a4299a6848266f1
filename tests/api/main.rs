//! A client nobody here generated code for: Python, server reflection, health.

use std::path::Path;
use std::process::Stdio;

use dockmgr_tests::{Cluster, STEP_LIMIT};
use tokio::process::Command;

/// The interpreters tried: the distribution's own, which has its grpc package, then whatever a person uses.
const INTERPRETERS: [&str; 2] = ["/usr/bin/python3", "python3"];

/// The first Python that has the grpc and protobuf packages.
async fn python() -> &'static str {
    for interpreter in INTERPRETERS {
        let mut command = Command::new(interpreter);
        command.args(["-c", "import grpc, google.protobuf"]).stdin(Stdio::null()).stderr(Stdio::null());
        if command.status().await.is_ok_and(|status| status.success()) {
            return interpreter;
        }
    }
    panic!("no Python with grpc and protobuf: run deploy/host/setup.sh --test");
}

async fn generic_client(cluster: &Cluster, story: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/generic_client.py");
    let mut command = Command::new(python().await);
    command
        .arg(script)
        .args([
            cluster.server().trim_start_matches("http://"),
            &cluster.token_file().display().to_string(),
            story,
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output =
        tokio::time::timeout(STEP_LIMIT, command.output()).await.expect("in time").expect("Python runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{story}: {stdout}\n{stderr}");
    stdout.into_owned()
}

#[tokio::test]
async fn a_generic_client_submits_watches_tails_and_stops_through_reflection() {
    let cluster = Cluster::fake().await;
    let said = generic_client(&cluster, "jobs").await;
    for words in [
        "submitted 1",
        "tailed b'line 1\\nline 2\\nline 3\\n'",
        "ended STATE_FAILED 5",
        "stopped STATE_CANCELLED 143",
    ] {
        assert!(said.contains(words), "'{words}' is missing:\n{said}");
    }
    cluster.wait(1).await.expect_code(5);
    cluster.wait(2).await.expect_code(143);
}

#[tokio::test]
async fn a_generic_client_sees_health_services_and_error_details() {
    let cluster = Cluster::fake().await;
    let said = generic_client(&cluster, "health").await;
    for words in [
        "health of '': SERVING",
        "health of dockmgr.v1.JobService: SERVING",
        "service dockmgr.v1.JobService",
        "service dockmgr.v1.LogService",
        "service dockmgr.v1.NodeService",
        "service dockmgr.v1.EventService",
        "service grpc.health.v1.Health",
        "refused INVALID_ARGUMENT spec.image",
        "refused NOT_FOUND JOB_NOT_FOUND",
        "without a token UNAUTHENTICATED",
    ] {
        assert!(said.contains(words), "'{words}' is missing:\n{said}");
    }
}
