//! A real OpenSearch of a test's own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::process::Process;
use crate::prometheus::call;
use crate::{needs, ports, wait_until};

/// A JVM that indexes its own plugins on a loaded machine of two cores.
const START_LIMIT: Duration = Duration::from_secs(180);
/// The version that `deploy/host/setup.sh` fetches.
const VERSION: &str = "2.19.3";

/// An OpenSearch that can be killed and started again on what it holds.
#[derive(Debug)]
pub struct OpenSearch {
    folder: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
}

impl OpenSearch {
    /// Starts one below `folder` and waits until it answers.
    pub async fn start(folder: &Path) -> Self {
        let folder = folder.join("opensearch");
        for name in ["conf", "data", "logs", "tmp"] {
            fs::create_dir_all(folder.join(name)).expect("make its folders");
        }
        let (port, transport) = (ports::free(), ports::free());
        let at = |name: &str| folder.join(name).display().to_string();
        let settings = format!(
            "cluster.name: test\nnode.name: test\npath.data: {}\npath.logs: {}\nnetwork.host: 127.0.0.1\n\
             http.port: {port}\ntransport.port: {transport}\ndiscovery.type: single-node\n\
             cluster.routing.allocation.disk.threshold_enabled: false\n",
            at("data"),
            at("logs"),
        );
        fs::write(folder.join("conf/opensearch.yml"), settings).expect("write its settings");
        let log = "rootLogger.level = warn\nrootLogger.appenderRef.console.ref = console\nappender.console.type = Console\n\
                   appender.console.name = console\nappender.console.layout.type = PatternLayout\n\
                   appender.console.layout.pattern = [%level] %c %m%n\n";
        fs::write(folder.join("conf/log4j2.properties"), log).expect("write its settings");
        let mut started = Self { folder, address: SocketAddr::from(([127, 0, 0, 1], port)), process: None };
        started.start_again().await;
        started
    }

    /// Kills it as a power cut would.
    pub async fn kill(&mut self) {
        self.process.take().expect("it runs").kill().await;
    }

    /// Starts it again on what it holds.
    pub async fn start_again(&mut self) {
        let home = needs::tool(&format!("opensearch-{VERSION}"));
        let option = |name: &str, value: &Path| format!("-D{name}={}", value.display());
        let mut command = Command::new("java");
        command
            .args(["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            // Without native code it cannot ask whether it is root, which containers of CI are.
            .args(["-Djna.nosys=true", "-Djna.nounpack=true", "-Djna.boot.library.path=/nonexistent"])
            .args(["-Djava.security.manager=allow", "-Dlog4j2.disable.jmx=true"])
            .args(["-Dopensearch.distribution.type=zip", "-Dopensearch.bundled_jdk=false"])
            .arg(option("java.io.tmpdir", &self.folder.join("tmp")))
            .arg(option("opensearch.path.home", &home))
            .arg(option("opensearch.path.conf", &self.folder.join("conf")))
            .arg("-cp")
            .arg(home.join("lib/*"))
            .arg("org.opensearch.bootstrap.OpenSearch")
            .current_dir(&self.folder);
        self.process = Some(Process::start("opensearch", &mut command, &self.folder.join("log")));
        wait_until("OpenSearch to answer", START_LIMIT, async || {
            let ready = "/_cluster/health?wait_for_status=yellow&timeout=1s";
            let answer = call(self.address, "GET", ready, &[], "").await;
            if answer.as_ref().is_ok_and(|(status, _)| *status == 200) {
                Ok(())
            } else {
                Err(format!("{answer:?}"))
            }
        })
        .await;
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a document of settings.
    pub async fn put(&self, path: &str, body: &str) {
        let json = [("Content-Type", "application/json")];
        let (status, text) = call(self.address, "PUT", path, &json, body).await.expect("it answers");
        assert_eq!(status, 200, "{path}: {text}");
    }

    /// Every document of an index; none if there is no such index.
    pub async fn documents(&self, index: &str) -> Vec<Value> {
        let json = [("Content-Type", "application/json")];
        let refreshed = call(self.address, "POST", &format!("/{index}/_refresh"), &json, "{}").await;
        if refreshed.is_err() {
            return Vec::new();
        }
        let query = json!({ "size": 10_000, "query": { "match_all": {} } }).to_string();
        let found = call(self.address, "POST", &format!("/{index}/_search"), &json, &query).await;
        let Ok((200, text)) = found else { return Vec::new() };
        let answer: Value = serde_json::from_str(&text).expect("it answers JSON");
        let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
        hits.into_iter().map(|mut hit| hit["_source"].take()).collect()
    }
}
