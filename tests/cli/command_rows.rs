//! Command lines that a running cluster refuses: exit code and a word on standard error, nothing created, nothing hanging.

use std::time::Duration;

use dockmgr_tests::cluster::bare_cli;
use dockmgr_tests::{CliCall, Cluster};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// Arguments, exit code, a word of the reason.
type Row = (&'static [&'static str], i32, &'static str);

const ROWS: &[Row] = &[
    (&["inspect", "7"], 1, "7"),
    (&["inspect", "no-such-name"], 1, "no-such-name"),
    (&["inspect", "last"], 1, "last"),
    (&["describe", "7"], 1, "7"),
    (&["logs", "7"], 1, "7"),
    (&["logs", "-f", "7"], 1, "7"),
    (&["logs", "--attempt", "0", "7"], 2, "0"),
    (&["stop", "7"], 1, "7"),
    (&["kill", "7"], 1, "7"),
    (&["stop", "-s", "SIGFOO", "7"], 1, "7"),
    (&["wait", "7"], 125, "7"),
    (&["retry", "7"], 1, "7"),
    (&["pin", "7"], 1, "7"),
    (&["unpin", "7"], 1, "7"),
    (&["pin", "7.1"], 2, "7.1"),
    (&["rm", "7"], 1, "7"),
    (&["node", "drain", "nowhere"], 1, "nowhere"),
    (&["node", "inspect", "nowhere"], 1, "nowhere"),
    (&["node", "rm", "nowhere"], 1, "nowhere"),
    (&["events", "--job", "7"], 1, "7"),
    (&["run", "--image", "BB:1", "exit 0"], 125, "image"),
    (&["run", "--image", "a b", "exit 0"], 125, "image"),
    (&["run", "--image", "-", "exit 0"], 125, "image"),
    (&["run", "--image=--privileged", "exit 0"], 125, "image"),
    (&["submit", "--image", "http://x/y", "exit 0"], 1, "image"),
    (&["submit", "--name", "last", "exit 0"], 1, "name"),
    (&["submit", "--name", "../../x", "exit 0"], 1, "name"),
    (&["submit", "--name", "a", "exit 0"], 1, "name"),
    (&["submit", "-u", "a b", "exit 0"], 1, "user"),
    (&["submit", "-w", "tmp", "exit 0"], 1, "path"),
    (&["submit", "-e", "DOCKMGR_JOB=1", "exit 0"], 1, "env"),
    (&["submit", "-l", "dockmgr.x=1", "exit 0"], 2, "dockmgr."),
    (&["submit", "--memory", "5m", "exit 0"], 1, "memory"),
    (&["submit", "--stop-signal", "SIGFOO", "exit 0"], 1, "signal"),
    (&["submit", "--grace", "1d", "exit 0"], 1, "grace"),
    (&["submit", "--retries", "101", "exit 0"], 1, "retries"),
    (&["submit", "--priority", "1000001", "exit 0"], 1, "priority"),
    (&["submit", "--mount", "type=tmpfs,target=/", "exit 0"], 1, "mount"),
    (&["submit", "--array", "0-1000000", "exit 0"], 1, "1000000"),
    (&["submit", "--cpus", "500", "exit 0"], 3, "worker-0"),
    (&["submit", "--gpus", "1", "exit 0"], 3, "worker-0"),
    (&["submit", "--constraint", "zone=nowhere", "exit 0"], 3, "worker-0"),
    (&["submit", "--mount", "type=bind,source=/etc,target=/x", "exit 0"], 3, "worker-0"),
    (&["run", "--cpus", "500", "exit 0"], 125, "worker-0"),
    (&["submit", "--key", "a\nb", "exit 0"], 1, "key"),
];

#[tokio::test]
async fn every_refusal_has_its_code_and_its_reason() {
    let cluster = Cluster::fake().await;
    let mut wrong = Vec::new();
    for (args, code, fragment) in ROWS {
        let output = cluster.cli(*args).run().await;
        let says = output.errors().to_lowercase().contains(&fragment.to_lowercase());
        // A reason a job could not be created may be found before it is sent: the code for usage is right then too.
        let usage = *code == 1 && args[0] == "submit" && output.code == 2;
        if (output.code != *code && !usage) || !says {
            wrong.push(format!("due: {code} and '{fragment}': {}", output.describe()));
        }
        if output.errors().contains("panicked") || !output.stdout.is_empty() {
            wrong.push(format!("must say why on standard error alone: {}", output.describe()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), ROWS.len(), wrong.join("\n\n"));
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), "", "something was created");
}

#[tokio::test]
async fn a_server_that_is_none_is_told_apart_and_waited_for_five_seconds_at_most() {
    let folder = TempDir::new().expect("a folder");
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let banner = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let web = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().expect("bound"));
    let (silent_url, banner_url, web_url) = (address(&silent), address(&banner), address(&web));
    let speak = |listener: TcpListener, words: &'static [u8]| {
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // The caller may be gone already.
                let _gone = stream.write_all(words).await;
            }
        })
    };
    let speaking = [
        speak(banner, b"SSH-2.0-OpenSSH_9.2\r\n"),
        speak(web, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    ];
    let keeping = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            open.push(stream);
        }
    });
    let refused = "http://127.0.0.1:9";
    for (server, words) in
        [(silent_url.as_str(), "answer"), (&banner_url, ""), (&web_url, ""), (refused, "127.0.0.1:9")]
    {
        let asked = std::time::Instant::now();
        let call = CliCall::new(bare_cli(folder.path()), ["ps", "--server", server]);
        let output = call.limit(Duration::from_secs(30)).run().await.expect_code(1).expect_error(words);
        assert!(asked.elapsed() < Duration::from_secs(12), "{:?}: {}", asked.elapsed(), output.describe());
        let run = CliCall::new(bare_cli(folder.path()), ["run", "--server", server, "exit 0"]);
        run.limit(Duration::from_secs(30)).run().await.expect_code(125);
    }
    for task in speaking.into_iter().chain([keeping]) {
        task.abort();
    }
}

#[tokio::test]
async fn a_job_of_another_cluster_is_not_found() {
    let (one, other) = (Cluster::fake().await, Cluster::fake().await);
    let job = one.submit(["exit 0"]).await;
    let uid = one.job(job).await.uid;
    other.cli(["inspect", &uid]).run().await.expect_code(1).expect_error(&uid);
    one.cli(["inspect", &uid]).ok().await;
    // Another cluster's token is not this one's.
    let mixed = one.cli(["ps"]).env("DOCKMGR_TOKEN_FILE", other.token_file());
    mixed.run().await.expect_code(4);
}
