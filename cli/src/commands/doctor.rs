//! `doctor`: looks at what usually is wrong and says what to do.

use std::path::Path;

use dockmgr_client::Client;
use dockmgr_proto::v1::Node;
use dockmgr_proto::v1::node::State;

use super::version;
use crate::failure::Failure;
use crate::output;
use crate::settings::Reach;
use crate::terminal::escape_line;

/// Free space below which containers and logs soon fail.
const LOW_DISK_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Where Docker listens unless it was told otherwise.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

struct Check {
    verdict: Verdict,
    what: String,
    hint: String,
}

fn check(verdict: Verdict, what: impl Into<String>, hint: &str) -> Check {
    Check { verdict, what: what.into(), hint: hint.to_owned() }
}

pub(crate) async fn execute(reach: &Reach, _args: Args) -> Result<u8, Failure> {
    let mut checks = cluster(reach).await;
    checks.push(docker(Path::new(DOCKER_SOCKET)).await);
    checks.extend(disk(Path::new("/var/lib/docker")));
    let mut failed = false;
    for check in checks {
        let word = match check.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        failed |= check.verdict == Verdict::Fail;
        output::print(&format!("{word}  {}\n", check.what))?;
        if check.verdict != Verdict::Ok && !check.hint.is_empty() {
            output::print(&format!("      hint: {}\n", check.hint))?;
        }
    }
    Ok(u8::from(failed))
}

async fn cluster(reach: &Reach) -> Vec<Check> {
    let client = match reach.connect().await {
        Ok(client) => client,
        Err(failure) => return vec![check(Verdict::Fail, failure.what, &failure.hints.join("; "))],
    };
    let mut checks = vec![check(Verdict::Ok, format!("a coordinator answers at {}", client.server()), "")];
    checks.push(match client.is_serving().await {
        Ok(true) => check(Verdict::Ok, "the coordinator serves", ""),
        Ok(false) => check(
            Verdict::Fail,
            "the coordinator does not serve",
            "it may be starting, or its store is gone: see its log",
        ),
        Err(error) => check(Verdict::Fail, error.to_string(), ""),
    });
    checks.extend(nodes(&client).await);
    checks
}

async fn nodes(client: &Client) -> Vec<Check> {
    let nodes = match client.all_nodes().await {
        Ok(nodes) => nodes,
        Err(error) => {
            let failure = Failure::from(error);
            return vec![check(Verdict::Fail, failure.what, &failure.hints.join("; "))];
        }
    };
    let mut checks = vec![check(Verdict::Ok, "the token is good, or none is needed", "")];
    if nodes.is_empty() {
        checks.push(check(
            Verdict::Fail,
            "no worker has registered",
            "start one: dockmgr-worker --coordinator URL",
        ));
    }
    checks.extend(nodes.iter().flat_map(|one| std::iter::once(node(one)).chain(warnings(one))));
    checks
}

/// What a worker says of itself besides being ready or not.
fn warnings(node: &Node) -> impl Iterator<Item = Check> {
    node.warnings.iter().map(|warning| {
        let hint = if warning.starts_with("live-restore") {
            "set {\"live-restore\": true} in that host's /etc/docker/daemon.json and reload the daemon"
        } else {
            ""
        };
        check(
            Verdict::Warn,
            format!("node {}: {}", escape_line(&node.display_name), escape_line(warning)),
            hint,
        )
    })
}

fn node(node: &Node) -> Check {
    let name = escape_line(&node.display_name);
    match node.state() {
        State::Silent => check(
            Verdict::Fail,
            format!("node {name} is silent"),
            "look at its worker; cluster-cli node rm forgets it",
        ),
        State::Lost => check(
            Verdict::Fail,
            format!("node {name} was given up"),
            "look at its worker; cluster-cli node rm forgets it",
        ),
        State::NotReady | State::Unspecified => {
            let reasons = escape_line(&node.reasons.join("; "));
            check(Verdict::Warn, format!("node {name} takes no work: {reasons}"), not_ready_hint(&reasons))
        }
        State::Ready if node.draining => check(
            Verdict::Warn,
            format!("node {name} is drained"),
            "cluster-cli node resume gives it work again",
        ),
        State::Ready if node.worker_version != version::OURS => {
            let theirs = escape_line(&node.worker_version);
            check(
                Verdict::Warn,
                format!("node {name} has version {theirs}, this program {}", version::OURS),
                "bring both to one version",
            )
        }
        State::Ready => check(Verdict::Ok, format!("node {name} is ready"), ""),
    }
}

/// What to do about the first known reason.
fn not_ready_hint(reasons: &str) -> &'static str {
    [
        ("disk low", "make room there: docker system prune, or move the data"),
        ("container daemon hangs", "look at Docker on that host; running jobs go on and are reported later"),
        ("container daemon", "start Docker on that host, or let the worker's user reach its socket"),
        ("clock", "look at the clock of that host or virtual machine"),
    ]
    .into_iter()
    .find(|(reason, _)| reasons.contains(reason))
    .map_or("", |(_, hint)| hint)
}

/// Whether this user may speak to the daemon of this host, and whether containers outlive the daemon.
async fn docker(socket: &Path) -> Check {
    if !socket.exists() {
        return check(
            Verdict::Warn,
            format!("no Docker daemon on this host ({} is missing)", socket.display()),
            "only hosts with a worker need one",
        );
    }
    match info(socket).await {
        Err(error) => check(
            Verdict::Warn,
            format!("Docker's socket {} cannot be used: {error}", socket.display()),
            "a worker on this host needs it: run it as root or as a member of the group docker",
        ),
        Ok(text) if text.contains("\"LiveRestoreEnabled\":true") => {
            check(Verdict::Ok, "Docker answers, live-restore is on", "")
        }
        Ok(_) => check(
            Verdict::Warn,
            "Docker answers, live-restore is off: a restart of the daemon ends its containers",
            "set {\"live-restore\": true} in /etc/docker/daemon.json and reload the daemon",
        ),
    }
}

/// The daemon's own description of itself; one short HTTP exchange.
async fn info(socket: &Path) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    /// A daemon in order answers at once; one that hangs is a finding of its own.
    const LIMIT: std::time::Duration = std::time::Duration::from_secs(5);
    let exchange = async {
        let mut stream = tokio::net::UnixStream::connect(socket).await?;
        stream.write_all(b"GET /info HTTP/1.0\r\nHost: docker\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(1024 * 1024).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(LIMIT, exchange).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

fn disk(folder: &Path) -> Option<Check> {
    let at = if folder.exists() { folder } else { Path::new("/") };
    let space = rustix::fs::statvfs(at).ok()?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let shown = output::bytes(i64::try_from(free).unwrap_or(i64::MAX));
    let what = format!("{shown} are free on the disk of {}", at.display());
    let verdict = if free < LOW_DISK_BYTES { Verdict::Warn } else { Verdict::Ok };
    Some(check(verdict, what, "make room: docker system prune, or move Docker's data"))
}
