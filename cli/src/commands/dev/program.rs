//! The programs of a `dev` cluster: started, started again when they die, ended in order.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use dockmgr_support::backoff::Backoff;
use dockmgr_support::tasks::Tasks;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Plan, Runtime, Store};
use crate::failure::Failure;
use crate::output;

/// First and longest delay before a program that died is started again.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// A program that ran this long was in order: the delays begin anew.
const STEADY: Duration = Duration::from_secs(30);
/// Time for a program to end in an orderly way before it is killed: a worker waits for the clean-up of its containers.
const END_LIMIT: Duration = Duration::from_secs(20);
/// Exit codes that starting again does not cure: settings that cannot be used, and a store that another one holds.
const HOPELESS: [i32; 2] = [2, 75];

/// One program and how to start it.
struct Program {
    name: String,
    path: PathBuf,
    words: Vec<OsString>,
    log: PathBuf,
}

/// All programs that run.
pub(super) struct Programs {
    coordinator: Tasks,
    workers: Tasks,
}

impl Programs {
    /// Starts them all and keeps them running; what cannot run at all is told to `fatal`.
    pub(super) fn start(plan: &Plan, fatal: &mpsc::Sender<Failure>) -> Result<Self, Failure> {
        let running = Self {
            coordinator: Tasks::new(CancellationToken::new()),
            workers: Tasks::new(CancellationToken::new()),
        };
        let coordinator = coordinator(plan)?;
        let workers = (1..=plan.args.workers).map(|n| worker(plan, n)).collect::<Result<Vec<_>, _>>()?;
        let stop = running.coordinator.token().clone();
        running.coordinator.spawn("coordinator", keep_running(coordinator, stop, fatal.clone()));
        for worker in workers {
            let stop = running.workers.token().clone();
            running.workers.spawn("worker", keep_running(worker, stop, fatal.clone()));
        }
        Ok(running)
    }

    /// Ends the workers, then the coordinator, which must outlive their last words.
    pub(super) async fn end(self) {
        // Ending one takes at most its own limit and the kill after it.
        let limit = END_LIMIT + Duration::from_secs(5);
        let _all_killed = self.workers.shut_down(limit).await;
        let _all_killed = self.coordinator.shut_down(limit).await;
    }
}

fn coordinator(plan: &Plan) -> Result<Program, Failure> {
    let data = plan.data.join("coordinator");
    let mut words: Vec<OsString> = Vec::new();
    words.extend(["--listen".into(), plan.listen.to_string().into()]);
    words.extend(["--data".into(), data.into()]);
    words.extend(["--token-file".into(), plan.token_file.clone().into()]);
    match plan.args.store {
        Store::Redb => words.extend(["--store".into(), "redb".into()]),
        Store::Etcd => {
            let etcd = plan.args.etcd.clone().unwrap_or_default();
            words.extend(["--store".into(), "etcd".into(), "--etcd".into(), etcd.into()]);
        }
    }
    program(plan, "coordinator", "dockmgr-coordinator", words)
}

fn worker(plan: &Plan, number: u16) -> Result<Program, Failure> {
    let name = format!("worker-{number}");
    let mut words: Vec<OsString> = Vec::new();
    words.extend(["--coordinator".into(), plan.server().into()]);
    words.extend(["--data".into(), plan.data.join(&name).into()]);
    words.extend(["--name".into(), name.clone().into()]);
    words.extend(["--token-file".into(), plan.token_file.clone().into()]);
    let cpus = i64::try_from(plan.share.cpu_millis).map_or_else(|_| "1".to_owned(), output::cores);
    words.extend(["--cpus".into(), cpus.into()]);
    words.extend(["--memory".into(), format!("{}MiB", plan.share.memory_mib).into()]);
    let runtime = match plan.args.runtime {
        Runtime::Docker => "docker",
        Runtime::Fake => "fake",
    };
    words.extend(["--runtime".into(), runtime.into()]);
    if !rustix::process::geteuid().is_root() {
        // Only root can guard; on one machine coordinator and worker do not lose each other.
        words.extend(["--guard".into(), "off".into()]);
    }
    program(plan, &name, "dockmgr-worker", words)
}

fn program(plan: &Plan, name: &str, file: &str, words: Vec<OsString>) -> Result<Program, Failure> {
    let path = find(file).ok_or_else(|| {
        Failure::failed(format!("{file} is neither beside cluster-cli nor in PATH"))
            .hint("build or install all three programs: cargo build --workspace --bins")
    })?;
    let log = plan.data.join(format!("{name}.log"));
    Ok(Program { name: name.to_owned(), path, words, log })
}

/// The program that stands beside this one, else the first in `PATH`.
fn find(file: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = beside.into_iter().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(file)).find(|path| path.is_file())
}

/// Runs a program until `stop`, starting it again with growing delays.
async fn keep_running(program: Program, stop: CancellationToken, fatal: mpsc::Sender<Failure>) {
    let mut delays = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    while !stop.is_cancelled() {
        let started = Instant::now();
        let status = match spawn(&program) {
            Ok(child) => until_ended(child, &stop).await,
            Err(error) => Err(error),
        };
        if stop.is_cancelled() {
            return;
        }
        let code = status.as_ref().ok().and_then(ExitStatus::code);
        if status.is_err() || code.is_some_and(|code| HOPELESS.contains(&code)) {
            let _already_told = fatal.try_send(hopeless(&program, &status));
            return;
        }
        if started.elapsed() > STEADY {
            delays.reset();
        }
        let delay = delays.next_delay();
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        output::say(&format!(
            "{} died ({how}), starting it again; its log: {}",
            program.name,
            program.log.display()
        ));
        tokio::select! {
            // Time to try again.
            () = tokio::time::sleep(delay) => {}
            // The cluster ends.
            () = stop.cancelled() => {}
        }
    }
}

fn spawn(program: &Program) -> std::io::Result<Child> {
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&program.log)?;
    Command::new(&program.path)
        .args(&program.words)
        .stdin(Stdio::null())
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        // A group of its own: Ctrl-C at the terminal is for us, who end the programs in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Waits for the end of a program; at `stop` asks it to end, and kills it when it does not.
async fn until_ended(mut child: Child, stop: &CancellationToken) -> std::io::Result<ExitStatus> {
    tokio::select! {
        // It died by itself.
        status = child.wait() => return status,
        // The cluster ends.
        () = stop.cancelled() => {}
    }
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        let _ended_meanwhile = kill_process(pid, Signal::TERM);
    }
    if let Ok(status) = tokio::time::timeout(END_LIMIT, child.wait()).await {
        return status;
    }
    child.kill().await?;
    child.wait().await
}

/// Why a program cannot run, with the end of its log.
fn hopeless(program: &Program, status: &std::io::Result<ExitStatus>) -> Failure {
    let how = match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("{}: {error}", program.path.display()),
    };
    let mut failure = Failure::failed(format!("{} cannot run ({how})", program.name));
    if status.as_ref().ok().and_then(ExitStatus::code) == Some(75) {
        failure = failure.hint("another coordinator holds this data folder: end it, or give another --data");
    }
    for line in last_lines(&program.log) {
        failure = failure.hint(format!("{}: {}", program.name, crate::terminal::escape_line(&line)));
    }
    failure
}

/// The last lines of a log, for a person.
fn last_lines(log: &Path) -> Vec<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    /// Enough for a few lines of any length.
    const TAIL_BYTES: u64 = 4096;
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        file.take(TAIL_BYTES).read_to_end(&mut text)
    });
    if read.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(3)).map(|line| (*line).to_owned()).collect()
}
