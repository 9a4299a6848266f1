//! Calling the command line: arguments in, exit code and both streams out.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::STEP_LIMIT;

/// What a call gave.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit code; minus the signal's number if a signal ended it.
    pub code: i32,
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error, byte for byte.
    pub stderr: Vec<u8>,
    shown: String,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "an expectation is complete without a look at the output"
)]
impl Output {
    /// Standard output as text without the last newline.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Standard error as text.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.describe()))
    }

    /// Panics unless the exit code is this one.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.describe());
        self
    }

    /// Panics unless standard error contains this text.
    #[track_caller]
    pub fn expect_error(self, fragment: &str) -> Self {
        assert!(self.errors().contains(fragment), "'{fragment}' is missing: {}", self.describe());
        self
    }

    /// The call and what came of it, cut to a size for people.
    pub fn describe(&self) -> String {
        let cut = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(3000)]).into_owned();
        let (out, err) = (cut(&self.stdout), cut(&self.stderr));
        format!("{} exited with {}\n--- stdout\n{out}\n--- stderr\n{err}", self.shown, self.code)
    }
}

/// A call that is about to be made.
#[derive(Debug)]
pub struct CliCall {
    command: Command,
    stdin: Option<Vec<u8>>,
    limit: Duration,
    shown: String,
}

impl CliCall {
    /// A call of a prepared command.
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut command: Command, args: I) -> Self {
        let mut shown = String::from("cluster-cli");
        for arg in args {
            shown.push(' ');
            shown.extend(arg.as_ref().to_string_lossy().escape_debug().take(200));
            command.arg(arg);
        }
        Self { command, stdin: None, limit: STEP_LIMIT, shown }
    }

    /// Gives it standard input; otherwise that is empty.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Changes the longest time it may take.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes a variable of its environment.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it to its end.
    pub async fn run(self) -> Output {
        let limit = self.limit;
        self.spawn().wait(limit).await
    }

    /// Runs it and expects exit code 0.
    pub async fn ok(self) -> Output {
        self.run().await.expect_code(0)
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running {
        let input = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child = self
            .command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", self.shown));
        let feeding = self.stdin.zip(child.stdin.take()).map(|(bytes, mut pipe)| {
            tokio::spawn(async move {
                // The program may end without reading everything.
                let _closed = pipe.write_all(&bytes).await;
            })
        });
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .expect("a fresh child has an id");
        let stdout = Drain::start(child.stdout.take().expect("piped"));
        let stderr = Drain::start(child.stderr.take().expect("piped"));
        Running { child, pid, stdout, stderr, _feeding: feeding, shown: self.shown }
    }
}

/// A call that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pid: Pid,
    stdout: Drain,
    stderr: Drain,
    _feeding: Option<JoinHandle<()>>,
    shown: String,
}

impl Running {
    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // Not yet waited for, so the id cannot belong to another process.
        let _gone = kill_process(self.pid, signal);
    }

    /// What it has written to standard output so far.
    pub fn stdout_so_far(&self) -> Vec<u8> {
        self.stdout.so_far()
    }

    /// What it has written to standard error so far, as text.
    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.so_far()).into_owned()
    }

    /// Waits until its standard output contains `text`.
    pub async fn expect_stdout(&self, text: &str, limit: Duration) {
        crate::wait_until(&format!("'{text}' from {}", self.shown), limit, async || {
            let seen = String::from_utf8_lossy(&self.stdout_so_far()).into_owned();
            if seen.contains(text) {
                Ok(())
            } else {
                Err(format!("{seen:?}, stderr {:?}", self.stderr_so_far()))
            }
        })
        .await;
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits for its end and for both streams.
    pub async fn wait(mut self, limit: Duration) -> Output {
        let ended = tokio::time::timeout(limit, async {
            let status = self.child.wait().await.expect("a child can be waited for");
            self.stdout.end().await;
            self.stderr.end().await;
            status
        })
        .await;
        let code = ended
            .as_ref()
            .map_or(i32::MIN, |status| status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)));
        let output = Output {
            code,
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            shown: self.shown.clone(),
        };
        assert!(ended.is_ok(), "no end within {limit:?}: {}", output.describe());
        output
    }
}

/// Reads a stream to its end, keeping everything.
#[derive(Debug)]
struct Drain {
    bytes: Arc<Mutex<Vec<u8>>>,
    task: Option<JoinHandle<()>>,
}

impl Drain {
    fn start(mut stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let task = tokio::spawn(async move {
            let mut piece = vec![0; 1 << 16];
            while let Ok(count @ 1..) = stream.read(&mut piece).await {
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..count]);
            }
        });
        Self { bytes, task: Some(task) }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn end(&mut self) {
        if let Some(task) = self.task.take() {
            task.await.expect("reading a pipe does not panic");
        }
    }
}
