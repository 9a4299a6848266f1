//! What each action of the plan does to the world, and how its outcome is noted.

use std::time::Duration;

use dockmgr_core::agent::{
    Action, Capture as CaptureState, Container, Ending, Exit, Image, Phase, StartRequest, Stop,
    container_name,
};
use dockmgr_core::cluster::{Progress, Pull};
use dockmgr_core::outcome::EndReason;
use dockmgr_core::time::{BootTime, WallTime};
use dockmgr_support::clock;
use dockmgr_support::error_chain::Chain;

use super::container::container_spec;
use super::driver::Driver;
use crate::capture::Capture;
use crate::guard::Remains;
use crate::images::{self, Need};
use crate::journal::{self, Change, StartedAt};
use crate::runtime::{ContainerState, ContainerStatus, Error, ImageFailure, PullProgress, Runtime as _};

/// How often the daemon may refuse a step with an answer that could pass (a busy name, an internal error) before the
/// attempt fails.
const REFUSALS: u32 = 5;
/// Between two reports of one pull.
const PULL_REPORT_EVERY: Duration = Duration::from_secs(1);

impl Driver {
    /// Carries out one action.
    pub(super) async fn carry_out(&mut self, action: Action) -> Result<(), journal::Error> {
        let touches = matches!(
            action,
            Action::Attach | Action::Start | Action::Signal(_) | Action::Kill(_) | Action::Remove { .. }
        );
        if touches && !self.own_daemon_answers().await {
            return Ok(());
        }
        match action {
            Action::PullImage => self.pull_image().await,
            Action::Inspect => self.inspect().await,
            Action::Create => self.create().await,
            Action::JournalCreated => self.journal_created().await?,
            Action::Attach => self.attach().await,
            Action::JournalStartIntent => {
                let (boot_id, daemon) = (self.context.boot_id.clone(), self.daemon_now());
                self.starts_in(daemon.clone());
                self.journal(Change::StartIntent { boot_id, daemon }).await?;
            }
            Action::Start => self.start_container().await,
            Action::JournalStarted => self.journal_started().await?,
            Action::Recover => {
                self.begin_capture(None).await;
                tracing::info!("attempt taken back");
            }
            Action::Signal(stop) => self.send(stop, false).await?,
            Action::Kill(stop) => self.send(stop, true).await?,
            Action::ReportStuck => {
                self.seen.stopping.stuck = true;
                tracing::error!("container does not die of SIGKILL: its place stays taken");
                self.report(Progress::Stopping { stuck: true });
            }
            Action::FinishCapture => self.await_capture().await,
            Action::End(ending) => self.end(ending).await?,
            Action::Remove { force } => self.remove(force).await,
            Action::Wait { until } => self.wait(until).await,
            // The loop ends with it instead of carrying it out.
            Action::Forget => {}
        }
        Ok(())
    }

    async fn pull_image(&mut self) {
        // A spec this worker refuses must not cost a pull.
        if let Err(reason) = container_spec(&self.context, self.start(), "") {
            self.seen.failure = Some(Ending::because(EndReason::Rejected, reason));
            return;
        }
        self.times.image_wanted();
        let spec = &self.start().spec;
        let need = Need {
            attempt: self.attempt,
            reference: spec.image.as_str().to_owned(),
            pinned: self.start().pinned_digest.clone(),
            policy: spec.pull,
            keep: spec.keep_image,
        };
        let (outbox, attempt) = (self.context.outbox.clone(), self.attempt);
        let mut reported: Option<BootTime> = None;
        let tell = move |progress: PullProgress| {
            let now = BootTime(clock::boot_nanos());
            if reported.is_none_or(|at| now.since(at) >= PULL_REPORT_EVERY) {
                reported = Some(now);
                let PullProgress { current, total, status } = progress;
                outbox.put(attempt, Progress::Pulling(Pull { current, total, status }));
            }
        };
        let images = self.context.images.clone();
        let ensured = tokio::select! {
            ensured = images.ensure(&need, self.pulled_again, tell) => ensured,
            // A stop must not wait for a slow registry.
            () = self.wish_to_end() => return,
        };
        match ensured {
            Ok(pin) => {
                self.times.image_ready();
                self.image = pin;
                self.seen.image = Image::Ready;
                self.succeeded();
            }
            Err(images::Error::Failed(ending)) => self.seen.failure = Some(ending),
            Err(images::Error::Daemon(error)) => self.refused(error, EndReason::ImageFailed).await,
        }
    }

    async fn inspect(&mut self) {
        let name = match &self.entry.container {
            Some(id) => id.clone(),
            None => container_name(self.context.identity().cluster, self.attempt),
        };
        if !self.own_daemon_answers().await {
            return;
        }
        let state = match self.context.runtime.inspect(&name).await {
            Ok(state) => state,
            Err(error) => return self.look_failed(&error).await,
        };
        if state.is_none() && !self.end_remains().await {
            return self.pause().await;
        }
        let container = self.container_of(state.as_ref());
        if matches!(container, Container::Exited(_) | Container::Running)
            && let Err(error) = self.doubt_the_daemon(container).await
        {
            return self.look_failed(&error).await;
        }
        self.looked();
        self.seen.second_run = self.is_second_run(state.as_ref());
        if self.seen.second_run {
            tracing::warn!(container_id = name, "somebody else started the container again");
        }
        if matches!(container, Container::Exited(_)) {
            let guard = self.context.guard.as_ref();
            self.seen.stopping.by_guard = guard.is_some_and(|guard| guard.was_killed(self.attempt));
        }
        self.seen.container = container;
        self.state = state;
    }

    /// Of a container that the daemon does not know: ends what a start in doubt left alive. `false` if something lives on.
    async fn end_remains(&self) -> bool {
        let in_doubt = self.seen.phase == Phase::StartIntent && self.seen.start == StartRequest::Sent;
        let Some(id) = self.container_id().filter(|_| in_doubt) else { return true };
        let id = id.to_string();
        match tokio::task::spawn_blocking(move || Remains::end(&id)).await {
            Ok(Ok(Remains { alive, ended })) => {
                if alive {
                    tracing::warn!(ended, "the daemon forgot a container that ran");
                }
                ended
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot look for what a start in doubt left");
                true
            }
            // Ended with the runtime.
            Err(_) => false,
        }
    }

    /// What an inspected container means for this attempt.
    fn container_of(&self, state: Option<&ContainerState>) -> Container {
        let Some(state) = state else { return Container::Absent };
        if !self.context.identity().owns(self.attempt, &state.labels) {
            return Container::Foreign;
        }
        match state.status {
            ContainerStatus::Created => Container::Created,
            ContainerStatus::Running
            | ContainerStatus::Paused
            | ContainerStatus::Restarting
            | ContainerStatus::Unknown(_) => Container::Running,
            ContainerStatus::Removing => Container::Removing,
            // A failed start leaves some daemons with an exited container that never ran.
            ContainerStatus::Exited | ContainerStatus::Dead if state.started_at.is_none() => {
                Container::Created
            }
            ContainerStatus::Exited | ContainerStatus::Dead => {
                Container::Exited(Exit { code: state.exit(), oom: state.oom_killed })
            }
        }
    }

    async fn create(&mut self) {
        let spec = match container_spec(&self.context, self.start(), &self.image.id) {
            Ok(spec) => spec,
            Err(reason) => {
                self.seen.failure = Some(Ending::because(EndReason::Rejected, reason));
                return;
            }
        };
        let digest = Some(self.image.digest.clone()).filter(|digest| !digest.is_empty());
        self.report(Progress::Starting { image_digest: digest });
        let created = {
            let _permit = self.context.starts.acquire().await;
            self.context.runtime.create(&spec).await
        };
        // Whatever the answer was, a look tells what is there.
        self.seen.container = Container::Unknown;
        match created {
            Ok(_) => self.succeeded(),
            Err(Error::Image { failure: ImageFailure::NotFound, .. }) if !self.pulled_again => {
                self.pulled_again = true;
                self.seen.image = Image::Wanted;
            }
            Err(error) => self.refused(error, EndReason::StartFailed).await,
        }
    }

    /// Ends the attempt for an error that no repetition changes, pauses for any other.
    async fn refused(&mut self, error: Error, reason: EndReason) {
        let counts = !error.is_daemon_trouble();
        self.refusals += u32::from(counts);
        let ending = Ending::because(reason, Chain(&error).to_string());
        self.seen.failure = match &error {
            Error::StartFailed { code, .. } => Some(Ending { exit_code: Some(*code), ..ending }),
            Error::InvalidSpec(_) => Some(Ending { exit_code: Some(125), ..ending }),
            Error::Image { .. } => Some(Ending { reason: EndReason::ImageFailed, ..ending }),
            Error::Disk { .. } => Some(Ending { retryable: true, ..ending }),
            _ if self.refusals >= REFUSALS => Some(Ending { retryable: true, ..ending }),
            _ => None,
        };
        if self.seen.failure.is_none() {
            let refusals = self.refusals;
            self.failed(&error).await;
            self.refusals = refusals;
        }
    }

    async fn journal_created(&mut self) -> Result<(), journal::Error> {
        let Some(state) = &self.state else {
            self.seen.container = Container::Unknown;
            return Ok(());
        };
        let container = state.id.to_string();
        if self.image.id.is_empty() {
            // Found after a crash: what it was made of is what the daemon says.
            self.image.id.clone_from(&state.image_id);
            self.image.digest.clone_from(&state.image_id);
        }
        let daemon = self.daemon_now();
        self.journal(Change::Created { container, image: self.image.clone(), daemon }).await
    }

    async fn attach(&mut self) {
        let Some(id) = self.container_id() else { return };
        match self.context.runtime.attach(&id).await {
            Ok(attached) => {
                self.succeeded();
                self.begin_capture(Some(attached)).await;
            }
            Err(error) => {
                self.seen.container = Container::Unknown;
                self.refused(error, EndReason::StartFailed).await;
            }
        }
    }

    /// Starts to read output, live or from what the daemon kept.
    async fn begin_capture(&mut self, attached: Option<crate::runtime::Attached>) {
        let Some(container) = self.container_id() else {
            self.seen.capture = CaptureState::Done;
            return;
        };
        let spool = match self.context.spool.attempt(self.attempt).await {
            Ok(spool) => spool,
            // Nothing runs whose output would have no place: a full disk gets room again, and then this is asked again.
            Err(error) => return self.no_room(&error).await,
        };
        let capture = Capture {
            runtime: self.context.runtime.clone(),
            container,
            spool,
            cap: self.start().spec.log_limit,
            daemon: self.entry.daemon.clone(),
            health: self.context.health.clone(),
            captured: self.context.metrics.captured.clone(),
            token: self.token.clone(),
        };
        self.capture = Some(self.context.tasks.spawn("capture", capture.run(attached)));
        self.seen.capture = CaptureState::Open;
    }

    /// The spool cannot be opened. Before the start another worker had better do it; later the daemon keeps the output.
    async fn no_room(&mut self, error: &crate::spool::Error) {
        let message = format!("its output has no place here: {}", Chain(error));
        if self.entry.phase != Phase::Started {
            let call = crate::runtime::Call::Attach;
            return self.refused(Error::Disk { call, message }, EndReason::StartFailed).await;
        }
        tracing::warn!(error = message, "output is read later");
        self.pause().await;
    }

    /// The one start request of this attempt.
    async fn start_container(&mut self) {
        let Some(id) = self.container_id() else { return };
        let permit = self.context.starts.clone().acquire_owned().await;
        // The wait for the permit may have been long: a stop, or a lost leader, may have come first.
        if self.next_action() != Action::Start {
            return;
        }
        if let Err(error) = self.tell_guard() {
            let words = format!("the guard cannot be told of it: {error}");
            self.seen.failure =
                Some(Ending { retryable: true, ..Ending::because(EndReason::StartFailed, words) });
            return;
        }
        self.seen.start = StartRequest::Sent;
        let started = self.context.runtime.start(&id).await;
        drop(permit);
        self.seen.container = Container::Unknown;
        match started {
            Ok(_) => {
                self.succeeded();
                self.ran_since = Some(BootTime(clock::boot_nanos()));
            }
            Err(error) if error.is_ambiguous() || error.is_daemon_trouble() => self.failed(&error).await,
            Err(error) => self.refused(error, EndReason::StartFailed).await,
        }
    }

    async fn journal_started(&mut self) -> Result<(), journal::Error> {
        let now = BootTime(clock::boot_nanos());
        let started = self.state.as_ref().and_then(|state| state.started_at);
        let boot = self.ran_since.unwrap_or(now);
        let wall = started.unwrap_or(WallTime(clock::wall_millis()));
        self.journal(Change::Started(StartedAt { wall, exact: started.is_some(), boot })).await?;
        self.limit_from(boot);
        self.report(self.running_report());
        self.begin_sampling();
        Ok(())
    }

    /// The report of a running container, from the journal.
    pub(super) fn running_report(&self) -> Progress {
        let digest = Some(self.entry.image.digest.clone()).filter(|digest| !digest.is_empty());
        Progress::Running {
            container: self.entry.container.clone().unwrap_or_default(),
            started: self.entry.started.as_ref().map(|at| at.wall).unwrap_or_default(),
            image_digest: digest,
        }
    }

    /// Writes the stop down and sends its signal.
    async fn send(&mut self, stop: Stop, kill: bool) -> Result<(), journal::Error> {
        if self.seen.stopping.stop != Some(stop) || (kill && !self.entry.killed) {
            self.journal(Change::Stopping { stop, kill }).await?;
            self.report(Progress::Stopping { stuck: false });
        }
        self.seen.stopping.stop = Some(stop);
        let Some(id) = self.container_id() else { return Ok(()) };
        let signal = if kill { "SIGKILL".to_owned() } else { stop.signal.to_string() };
        match self.context.runtime.signal(&id, &signal).await {
            Ok(reached) => {
                let now = Some(BootTime(clock::boot_nanos()));
                if reached && kill {
                    self.seen.stopping.killed = now;
                } else if reached {
                    self.seen.stopping.signalled = now;
                } else {
                    // Nothing was running: it has ended by itself a moment ago. If a look says otherwise, not in a circle.
                    self.seen.container = Container::Unknown;
                    self.pause().await;
                }
                self.succeeded();
            }
            Err(error) => {
                self.seen.container = Container::Unknown;
                self.failed(&error).await;
            }
        }
        Ok(())
    }

    async fn remove(&mut self, force: bool) {
        let Some(id) = self.container_id() else {
            self.seen.container = Container::Unknown;
            return self.failed(&Error::NotFound { what: "container without an id".to_owned() }).await;
        };
        if self.seen.phase == Phase::Ended || force {
            self.stop_capture().await;
        }
        let removed = self.context.runtime.remove(&id, force).await;
        self.seen.container = Container::Unknown;
        match removed {
            Ok(()) if !self.removal_granted => {
                self.removal_granted = true;
                self.succeeded();
            }
            // Granted before, and it is still there.
            Ok(()) => self.pause().await,
            Err(error) => self.failed(&error).await,
        }
    }
}
