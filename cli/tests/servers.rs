//! What servers that are none get: a clear error in bounded time.

use std::os::fd::OwnedFd;
use std::process::{Command, Output, Stdio};

use dockmgr_support::tasks::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn ask(server: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cluster-cli"))
        .env_clear()
        .args(["ps", "--server", server])
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// Answers every connection with `banner`, then says nothing more.
async fn with_server(banner: &'static [u8], words: &'static str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let server = format!("http://{}", listener.local_addr().expect("bound"));
    let tasks = Tasks::default();
    let _serving = tasks.spawn("banner", async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            stream.write_all(banner).await.expect("sent");
            // Until the client goes away.
            let mut rest = Vec::new();
            let _cut_off = stream.read_to_end(&mut rest).await;
        }
    });
    let output = tokio::task::spawn_blocking(move || ask(&server)).await.expect("asked");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(words), "{stderr}");
}

#[tokio::test]
async fn a_server_of_http_1_is_told_from_a_coordinator() {
    with_server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "does not speak gRPC").await;
}

#[tokio::test]
async fn an_ssh_server_is_told_from_a_coordinator() {
    with_server(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "does not speak gRPC").await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_after_five_seconds() {
    with_server(b"", "did not answer within 5 s").await;
}

#[test]
fn a_full_output_is_an_error_and_a_closed_one_is_quiet() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = completion(Stdio::from(full));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("write the output"));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = completion(Stdio::from(OwnedFd::from(writer)));
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

fn completion(stdout: Stdio) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cluster-cli"))
        .args(["completion", "bash"])
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the program runs")
}
