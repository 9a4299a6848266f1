//! A real server with the push call of Loki of a test's own: `VictoriaLogs`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use crate::process::Process;
use crate::prometheus::{call, get};
use crate::{STEP_LIMIT, eventually, needs, ports};

/// The version that `deploy/host/setup.sh` builds.
const VERSION: &str = "1.51";

/// A server that can be stopped and started again on what it holds.
#[derive(Debug)]
pub struct VictoriaLogs {
    folder: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
}

impl VictoriaLogs {
    /// Starts one below `folder` and waits until it answers.
    pub async fn start(folder: &Path) -> Self {
        let folder = folder.join("victorialogs");
        fs::create_dir_all(&folder).expect("make its folder");
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let mut started = Self { folder, address, process: None };
        started.start_again().await;
        started
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it in good order: it answers before what it took is on the disk, and a kill would lose that.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::TERM);
        process.wait(STEP_LIMIT).await;
    }

    /// Starts it again.
    pub async fn start_again(&mut self) {
        let mut command = Command::new(needs::tool(&format!("victorialogs-{VERSION}")));
        command
            .arg(format!("-httpListenAddr={}", self.address))
            .arg(format!("-storageDataPath={}", self.folder.join("data").display()))
            .current_dir(&self.folder);
        self.process = Some(Process::start("victorialogs", &mut command, &self.folder.join("log")));
        let address = self.address;
        eventually("VictoriaLogs to answer", STEP_LIMIT, async || {
            get(address, "/health", &[]).await.is_ok_and(|(status, _)| status == 200)
        })
        .await;
    }

    /// The entries that a query of its language finds; none if it does not answer.
    pub async fn entries(&self, query: &str) -> Vec<Value> {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer =
            call(self.address, "POST", "/select/logsql/query", &form, &format!("query={encoded}")).await;
        let Ok((200, text)) = answer else { return Vec::new() };
        text.lines().map(|line| serde_json::from_str(line).expect("it answers JSON")).collect()
    }
}
