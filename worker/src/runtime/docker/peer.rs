//! Which daemon is behind the socket, and which run of it.
//!
//! Owns the sight of the process that listens (the kernel tells its number to whoever connects) and the last answer of the
//! daemon about itself. A socket that the init process holds for the daemon shows no process of it; then only broken
//! connections tell of a restart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockmgr_core::agent::DaemonRun;
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::super::Error;
use super::{Docker, classify, info};

/// How long an answer about itself is believed of a daemon whose process cannot be seen.
const TRUST: Duration = Duration::from_secs(5);

/// What is known of the process behind the socket. Inside a [`Docker`].
#[derive(Debug, Default)]
pub(super) struct Peer {
    seen: Mutex<Seen>,
    restarts: AtomicU64,
}

#[derive(Debug, Default)]
struct Seen {
    /// The process seen last.
    instance: Option<String>,
    /// What it said of itself, and when.
    run: Option<(DaemonRun, Instant)>,
}

impl Peer {
    /// Notes who is at the other end of a fresh connection; `true` if it is another process than last time.
    pub(super) fn saw(&self, socket: &UnixStream) -> bool {
        let Some(instance) = instance_of(socket) else { return false };
        let mut seen = self.seen();
        let other = seen.instance.as_ref().is_some_and(|before| *before != instance);
        if other {
            tracing::warn!(
                before = seen.instance,
                now = instance,
                "the Docker daemon was restarted or replaced"
            );
            self.restarts.fetch_add(1, Ordering::Relaxed);
            seen.run = None;
        }
        seen.instance = Some(instance);
        other
    }

    /// Notes what the daemon said of itself.
    pub(super) fn says(&self, id: &str, live_restore: bool) -> DaemonRun {
        let mut seen = self.seen();
        let run = DaemonRun { id: id.to_owned(), instance: seen.instance.clone(), live_restore };
        seen.run = Some((run.clone(), Instant::now()));
        run
    }

    /// Forgets what it said: a connection broke.
    pub(super) fn doubt(&self) {
        self.seen().run = None;
    }

    /// How often another process was found behind the socket.
    pub(super) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    fn believed(&self) -> Option<DaemonRun> {
        let seen = self.seen();
        let (run, asked) = seen.run.as_ref()?;
        let sure = run.instance.is_some() && run.instance == seen.instance;
        (sure || asked.elapsed() < TRUST).then(|| run.clone())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Fields are replaced whole, so a panic elsewhere cannot have broken them.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Docker {
    /// Which daemon answers now, and which run of it. One connection; a question only when it may have changed.
    pub async fn daemon_run(&self) -> Result<DaemonRun, Error> {
        self.look().await?;
        if let Some(run) = self.peer().believed() {
            return Ok(run);
        }
        let info = info::info(self).await?;
        Ok(DaemonRun { id: info.daemon_id, instance: info.instance, live_restore: info.live_restore })
    }

    /// How often the daemon was found restarted or replaced.
    pub fn restarts(&self) -> u64 {
        self.peer().restarts()
    }

    /// Connects to see who is there.
    pub(super) async fn look(&self) -> Result<(), Error> {
        let socket = self.connect().await?;
        drop(socket);
        Ok(())
    }

    /// A connection of our own to the daemon, whose process is noted.
    pub(super) async fn connect(&self) -> Result<UnixStream, Error> {
        let socket = UnixStream::connect(self.socket())
            .await
            .map_err(|error| classify::unreachable(self.socket(), Some(error.kind()), &error.to_string()));
        let socket = socket.map_err(|error| self.note(error))?;
        if self.peer().saw(&socket) {
            // What answers now may speak another version.
            self.forget_client();
        }
        Ok(socket)
    }
}

/// Process number and start time of whoever listens; `None` where it is not visible or is the init process.
fn instance_of(socket: &UnixStream) -> Option<String> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    // A daemon inside this process is a test's, which is restarted without a new process.
    let pid = socket.peer_cred().ok()?.pid().filter(|pid| *pid > 1 && *pid != own)?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(format!("{pid}@{}", start_time(&stat)?))
}

/// The start time in a process's `stat` line, in ticks since boot. The name before it may hold anything.
fn start_time(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::start_time;

    #[test]
    fn the_start_time_stands_behind_any_name() {
        let line =
            "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 9 0 123456 1000 5 18446744073709551615";
        assert_eq!(start_time(line), Some(123_456));
        assert_eq!(start_time("42 (a"), None);
        let own = std::fs::read_to_string("/proc/self/stat").expect("a process reads its own");
        assert!(start_time(&own).is_some_and(|ticks| ticks > 0));
    }
}
