//! The etcd a cluster uses: the one the runner started, or one of its own.

use std::path::Path;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::Process;
use crate::{ports, wait_until};

/// An etcd that answers.
#[derive(Debug)]
pub struct Etcd {
    /// Its endpoint.
    pub url: String,
    _own: Option<Process>,
}

impl Etcd {
    /// Takes the etcd named by `DOCKMGR_TEST_ETCD`, or starts one below `folder`.
    pub async fn find(folder: &Path) -> Self {
        match std::env::var("DOCKMGR_TEST_ETCD") {
            Ok(url) => Self { url, _own: None },
            Err(_) => Self::start(folder).await,
        }
    }

    /// Starts an etcd below `folder`.
    pub async fn start(folder: &Path) -> Self {
        let (client, peer) = (ports::free(), ports::free());
        let (url, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let mut command = Command::new("etcd");
        command
            .args(["--name", "test", "--logger", "zap", "--log-outputs", "stderr"])
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("test={peer}")]);
        let process = Process::start("etcd", &mut command, &folder.join("etcd.log"));
        wait_until("etcd", Duration::from_secs(30), async || {
            TcpStream::connect(("127.0.0.1", client)).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
        Self { url, _own: Some(process) }
    }
}
