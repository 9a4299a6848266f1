//! Readers that go away and disks that are full.

use std::fs::OpenOptions;
use std::process::Stdio;

use dockmgr_tests::{Cluster, STEP_LIMIT};
use tokio::process::Command;

/// The command line inside a shell pipeline; exit codes of all parts.
async fn pipeline(cluster: &Cluster, words: &str) -> (Vec<i32>, String) {
    let cli = dockmgr_tests::programs::binary("cluster-cli");
    let script = format!("{} {words}; echo \"codes ${{PIPESTATUS[*]}}\" >&2", cli.display());
    let mut command = Command::new("bash");
    command
        .args(["-c", &script])
        .env("DOCKMGR_SERVER", cluster.server())
        .env("DOCKMGR_TOKEN_FILE", cluster.token_file())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output =
        tokio::time::timeout(STEP_LIMIT, command.output()).await.expect("in time").expect("bash runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let codes =
        errors.lines().find_map(|line| line.strip_prefix("codes ")).unwrap_or_else(|| panic!("{errors}"));
    (codes.split_whitespace().map(|code| code.parse().expect("a code")).collect(), errors)
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_us_quietly() {
    let cluster = Cluster::fake().await;
    cluster.run(["fake:fill 5000000 abcdefg"]).await.expect_code(0);
    for words in [
        "logs 1 | head -c 1",
        "logs -f 1 | head -c 1",
        "ps -a -o json | true",
        "inspect 1 | true",
        "--help | true",
    ] {
        let (codes, errors) = pipeline(&cluster, words).await;
        assert_eq!(codes.last(), Some(&0), "{words}: {codes:?}");
        assert!(matches!(codes[0], 0 | 141), "{words}: {codes:?} {errors}");
        assert!(!errors.contains("panicked"), "{words}: {errors}");
    }
    let (codes, errors) = pipeline(&cluster, "run 'fake:fill 5000000 abcdefg' | head -c 1").await;
    assert_eq!(codes[0], 141, "run: {codes:?} {errors}");
    assert!(errors.contains("goes on"), "{errors}");
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_not_a_silence() {
    let cluster = Cluster::fake().await;
    cluster.run(["fake:fill 100000 x"]).await.expect_code(0);
    for (args, due) in [
        (vec!["logs", "1"], 1),
        (vec!["ps", "-a"], 1),
        (vec!["inspect", "1"], 1),
        (vec!["run", "echo x"], 125),
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let mut command = cluster.cli_command();
        command.args(&args).stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).kill_on_drop(true);
        let run = command.spawn().expect("start the command line").wait_with_output();
        let output = tokio::time::timeout(STEP_LIMIT, run).await.expect("in time").expect("it ran");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(due), "{args:?}: {errors}");
        assert!(!errors.trim().is_empty() && !errors.contains("panicked"), "{args:?}: {errors}");
    }
}
