//! The `OpenAPI` document against a validator and against what the server does with thousands of made-up requests.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use dockmgr_tests::Cluster;
use dockmgr_tests::http::Http;
use serde_json::json;
use tokio::process::Command;

/// Some thousand requests on a loaded machine.
const LIMIT: Duration = Duration::from_secs(150);

/// A Python with the packages of `deploy/host/web-requirements.txt`, which the set-up installs.
fn tool(name: &str) -> Command {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools/web/bin").join(name);
    assert!(path.exists(), "{} is missing: run deploy/host/setup.sh --test", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(mut command: Command) -> String {
    let output = tokio::time::timeout(LIMIT, command.output()).await.expect("in time").expect("it runs");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[tokio::test]
async fn the_description_is_valid_openapi() {
    let cluster = Cluster::fake().await;
    let document = Http::of(&cluster).get("/openapi.json").await;
    let file = cluster.folder().join("openapi.json");
    std::fs::write(&file, document.to_string()).expect("the folder is ours");
    let mut command = tool("openapi-spec-validator");
    command.arg(&file);
    run(command).await;
}

#[tokio::test]
async fn the_server_does_what_the_description_says_whatever_it_is_sent() {
    let cluster = Cluster::builder().workers(2).start().await;
    let http = Http::of(&cluster);
    let job = json!({ "spec": { "name": "known", "command": { "script": { "text": "echo one" } } } });
    assert_eq!(http.post("/jobs", &job).await.status, 200);
    let base = format!("http://{}", http.address());
    let token = format!("Authorization: Bearer {}", cluster.token().expose());
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                  response_headers_conformance,unsupported_method,ignored_auth";
    let mut command = tool("schemathesis");
    command
        .current_dir(cluster.folder())
        .arg("run")
        .arg(format!("{base}/api/v1/openapi.json"))
        .args(["--url", &format!("{base}/api/v1"), "--header", &token, "--checks", checks])
        // Streams that end with their job only; the job's end is a matter of other tests.
        .args([
            "--exclude-path",
            "/changes",
            "--exclude-path",
            "/events",
            "--exclude-path",
            "/jobs/{job}/logs",
        ])
        .args(["--exclude-path", "/jobs/{job}/output", "--exclude-path", "/jobs/{job}/wait"])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "25",
            "--seed",
            "7",
            "--request-timeout",
            "20",
        ])
        .args(["--suppress-health-check", "all", "--no-color", "--generation-database", "none"]);
    let said = run(command).await;
    assert!(said.contains("Test cases:"), "{said}");
    cluster.run(["exit 3"]).await.expect_code(3);
}
