//! `top` on a real terminal: it draws, says when the coordinator is away, comes back, and gives the terminal back.

use std::process::Stdio;

use dockmgr_tests::{Cluster, STEP_LIMIT};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// A clear screen and a window title, in a command.
const NASTY: &str = "a\x1b[2Jb\x1b]0;title\x07c";

/// `top` on a terminal of its own.
struct Top {
    script: Child,
    seen: Vec<u8>,
}

impl Top {
    fn start(cluster: &Cluster, variables: &[(&str, &str)]) -> Self {
        let cli = dockmgr_tests::programs::binary("cluster-cli");
        let script = Command::new("script")
            .args([
                "-q",
                "-e",
                "-c",
                &format!("stty cols 120 rows 30; exec {} top", cli.display()),
                "/dev/null",
            ])
            .env("DOCKMGR_SERVER", cluster.server())
            .env("DOCKMGR_TOKEN_FILE", cluster.token_file())
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("script runs");
        Self { script, seen: Vec::new() }
    }

    /// Waits until the terminal gets these words; returns what came since the last wait, they included.
    async fn until(&mut self, words: &str) -> Vec<u8> {
        let found = tokio::time::timeout(STEP_LIMIT, self.read_until(words.as_bytes())).await;
        match found {
            Ok(Some(end)) => self.seen.drain(..end).collect(),
            Ok(None) | Err(_) => {
                panic!("no {words:?} on the terminal: {:?}", String::from_utf8_lossy(&self.seen))
            }
        }
    }

    /// Reads until the words come, and gives where they end; `None` if the terminal was closed before.
    async fn read_until(&mut self, words: &[u8]) -> Option<usize> {
        let output = self.script.stdout.as_mut().expect("it is a pipe");
        loop {
            if let Some(begin) = self.seen.windows(words.len()).position(|window| window == words) {
                return Some(begin + words.len());
            }
            if output.read_buf(&mut self.seen).await.expect("a pipe is read") == 0 {
                return None;
            }
        }
    }

    async fn press(&mut self, keys: &str) {
        let input = self.script.stdin.as_mut().expect("it is a pipe");
        input.write_all(keys.as_bytes()).await.expect("script listens");
        input.flush().await.expect("script listens");
    }

    /// Presses `q` and returns the exit code.
    async fn leave(mut self) -> Option<i32> {
        self.press("q").await;
        // The ordinary screen, and the cursor on it.
        self.until("\x1b[?1049l").await;
        let ended = tokio::time::timeout(STEP_LIMIT, self.script.wait()).await;
        ended.expect("in time").expect("it ends").code()
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_terminal_shows_the_cluster_and_what_is_wrong_with_it() {
    let mut cluster = Cluster::fake().await;
    cluster.run(["--name", "first-job", "--", "echo", NASTY]).await.expect_code(0);
    let mut top = Top::start(&cluster, &[]);
    let mut seen = top.until("first-job").await;
    // The end of its command.
    seen.extend(top.until("^Gc").await);
    assert!(has(&seen, b"live"), "{:?}", String::from_utf8_lossy(&seen));
    for part in [&b"\x1b]0;"[..], b"\x07", b"a\x1b[2Jb"] {
        assert!(!has(&seen, part), "{part:?} reached the terminal: {:?}", String::from_utf8_lossy(&seen));
    }
    top.press("\r").await;
    top.until("Uid").await;
    top.press("\x1b").await;
    cluster.kill_coordinator().await;
    top.until("reconnecting").await;
    cluster.start_coordinator().await;
    top.until("live").await;
    cluster.run(["--name", "second-job", "--", "true"]).await.expect_code(0);
    top.until("second-job").await;
    assert_eq!(top.leave().await, Some(0));
}

#[tokio::test]
async fn without_colours_it_draws_and_shows_the_output_of_a_job() {
    let cluster = Cluster::fake().await;
    cluster.run(["--", "echo", "what it wrote"]).await.expect_code(0);
    let mut top = Top::start(&cluster, &[("NO_COLOR", "1")]);
    let seen = top.until("succeeded").await;
    for colour in ["\x1b[31m", "\x1b[32m", "\x1b[38;5;"] {
        assert!(!has(&seen, colour.as_bytes()), "{:?}", String::from_utf8_lossy(&seen));
    }
    top.press("l").await;
    top.until("what it wrote").await;
    top.until("any key goes back").await;
    top.press(" ").await;
    top.until("live").await;
    assert_eq!(top.leave().await, Some(0));
}

#[tokio::test]
async fn without_a_terminal_it_says_so() {
    let cluster = Cluster::fake().await;
    let said = cluster.cli(["top"]).run().await.expect_code(2).errors();
    assert!(said.contains("top needs a terminal"), "{said}");
}
