//! The one door through which a program starts asynchronous work.
//!
//! Owns naming, cancelling and joining; knows nothing of what the tasks do. Every component gets a [`Tasks`] from the
//! program's composition root and starts its loops there, so that shutdown can say which loop did not end.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// A set of tasks that end together. Clones share the set.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
    /// How many tasks of each name run.
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    /// Whether a panic ends the process.
    fatal: bool,
}

impl Tasks {
    /// An empty set that is cancelled with `token`.
    pub fn new(token: CancellationToken) -> Self {
        Self { token, ..Self::default() }
    }

    /// The set of a whole program: a panic of any of its tasks is logged and aborts the process, so that a supervisor starts
    /// it again. A program that lacks one of its tasks would look alive and not do its work.
    pub fn of_program(token: CancellationToken) -> Self {
        Self { fatal: true, ..Self::new(token) }
    }

    /// Starts `work` under a name. It should end soon after [`Tasks::token`] is cancelled; it is not aborted.
    ///
    /// Dropping the handle leaves the task running. A panic is logged with its name and ends this task, or the program, see
    /// [`Tasks::of_program`].
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let running = Running::note(name, self);
        let named = async move {
            let _running = running;
            work.await
        };
        tokio::spawn(self.tracker.track_future(named.instrument(tracing::info_span!("task", name))))
    }

    /// Cancelled when the set is to end.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Asks all tasks to end and waits up to `limit`; gives the names of those that did not.
    ///
    /// Dropping the future leaves the tasks cancelled but not waited for.
    pub async fn shut_down(&self, limit: Duration) -> Vec<&'static str> {
        self.token.cancel();
        self.tracker.close();
        let ended = tokio::time::timeout(limit, self.tracker.wait()).await.is_ok();
        if ended { Vec::new() } else { lock(&self.running).keys().copied().collect() }
    }
}

/// Counts one running task while it lives.
struct Running {
    name: &'static str,
    /// What [`Tasks`] counts.
    counts: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    fatal: bool,
}

impl Running {
    fn note(name: &'static str, tasks: &Tasks) -> Self {
        let counts = Arc::clone(&tasks.running);
        *lock(&counts).entry(name).or_default() += 1;
        Self { name, counts, fatal: tasks.fatal }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, aborts = self.fatal, "task panicked");
            if self.fatal {
                std::process::abort();
            }
        }
        let mut running = lock(&self.counts);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

/// The counts are whole after every statement, so a panic elsewhere cannot have broken them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set for the process that is to die.
    const DIES: &str = "DOCKMGR_TEST_DIES";

    #[tokio::test]
    async fn a_panic_of_a_programs_task_ends_the_program() {
        use std::os::unix::process::ExitStatusExt as _;
        const ABORT: i32 = 6;
        if std::env::var_os(DIES).is_some() {
            let tasks = Tasks::of_program(CancellationToken::new());
            // It never returns: the process is gone first.
            let _ended = tasks.spawn("doomed", async { panic!("on purpose") }).await;
            return;
        }
        let own = std::env::current_exe().expect("this program has a path");
        let name = "tasks::tests::a_panic_of_a_programs_task_ends_the_program";
        let died = std::process::Command::new(own).args(["--exact", name]).env(DIES, "1").output();
        assert_eq!(died.expect("it starts").status.signal(), Some(ABORT));
    }

    #[tokio::test]
    async fn shutting_down_cancels_and_names_who_does_not_end() {
        let tasks = Tasks::default();
        let token = tasks.token().clone();
        tasks.spawn("polite", async move { token.cancelled().await });
        let stubborn = tasks.spawn("stubborn", std::future::pending::<()>());
        assert_eq!(tasks.shut_down(Duration::from_millis(50)).await, ["stubborn"]);
        stubborn.abort();
        assert_eq!(tasks.shut_down(Duration::from_secs(10)).await, Vec::<&str>::new());
    }
}
