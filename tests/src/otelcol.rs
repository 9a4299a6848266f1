//! A real collector of OpenTelemetry of a test's own, which writes what it took to a file.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::Process;
use crate::{STEP_LIMIT, eventually, needs, ports};

/// The version that `deploy/host/setup.sh` builds.
const VERSION: &str = "0.160.0";

/// A collector that can be killed and started again.
#[derive(Debug)]
pub struct OtelCol {
    folder: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
}

impl OtelCol {
    /// Starts one below `folder` and waits until it listens.
    pub async fn start(folder: &Path) -> Self {
        let folder = folder.join("otelcol");
        fs::create_dir_all(&folder).expect("make its folder");
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let config = format!(
            "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: \"{address}\" }} }} }} }}\n\
             exporters: {{ file: {{ path: \"{}\", append: true, flush_interval: 10ms }} }}\n\
             service:\n  telemetry: {{ metrics: {{ level: none }}, logs: {{ level: warn }} }}\n\
             \x20 pipelines: {{ logs: {{ receivers: [otlp], exporters: [file] }} }}\n",
            folder.join("taken.jsonl").display(),
        );
        fs::write(folder.join("config.yaml"), config).expect("write its settings");
        let mut started = Self { folder, address, process: None };
        started.start_again().await;
        started
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it as a power cut would.
    pub async fn kill(&mut self) {
        self.process.take().expect("it runs").kill().await;
    }

    /// Starts it again.
    pub async fn start_again(&mut self) {
        let mut command = Command::new(needs::tool(&format!("otelcol-{VERSION}")));
        command.arg("--config").arg(self.folder.join("config.yaml")).current_dir(&self.folder);
        self.process = Some(Process::start("otelcol", &mut command, &self.folder.join("log")));
        let address = self.address;
        eventually("the collector to listen", STEP_LIMIT, async || TcpStream::connect(address).await.is_ok())
            .await;
    }

    /// Every request it took, oldest first. A line that a kill cut off was answered by nobody.
    pub fn taken(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("taken.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
