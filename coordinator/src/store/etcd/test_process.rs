//! A real etcd of its own for a test: free loopback ports, a temporary folder, killed when dropped.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;
use tokio::time::Instant;

use super::super::{Config as StoreConfig, Error, EtcdConfig, Store};

const BINARY: &str = "etcd";
/// Set by a person who accepts that the etcd tests do not run.
const SKIP: &str = "DOCKMGR_SKIP_ETCD";

/// One running etcd member.
pub(in super::super) struct EtcdProcess {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl EtcdProcess {
    /// Starts etcd and waits until it answers; `None` if a person chose to skip these tests.
    pub(in super::super) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// As [`start`](Self::start), with `args` added to its command line.
    pub(in super::super) async fn start_with(args: &[&str]) -> Option<Self> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut etcd = match Self::spawn(args) {
                Ok(etcd) => etcd,
                Err(error) if std::env::var_os(SKIP).is_some() => {
                    skipped(&error);
                    return None;
                }
                Err(error) => panic!("start '{BINARY}': {error}; install etcd-server or set {SKIP}=1"),
            };
            // An early exit means that another program took a port in between: try others.
            while etcd.child.try_wait().expect("child state").is_none() {
                if Store::open(&etcd.config()).await.is_ok() {
                    return Some(etcd);
                }
                assert!(Instant::now() < deadline, "etcd does not answer: {}", etcd.log());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(Instant::now() < deadline, "etcd does not start: {}", etcd.log());
        }
    }

    /// Settings for a coordinator, with deadlines short enough for a test.
    pub(in super::super) fn config(&self) -> StoreConfig {
        StoreConfig::Etcd(self.etcd_config())
    }

    pub(in super::super) fn etcd_config(&self) -> EtcdConfig {
        let mut config = EtcdConfig::new(vec![format!("http://127.0.0.1:{}", self.port)]);
        config.prefix = "dockmgr/test".to_owned();
        config.call_timeout = Duration::from_secs(2);
        config
    }

    /// Stops the process in place, as an overloaded machine does; returns when its last thread stands still.
    pub(in super::super) fn pause(&self) {
        self.signal(Signal::STOP);
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&self.child)), stopped).expect("the child is ours");
    }

    /// Lets it go on.
    pub(in super::super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn spawn(args: &[&str]) -> std::io::Result<Self> {
        let folder = TempDir::new()?;
        let log = File::create(folder.path().join("log"))?;
        let (port, peer_port) = (free_port()?, free_port()?);
        let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
        let child = Command::new(BINARY)
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .args(["--name", "test", "--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("test={peer}")])
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { child, port, folder })
    }

    /// Runs `etcdctl` against it and returns what it prints.
    pub(super) fn ctl(&self, args: &[&str]) -> String {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &format!("http://127.0.0.1:{}", self.port)]);
        let output = command.args(args).output().expect("run etcdctl");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "etcdctl {args:?}: {text}");
        text
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the child is ours and not yet waited for");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for EtcdProcess {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too; an error means that it is gone already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Whether `error` says that etcd cannot be reached.
pub(super) fn is_unavailable(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. })
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so where the person looks")]
fn skipped(error: &std::io::Error) {
    eprintln!("SKIPPED: real etcd: {error} ({SKIP} is set)");
}
