//! The command lines of the members.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use dockmgr_support::secret::ApiToken;
use dockmgr_tests::programs;

use super::daemon::Daemon;

/// Room a worker of the fake runtime claims: many small jobs at once.
const FAKE_ROOM: [&str; 4] = ["--cpus", "4", "--memory", "8GiB"];
/// Room of a worker that shares the machine with the tests.
const DOCKER_ROOM: [&str; 4] = ["--cpus", "0.4", "--memory", "1GiB"];
/// Times of the class 2, 5, 20 and 30 s, so that fences and replacements happen within minutes.
const TIMES: [(&str, &str); 3] =
    [("--suspect-after", "5s"), ("--fence-after", "20s"), ("--lost-after", "30s")];

/// Makes the API token of the run.
pub(super) fn token(folder: &Path) -> anyhow::Result<ApiToken> {
    let path = folder.join("token");
    fs::write(&path, format!("chaos-{}", uuid::Uuid::now_v7().simple())).context("write the token")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).context("protect the token")?;
    ApiToken::read(&path).context("read the token back")
}

pub(super) fn etcd(n: usize, peers: &[Ipv4Addr], port: u16, folder: &Path) -> Vec<String> {
    let peer_port = port + 1;
    let cluster: Vec<String> =
        peers.iter().enumerate().map(|(n, peer)| format!("e{n}=http://{peer}:{peer_port}")).collect();
    let (client, peer) = (format!("http://{}:{port}", peers[n]), format!("http://{}:{peer_port}", peers[n]));
    let name = format!("e{n}");
    let data = folder.join(format!("etcd-{n}")).display().to_string();
    let cluster = cluster.join(",");
    words(&[
        "etcd",
        "--name",
        &name,
        "--data-dir",
        &data,
        "--logger",
        "zap",
        "--log-outputs",
        "stderr",
        "--listen-client-urls",
        &format!("{client},http://127.0.0.1:{port}"),
        "--advertise-client-urls",
        &client,
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
        "--initial-cluster",
        &cluster,
    ])
}

pub(super) fn coordinator(
    n: usize,
    listen: SocketAddr,
    advertised: SocketAddr,
    etcds: &[SocketAddr],
    folder: &Path,
) -> anyhow::Result<Vec<String>> {
    let program = programs::binary("dockmgr-coordinator").display().to_string();
    let config = folder.join(format!("coordinator-{n}.toml"));
    fs::write(&config, "[timing]\nheartbeat = \"2s\"\n").context("write the settings")?;
    let etcds: Vec<String> = etcds.iter().map(|etcd| format!("http://{etcd}")).collect();
    let path = |name: &str| folder.join(name).display().to_string();
    let mut all = words(&[
        &program,
        "--listen",
        &listen.to_string(),
        "--insecure-bind",
        "--data",
        &path(&format!("coordinator-{n}")),
        "--token-file",
        &path("token"),
        "--config",
        &config.display().to_string(),
        "--store",
        "etcd",
        "--etcd",
        &etcds.join(","),
        "--default-image",
        &dockmgr_tests::base_image(),
    ]);
    all.extend(words(&["--logs", &path("logs"), "--advertise", &format!("http://{advertised}")]));
    all.extend(TIMES.iter().flat_map(|(flag, time)| words(&[flag, time])));
    Ok(all)
}

pub(super) fn worker(
    n: usize,
    servers: &[SocketAddr],
    folder: &Path,
    daemon: Option<&Daemon>,
) -> Vec<String> {
    let program = programs::binary("dockmgr-worker").display().to_string();
    let servers: Vec<String> = servers.iter().map(|server| format!("http://{server}")).collect();
    let name = format!("worker-{n}");
    let path = |name: &str| folder.join(name).display().to_string();
    let mut all =
        words(&[&program, "--coordinator", &servers.join(","), "--name", &name, "--data", &path(&name)]);
    all.extend(words(&["--token-file", &path("token")]));
    match daemon {
        None => {
            all.extend(words(&["--runtime", "fake", "--guard", "on"]));
            all.extend(words(&FAKE_ROOM));
        }
        Some(daemon) => {
            let (socket, marks) =
                (daemon.socket().display().to_string(), daemon.marks().display().to_string());
            all.extend(words(&["--runtime", "docker", "--docker", &socket, "--allow-mount", &marks]));
            all.extend(words(&DOCKER_ROOM));
        }
    }
    all
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
