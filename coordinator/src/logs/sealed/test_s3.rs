//! A real server of S3 for a test: free loopback ports, a temporary folder, killed when dropped. Before it stands a gate that
//! can refuse, keep silent, or answer in its place.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dockmgr_support::tasks::Tasks;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Place, S3, SealedAt};

/// What `deploy/host/setup.sh` fetches.
const JAR: &str = "s3proxy-3.0.0-jar-with-dependencies.jar";
const BUCKET: &str = "output";
/// A JVM that starts on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(120);

/// What the gate does with connections; those that are open are cut when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logs) enum Gate {
    Open,
    /// Takes connections and says nothing.
    Silent,
    /// Answers every request with this status.
    Answers(u16),
    /// Cuts a connection behind so many bytes of requests.
    CutsAfter(u64),
}

/// A server that can be killed and started again on what it holds.
pub(in crate::logs) struct S3Server {
    child: Child,
    folder: TempDir,
    port: u16,
    door: u16,
    gate: watch::Sender<Gate>,
    _tasks: Tasks,
}

impl S3Server {
    /// Starts one with an empty bucket and waits until it answers.
    pub(in crate::logs) async fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir_all(folder.path().join("data").join(BUCKET)).expect("a bucket");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let door = listener.local_addr().expect("bound").port();
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.expect("a port").port();
        let (gate, tasks) = (watch::Sender::new(Gate::Open), Tasks::default());
        tasks.spawn("gate", serve(listener, port, gate.subscribe(), tasks.clone()));
        let child = spawn(&folder, port);
        let server = Self { child, folder, port, door, gate, _tasks: tasks };
        server.wait().await;
        server
    }

    /// What a person would set to keep output there.
    pub(in crate::logs) fn at(&self, prefix: &str) -> SealedAt {
        let endpoint = format!("http://127.0.0.1:{}", self.door);
        let set = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "not a secret"),
        ];
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        SealedAt::S3(S3::new(&format!("{BUCKET}/{prefix}"), set).expect("good settings"))
    }

    /// From now on the gate does this.
    pub(in crate::logs) fn gate(&self, now: Gate) {
        self.gate.send_replace(now);
    }

    /// Ends it like a loss of power, as far as a process can tell.
    pub(in crate::logs) fn kill(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }

    /// Starts it again on what it holds, and waits until it answers.
    pub(in crate::logs) async fn start_again(&mut self) {
        self.child = spawn(&self.folder, self.port);
        self.wait().await;
    }

    /// Stops it in place, as an overloaded machine does.
    pub(in crate::logs) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("the child is ours");
    }

    /// Lets it go on.
    pub(in crate::logs) fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("the child is ours");
    }

    async fn wait(&self) {
        let place = Place::open(&self.at("")).expect("opens");
        let answers = async {
            while place.list("none").await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(tokio::time::timeout(START_LIMIT, answers).await.is_ok(), "no answer: {}", log());
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too; an error means that it is gone already.
        let _gone = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn spawn(folder: &TempDir, port: u16) -> Child {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("a home folder"));
    let tools = std::env::var_os("DOCKMGR_TEST_TOOLS")
        .map_or_else(|| home().join(".cache/dockmgr/test-tools"), PathBuf::from);
    let jar = tools.join(JAR);
    assert!(jar.exists(), "no {}: run deploy/host/setup.sh --test", jar.display());
    let at = |name: &str| folder.path().join(name);
    let settings = format!(
        "s3proxy.endpoint=http://127.0.0.1:{port}\ns3proxy.authorization=aws-v2-or-v4\ns3proxy.identity=test\n\
         s3proxy.credential=not a secret\njclouds.provider=filesystem-nio2\njclouds.identity=x\n\
         jclouds.credential=x\njclouds.filesystem.basedir={}\n",
        at("data").display(),
    );
    fs::write(at("conf"), settings).expect("written");
    let log = File::options().create(true).append(true).open(at("log")).expect("a log");
    Command::new("java")
        .args([
            "-Xms32m",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-DLOG_LEVEL=warn",
            "-jar",
        ])
        .arg(jar)
        .arg("--properties")
        .arg(at("conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("java starts: run deploy/host/setup.sh --test")
}

async fn serve(listener: TcpListener, to: u16, gate: watch::Receiver<Gate>, tasks: Tasks) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let mut gate = gate.clone();
        tasks.spawn("gate-connection", async move {
            let now = *gate.borrow_and_update();
            tokio::select! {
                // What is open is cut.
                _ = gate.changed() => {}
                // An error is an end like any other.
                _ended = pass(client, to, now) => {}
            }
        });
    }
}

async fn pass(mut client: TcpStream, to: u16, gate: Gate) -> std::io::Result<()> {
    match gate {
        Gate::Silent => std::future::pending().await,
        Gate::Answers(status) => {
            let mut head = [0; 4096];
            if client.read(&mut head).await? > 0 {
                let answer =
                    format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                client.write_all(answer.as_bytes()).await?;
                client.shutdown().await?;
            }
            // The rest of the request: else the answer may be lost with the connection.
            tokio::io::copy(&mut client, &mut tokio::io::sink()).await.map(drop)
        }
        Gate::Open | Gate::CutsAfter(_) => {
            let server = TcpStream::connect(("127.0.0.1", to)).await?;
            let ((up, mut down), (mut answers, mut requests)) = (client.into_split(), server.into_split());
            let most = if let Gate::CutsAfter(most) = gate { most } else { u64::MAX };
            let mut up = up.take(most);
            tokio::select! {
                sent = tokio::io::copy(&mut up, &mut requests) => sent.map(drop),
                answered = tokio::io::copy(&mut answers, &mut down) => answered.map(drop),
            }
        }
    }
}
