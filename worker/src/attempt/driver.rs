//! The driver of one attempt: ask the plan, carry out, note, ask again.
//!
//! Owns the loop and the waiting. What each action does is in `steps`, how the result is put together in `ending`.

use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::agent::{
    Action, Capture as CaptureState, Container, Doubt, Guarded, Observed, Phase, Stop, Wanted, is_fenced,
    plan,
};
use dockmgr_core::cluster::{Progress, Start};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::End;
use dockmgr_core::spec::{OnLost, Signal};
use dockmgr_core::time::BootTime;
use dockmgr_support::backoff::Backoff;
use dockmgr_support::clock;
use dockmgr_support::error_chain::Chain;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Context;
use super::container::stop_signal;
use super::daemon::DaemonWatch;
use super::ending;
use super::inbox::Inbox;
use super::trace::StepTimes;
use super::usage::Samples;
use crate::journal::{self, Change, Entry, Record};
use crate::runtime::{ContainerId, ContainerState, Error, Runtime as _};

/// First pause after a failed call.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause: leftovers must be gone within a minute after the daemon can remove them again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a container that is being removed is looked at.
const REMOVAL_POLL: Duration = Duration::from_millis(500);
/// How often is looked whether the container's own daemon answers again.
const ELSEWHERE_POLL: Duration = Duration::from_secs(2);
/// Failures in a row after which a person should know.
const TELL_AFTER: u32 = 3;

/// Drives one attempt.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each noted for itself")]
pub(super) struct Driver {
    pub(super) context: Arc<Context>,
    pub(super) attempt: AttemptId,
    /// What the journal knows; kept in step with it.
    pub(super) entry: Entry,
    /// Whether the entry came from the journal of an earlier process.
    adopted: bool,
    pub(super) seen: Observed,
    wanted: Wanted,
    inbox: watch::Receiver<Inbox>,
    signals: mpsc::Receiver<Signal>,
    /// The container as last inspected.
    pub(super) state: Option<ContainerState>,
    /// The image to create the container of.
    pub(super) image: crate::journal::ImagePin,
    pub(super) capture: Option<JoinHandle<Option<End>>>,
    pub(super) log_end: Option<End>,
    pub(super) samples: Samples,
    pub(super) times: StepTimes,
    /// When the container started, if this process saw it.
    pub(super) ran_since: Option<BootTime>,
    /// The daemon its container is on.
    pub(super) daemon: DaemonWatch,
    /// Failures in a row that were answers of the daemon, not its absence.
    pub(super) refusals: u32,
    /// Failures in a row of any kind.
    failures: u32,
    /// The last failure was one of looking.
    blind: bool,
    /// Its removal was granted once already.
    pub(super) removal_granted: bool,
    /// The image was gone at create once already.
    pub(super) pulled_again: bool,
    backoff: Backoff,
    /// Ends what was started for this attempt.
    pub(super) token: CancellationToken,
}

impl Driver {
    pub(super) fn new(
        context: Arc<Context>,
        attempt: AttemptId,
        entry: Entry,
        adopted: bool,
        inbox: watch::Receiver<Inbox>,
        signals: mpsc::Receiver<Signal>,
    ) -> Self {
        let mut seen = Observed::from_phase(entry.phase);
        let token = context.tasks.token().child_token();
        seen.strict = entry.start.spec.on_lost == OnLost::Wait;
        seen.stopping.stop = entry.stop;
        if entry.stop.is_some() {
            // It was written before the signal was sent; whether it arrived is not known, and is assumed.
            seen.stopping.signalled = Some(BootTime(clock::boot_nanos()));
        }
        let image = entry.image.clone();
        let samples = Samples::new(attempt, context.usage.clone());
        Self {
            context,
            attempt,
            entry,
            adopted,
            seen,
            inbox,
            signals,
            image,
            token,
            daemon: DaemonWatch::default(),
            wanted: Wanted::Run,
            state: None,
            capture: None,
            log_end: None,
            samples,
            times: StepTimes::default(),
            ran_since: None,
            refusals: 0,
            failures: 0,
            blind: false,
            removal_granted: false,
            pulled_again: false,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }

    /// Drives to the end; `false` if the worker ended before.
    pub(super) async fn run(mut self) -> bool {
        let token = self.token.clone();
        let span = tracing::info_span!("attempt", attempt = %self.attempt);
        let driven = Box::pin(token.run_until_cancelled(self.drive())).instrument(span).await;
        token.cancel();
        match driven {
            Some(Ok(())) => true,
            // The journal has logged its own failure, and the worker ends.
            Some(Err(_)) | None => false,
        }
    }

    async fn drive(&mut self) -> Result<(), journal::Error> {
        if !self.adopted {
            self.journal(Change::Intent(self.entry.start.clone())).await?;
            self.report(Progress::Accepted);
        } else if self.was_being_ended().await {
            self.seen.failure = Some(ending::interrupted());
        }
        loop {
            let action = self.next_action();
            if action == Action::Forget {
                return self.forget().await;
            }
            self.carry_out(action).await?;
        }
    }

    /// What is to be done now, by the newest wishes and the newest contact with the leader.
    pub(super) fn next_action(&mut self) -> Action {
        self.read_inbox();
        let contact = self.context.contact.now();
        self.seen.contact = is_fenced(self.start().spec.on_lost).then_some(contact);
        let limit = Stop::for_time_limit(stop_signal(self.start()), self.start().spec.grace);
        plan(BootTime(clock::boot_nanos()), self.wanted, limit, &self.seen)
    }

    /// Restores what the journal cannot say by its phase alone, and reports it: at once, because the first Hello must name
    /// every attempt in the journal, or the coordinator takes the missing ones for lost.
    pub(super) fn look_back(&mut self) {
        if self.entry.stop.is_some() && self.entry.killed {
            self.seen.stopping.killed = self.seen.stopping.signalled;
        }
        match &self.entry.start_boot_id {
            Some(boot_id) if *boot_id != self.context.boot_id => self.seen.doubt = Doubt::HostRebooted,
            Some(_) | None => {}
        }
        if self.entry.phase == Phase::Started
            && let Some(started) = self.entry.started.clone()
        {
            self.limit_from(started.boot);
            self.begin_sampling();
        }
        if matches!(self.entry.phase, Phase::StartIntent | Phase::Started)
            && let Err(error) = self.tell_guard()
        {
            tracing::error!(attempt = %self.attempt, %error, "guard not told of a container");
        }
        // The spool is removed only after its end was delivered, and an end that was never written cannot be.
        let delivered = !self.context.spool.attempts().contains(&self.attempt)
            || self.entry.end.as_ref().is_some_and(|end| end.log_end.is_none());
        self.seen.log_end_durable = self.entry.phase == Phase::Ended && delivered;
        self.report_phase();
    }

    fn report_phase(&mut self) {
        let digest = Some(self.entry.image.digest.clone()).filter(|digest| !digest.is_empty());
        self.report(match (self.entry.phase, &self.entry.end) {
            (Phase::Ended, Some(end)) => Progress::Ended(end.clone()),
            (Phase::Started, _) => self.running_report(),
            (Phase::Created | Phase::StartIntent, _) => Progress::Starting { image_digest: digest },
            (Phase::Intent | Phase::Ended, _) => Progress::Accepted,
        });
    }

    /// Tells the guard what this attempt is about to run, or runs.
    pub(super) fn tell_guard(&self) -> std::io::Result<()> {
        let (Some(guard), Some(container)) = (&self.context.guard, self.container_id()) else {
            return Ok(());
        };
        let container = container.as_str().to_owned();
        guard.write(self.attempt, &Guarded { container, on_lost: self.start().spec.on_lost })
    }

    /// Sets the run time-out, counted from the start.
    pub(super) fn limit_from(&mut self, started: BootTime) {
        self.seen.time_limit = self.start().spec.timeout.map(|timeout| started + timeout);
    }

    fn read_inbox(&mut self) {
        let inbox = *self.inbox.borrow_and_update();
        self.seen.confirmed = !self.adopted || inbox.confirmed;
        self.wanted = self.wanted.joined(inbox.wanted);
        if let (Wanted::Run, Some(stop)) = (self.wanted, self.entry.stop)
            && stop.cause != dockmgr_core::cluster::StopCause::Timeout
        {
            // The stop was begun by an earlier process; the coordinator's repeat may come late or never.
            self.wanted = Wanted::Stop(stop);
        }
        self.seen.result_acknowledged |= inbox.result_acknowledged;
        self.seen.log_end_durable |= inbox.log_end_durable;
    }

    /// What the cluster asked for.
    pub(super) fn start(&self) -> &Start {
        &self.entry.start
    }

    /// Writes a step down and follows it.
    pub(super) async fn journal(&mut self, change: Change) -> Result<(), journal::Error> {
        let record = Record { attempt: self.attempt, change: change.clone() };
        self.context.journal.append(record).await?;
        self.entry.apply(change);
        self.seen.phase = self.entry.phase;
        Ok(())
    }

    pub(super) fn report(&self, progress: Progress) {
        self.context.outbox.put(self.attempt, progress);
    }

    /// Waits until somebody wants it to end. Cancel safe.
    pub(super) async fn wish_to_end(&mut self) {
        loop {
            let inbox = *self.inbox.borrow_and_update();
            if inbox.wanted != Wanted::Run || inbox.fenced {
                return;
            }
            changed(&mut self.inbox).await;
        }
    }

    /// Samples usage while the attempt lasts.
    pub(super) fn begin_sampling(&self) {
        let Some(id) = self.container_id() else { return };
        let collect =
            self.samples.clone().collect(self.context.runtime.clone(), id, self.token.child_token());
        self.context.tasks.spawn("usage", collect);
    }

    /// Waits until something changes. Cancel safe: everything is looked at afresh afterwards.
    pub(super) async fn wait(&mut self, until: Option<BootTime>) {
        let runs = self.seen.phase == Phase::Started && self.seen.container == Container::Running;
        let look_again = match self.seen.container {
            Container::Removing => Some(REMOVAL_POLL),
            Container::Elsewhere => Some(ELSEWHERE_POLL),
            _ => None,
        };
        let container = if runs { self.container_id() } else { None };
        let run = self.state.as_ref().and_then(|state| state.started_at);
        let runtime = self.context.runtime.clone();
        let hint = async {
            match &container {
                Some(id) => runtime.wait_hint(id, run).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A wait that broke is the one sign of a short outage: no wish that comes with it may hide that.
            biased;
            // The container has probably ended, or the daemon is gone.
            hinted = hint => {
                self.seen.container = Container::Unknown;
                if let Err(error) = hinted {
                    self.look_failed(&error).await;
                }
            }
            // A new wish or an acknowledgement.
            () = changed(&mut self.inbox) => {}
            // A signal to pass on.
            Some(signal) = self.signals.recv() => self.pass_on(signal).await,
            // A grace or a time limit is over.
            () = sleep_until(until) => {}
            // Time to look whether the removal is done, or its own daemon is back.
            () = tokio::time::sleep(look_again.unwrap_or_default()), if look_again.is_some() => {
                self.seen.container = Container::Unknown;
            }
        }
    }

    /// Pauses after a failed call, shorter if something changes; everything is looked at afresh afterwards.
    pub(super) async fn failed(&mut self, error: &Error) {
        self.context.health.note(error);
        tracing::debug!(error = %Chain(error), "runtime call failed");
        self.failures += 1;
        if self.failures >= TELL_AFTER {
            self.context.health.trouble(self.attempt, Some(Chain(error).to_string()));
        }
        self.pause().await;
    }

    /// [`Self::failed`] for a call that only looks.
    pub(super) async fn look_failed(&mut self, error: &Error) {
        self.blind = true;
        self.failed(error).await;
    }

    /// Notes that a look succeeded. What was refused before it may be refused again: only that itself ends its pauses.
    pub(super) fn looked(&mut self) {
        if self.blind {
            let refusals = self.refusals;
            self.succeeded();
            self.refusals = refusals;
        }
    }

    /// Pauses, shorter if something changes.
    pub(super) async fn pause(&mut self) {
        let delay = self.backoff.next_delay();
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = changed(&mut self.inbox) => {}
        }
    }

    /// Notes that a call succeeded.
    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
        self.refusals = 0;
        self.blind = false;
        if self.failures > 0 {
            self.failures = 0;
            self.context.health.trouble(self.attempt, None);
        }
    }

    /// Waits for the capture; a new wish ends the wait early.
    pub(super) async fn await_capture(&mut self) {
        let Some(capture) = &mut self.capture else {
            self.seen.capture = CaptureState::Done;
            return;
        };
        tokio::select! {
            ended = capture => {
                if self.token.is_cancelled() {
                    // The worker ends, and so did the capture, in the middle: this is not the end of the output.
                    return std::future::pending().await;
                }
                self.capture = None;
                self.seen.capture = CaptureState::Done;
                self.log_end = ended.ok().flatten();
            }
            () = changed(&mut self.inbox) => {}
        }
    }

    async fn pass_on(&mut self, signal: Signal) {
        let running = self.seen.container == Container::Running;
        let Some(id) = self.container_id().filter(|_| running) else { return };
        if !self.own_daemon_answers().await {
            return;
        }
        if let Err(error) = self.context.runtime.signal(&id, &signal.to_string()).await {
            tracing::warn!(%signal, error = %Chain(&error), "signal not passed on");
        }
    }

    /// Id of the container, from the journal or the last look.
    pub(super) fn container_id(&self) -> Option<ContainerId> {
        let seen = self.state.as_ref().map(|state| state.id.clone());
        seen.or_else(|| self.entry.container.as_deref().and_then(ContainerId::parse))
    }
}

/// Waits for a change; for ever once nobody can make one.
async fn changed(inbox: &mut watch::Receiver<Inbox>) {
    if inbox.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Sleeps by the clock since boot. The clock tokio sleeps by stands still while the machine is suspended, so it wakes at
/// least every minute to look.
async fn sleep_until(until: Option<BootTime>) {
    const LONGEST_NAP: Duration = Duration::from_secs(60);
    let Some(until) = until else { return std::future::pending().await };
    let left = until.since(BootTime(clock::boot_nanos()));
    tokio::time::sleep(left.min(LONGEST_NAP)).await;
}
