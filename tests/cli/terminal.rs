//! What reaches a terminal: control bytes shown, colours passed, `--raw` and pipes exact.

use std::process::Stdio;

use dockmgr_tests::{Cluster, STEP_LIMIT};
use tokio::process::Command;

/// Clear screen, a window title, a clipboard write, a bell, a carriage return, a C1 control, a colour.
const NASTY: &str = "a\x1b[2Jb\x1b]0;title\x07c\x1b]52;c;aGk=\x07d\re\u{9b}f\x1b[31mred\x1b[0m";

/// Runs the command line on a terminal of its own and returns what that terminal got.
async fn on_a_terminal(cluster: &Cluster, words: &str) -> Vec<u8> {
    let cli = dockmgr_tests::programs::binary("cluster-cli");
    let mut command = Command::new("script");
    command
        .args(["-q", "-e", "-c", &format!("{} {words}", cli.display()), "/dev/null"])
        .env("DOCKMGR_SERVER", cluster.server())
        .env("DOCKMGR_TOKEN_FILE", cluster.token_file())
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output =
        tokio::time::timeout(STEP_LIMIT, command.output()).await.expect("in time").expect("script runs");
    output.stdout
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_terminal_gets_no_control_bytes_but_colours() {
    let cluster = Cluster::fake().await;
    cluster.run(["--", "echo", NASTY]).await.expect_code(0);
    for words in ["logs 1", "logs -f 1"] {
        let seen = on_a_terminal(&cluster, words).await;
        for part in [&b"\x1b[2J"[..], b"\x1b]0;", b"\x1b]52;", b"\x07", b"d\re", b"\xc2\x9b"] {
            assert!(
                !has(&seen, part),
                "{words}: {part:?} reached the terminal: {:?}",
                String::from_utf8_lossy(&seen)
            );
        }
        assert!(
            has(&seen, b"\x1b[31mred"),
            "{words}: colours may pass: {:?}",
            String::from_utf8_lossy(&seen)
        );
        for letter in ["title", "red"] {
            assert!(
                has(&seen, letter.as_bytes()),
                "{words}: nothing is left out: {:?}",
                String::from_utf8_lossy(&seen)
            );
        }
    }
    let raw = on_a_terminal(&cluster, "logs --raw 1").await;
    assert!(has(&raw, b"\x1b[2J") && has(&raw, b"\x1b]0;title\x07"), "{:?}", String::from_utf8_lossy(&raw));
    assert_eq!(
        cluster.logs(1).await.stdout,
        format!("{NASTY}\n").into_bytes(),
        "a pipe gets the exact bytes"
    );
}

#[tokio::test]
async fn commands_of_jobs_do_not_reach_tables_raw() {
    let cluster = Cluster::fake().await;
    cluster.run(["--", "echo", NASTY]).await.expect_code(0);
    cluster.run(["--image", "x/no-such:1", "--pull", "never", "--", "echo", NASTY]).await;
    for words in ["ps -a", "ps -a -o wide", "describe 1", "describe 2", "events"] {
        let seen = on_a_terminal(&cluster, words).await;
        for part in [&b"\x1b[2J"[..], b"\x1b]0;", b"\x07", b"\xc2\x9b"] {
            assert!(
                !has(&seen, part),
                "{words}: {part:?} reached the terminal: {:?}",
                String::from_utf8_lossy(&seen)
            );
        }
    }
    for words in [["ps", "-a"], ["describe", "1"]] {
        let seen = cluster.cli(words).ok().await.stdout;
        assert!(!has(&seen, b"\x1b"), "{words:?} writes no escape into a pipe");
    }
}
