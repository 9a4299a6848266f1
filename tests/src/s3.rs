//! A real server of S3 of a test's own, which keeps its objects in a folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;

use crate::process::Process;
use crate::prometheus::get;
use crate::{eventually, needs, ports};

/// A JVM that starts on a loaded machine of two cores.
const START_LIMIT: Duration = Duration::from_secs(120);
/// What `deploy/host/setup.sh` fetches.
const JAR: &str = "s3proxy-3.0.0-jar-with-dependencies.jar";
const BUCKET: &str = "output";
/// Not at the begin of the bucket: it may have other things in it.
const PREFIX: &str = "some/cluster";

/// A server that can be killed, stopped in place, and started again on what it holds.
#[derive(Debug)]
pub struct S3Server {
    folder: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
}

impl S3Server {
    /// Starts one below `folder` and waits until it answers.
    pub async fn start(folder: &Path) -> Self {
        let folder = folder.join("s3");
        fs::create_dir_all(folder.join("data").join(BUCKET)).expect("make its bucket");
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let settings = format!(
            "s3proxy.endpoint=http://{address}\ns3proxy.authorization=aws-v2-or-v4\ns3proxy.identity=test\n\
             s3proxy.credential=not a secret\njclouds.provider=filesystem-nio2\njclouds.identity=x\n\
             jclouds.credential=x\njclouds.filesystem.basedir={}\n",
            folder.join("data").display(),
        );
        fs::write(folder.join("conf"), settings).expect("write its settings");
        let mut started = Self { folder, address, process: None };
        started.start_again().await;
        started
    }

    /// What a coordinator is started with to keep output there.
    pub fn place(&self) -> String {
        format!("s3://{BUCKET}/{PREFIX}")
    }

    /// The variables by which it is reached.
    pub fn variables(&self) -> Vec<(String, String)> {
        let variables = [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "not a secret".to_owned()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The files of the objects below `name`.
    pub fn objects(&self, name: &str) -> Vec<PathBuf> {
        let folder = self.folder.join("data").join(BUCKET).join(PREFIX).join(name);
        let listed = fs::read_dir(folder).into_iter().flatten();
        listed.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// Kills it as a power cut would.
    pub async fn kill(&mut self) {
        self.process.take().expect("it runs").kill().await;
    }

    /// Stops it in place, or lets it go on.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// Starts it again on what it holds.
    pub async fn start_again(&mut self) {
        let mut command = Command::new("java");
        command
            .args(["-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-DLOG_LEVEL=warn"])
            .arg("-jar")
            .arg(needs::tool(JAR))
            .arg("--properties")
            .arg(self.folder.join("conf"))
            .current_dir(&self.folder);
        self.process = Some(Process::start("s3", &mut command, &self.folder.join("log")));
        let address = self.address;
        eventually("S3 to answer", START_LIMIT, async || get(address, "/", &[]).await.is_ok()).await;
    }
}
