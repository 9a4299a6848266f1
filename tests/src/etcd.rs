//! The etcd a cluster uses: the one the runner started, or members of its own that a test can kill and pause.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::Process;
use crate::{ports, wait_until};

/// How long etcd may take to answer: its first election on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long one member may take to say how it is.
const HEALTH_LIMIT: Duration = Duration::from_secs(3);

/// Keys that only take room.
const FILLING: &str = "filling/";

/// An etcd that answers.
#[derive(Debug)]
pub struct Etcd {
    /// Its endpoints, separated by commas.
    pub url: String,
    members: Vec<Member>,
    args: Vec<String>,
    folder: PathBuf,
}

#[derive(Debug)]
struct Member {
    client: u16,
    peer: u16,
    process: Option<Process>,
}

impl Etcd {
    /// Takes the etcd named by `DOCKMGR_TEST_ETCD`, or starts one below `folder`.
    pub async fn find(folder: &Path) -> Self {
        match std::env::var("DOCKMGR_TEST_ETCD") {
            Ok(url) => Self { url, members: Vec::new(), args: Vec::new(), folder: folder.to_owned() },
            Err(_) => Self::start(folder).await,
        }
    }

    /// Starts an etcd of one member below `folder`.
    pub async fn start(folder: &Path) -> Self {
        Self::start_members(folder, 1, &[]).await
    }

    /// Starts an etcd of `count` members below `folder`, each with `args` added to its command line.
    pub async fn start_members(folder: &Path, count: usize, args: &[&str]) -> Self {
        let members: Vec<Member> = (0..count)
            .map(|_| Member { client: ports::free(), peer: ports::free(), process: None })
            .collect();
        let urls: Vec<String> = members.iter().map(|m| format!("http://127.0.0.1:{}", m.client)).collect();
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut etcd = Self { url: urls.join(","), members, args, folder: folder.to_owned() };
        for n in 0..count {
            etcd.launch(n);
        }
        for n in 0..count {
            etcd.wait_healthy(n).await;
        }
        etcd
    }

    /// The endpoint of one member.
    pub fn member_url(&self, n: usize) -> String {
        format!("http://127.0.0.1:{}", self.members[n].client)
    }

    /// The process of member `n`.
    ///
    /// # Panics
    /// If it was killed.
    pub fn member(&mut self, n: usize) -> &mut Process {
        self.members[n].process.as_mut().expect("the member runs")
    }

    /// Kills member `n` as a power cut would.
    pub async fn kill(&mut self, n: usize) {
        self.members[n].process.take().expect("the member runs").kill().await;
    }

    /// Starts member `n` again on its data and waits until it takes part.
    pub async fn restart(&mut self, n: usize) {
        self.launch(n);
        self.wait_healthy(n).await;
    }

    /// Stops every member in place.
    pub fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets every member go on.
    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Runs `etcdctl` against the members and returns what it prints, both streams; panics if it fails.
    pub async fn ctl(&self, args: &[&str]) -> String {
        self.try_ctl(args).await.unwrap_or_else(|text| panic!("etcdctl {args:?}: {text}"))
    }

    /// [`Self::ctl`] that may fail; both streams either way.
    pub async fn try_ctl(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.url]).args(args);
        let output = command.output().await.unwrap_or_else(|error| panic!("run etcdctl: {error}"));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(text) } else { Err(text) }
    }

    /// Its newest revision.
    pub async fn revision(&self) -> u64 {
        let answer = self.ctl(&["get", "nothing", "-w", "json"]).await;
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        answer["header"]["revision"].as_u64().expect("a number")
    }

    /// Keeps its state in `file`.
    pub async fn save(&self, file: &Path) {
        self.ctl(&["snapshot", "save", file.to_str().expect("a plain path")]).await;
    }

    /// Ends its one member and starts it from what was kept in `file`.
    pub async fn restore(&mut self, file: &Path) {
        self.kill(0).await;
        let (data, peer) = (self.folder.join("etcd-0"), format!("http://127.0.0.1:{}", self.members[0].peer));
        std::fs::remove_dir_all(&data).expect("its data folder");
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["snapshot", "restore"]).arg(file).arg("--data-dir").arg(&data);
        command.args(["--name", "m0", "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("m0={peer}")]);
        let output = command.output().await.unwrap_or_else(|error| panic!("run etcdctl: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.restart(0).await;
    }

    /// Fills it with what is not ours until it has no room for a value as small as a lease.
    ///
    /// # Panics
    /// If it has no quota of some megabytes.
    pub async fn fill(&self) {
        for n in 0..100 {
            let mut command = Command::new("etcdctl");
            command.env("ETCDCTL_API", "3").args(["--endpoints", &self.url, "put", &format!("{FILLING}{n}")]);
            let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap_or_else(|error| panic!("run etcdctl: {error}"));
            let mut value = child.stdin.take().expect("piped");
            value.write_all(&vec![b'x'; 1 << 20]).await.expect("etcdctl reads the value");
            drop(value);
            if !child.wait().await.expect("etcdctl ends").success() {
                return;
            }
        }
        panic!("the quota does not hold");
    }

    /// Makes room in an etcd of one member as a person would: forget, compact, defragment, disarm the alarm.
    pub async fn make_room(&self) {
        self.ctl(&["del", "--prefix", FILLING]).await;
        self.ctl(&["compact", &self.revision().await.to_string()]).await;
        self.ctl(&["defrag"]).await;
        self.ctl(&["alarm", "disarm"]).await;
    }

    fn signal_all(&self, signal: Signal) {
        for process in self.members.iter().filter_map(|member| member.process.as_ref()) {
            process.signal(signal);
        }
    }

    /// Starts member `n` without waiting for it.
    pub fn launch(&mut self, n: usize) {
        let (url, peer) = (self.member_url(n), format!("http://127.0.0.1:{}", self.members[n].peer));
        let all: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(n, member)| format!("m{n}=http://127.0.0.1:{}", member.peer))
            .collect();
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{n}"), "--logger", "zap", "--log-outputs", "stderr"])
            .arg("--data-dir")
            .arg(self.folder.join(format!("etcd-{n}")))
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &all.join(",")])
            .args(&self.args);
        let log = self.folder.join(format!("etcd-{n}.log"));
        self.members[n].process = Some(Process::start(&format!("etcd-{n}"), &mut command, &log));
    }

    /// Waits until member `n` says that it has a leader.
    pub async fn wait_healthy(&self, n: usize) {
        let port = self.members[n].client;
        wait_until("etcd to be healthy", START_LIMIT, async || {
            let answer = tokio::time::timeout(HEALTH_LIMIT, health(port)).await;
            match answer.map_err(|_| "silent".to_owned())?.map_err(|error| error.to_string())? {
                text if text.contains("\"health\":\"true\"") => Ok(()),
                text => Err(text),
            }
        })
        .await;
    }
}

async fn health(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
