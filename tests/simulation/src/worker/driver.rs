//! The driver of one attempt: ask the plan, carry out, note, ask again.

use std::time::Duration;

use dockmgr_core::agent::{
    Capture, Container, Doubt, Ending, Observed, Phase, StartRequest, Stop, Wanted, is_fenced, plan,
};
use dockmgr_core::cluster::{Progress, Start, StopCause};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::mutants::{self, Mutant};
use dockmgr_core::outcome::EndReason;
use dockmgr_core::spec::Signal;
use dockmgr_core::time::BootTime;
use dockmgr_model::docker::State;

use super::{Change, Entry};
use crate::clock::Instant;
use crate::output::Finish;
use crate::world::{Event, World};

/// First pause after a failed call, in milliseconds.
const FIRST_PAUSE: u64 = 200;
/// Longest pause.
const LONGEST_PAUSE: u64 = 30_000;

/// One attempt under way.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) entry: Entry,
    pub(crate) seen: Observed,
    pub(crate) wanted: Wanted,
    /// Counts the steps: what belongs to an earlier one is passed over.
    pub(crate) generation: u64,
    pub(crate) doing: Doing,
    /// The record being written.
    pub(crate) writing: Option<Change>,
    pub(crate) state: Option<State>,
    pub(crate) log_end: Option<Finish>,
    pub(crate) ran_since: Option<BootTime>,
    pub(crate) outages_before: u64,
    pub(crate) refusals: u32,
    failures: u32,
    /// The start was answered by nothing, and was sent once more; only a planted bug does that.
    pub(crate) restarted: bool,
}

/// What a driver is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It is asked for its next action.
    Nothing,
    /// A step is under way.
    Step,
    /// A pull is under way, which a wish to end cuts short.
    Pull,
    /// It waits for the end of the output, or a wish.
    Capture,
    /// It waits for anything.
    Wait,
    /// It pauses after a failure, or until something changes.
    Pause,
}

impl Driver {
    pub(super) fn new(entry: Entry, outages: u64, now: BootTime) -> Self {
        let mut seen = Observed::from_phase(entry.phase);
        seen.stopping.stop = entry.stop;
        if entry.stop.is_some() {
            seen.stopping.signalled = Some(now);
        }
        if entry.stop.is_some() && entry.killed {
            seen.stopping.killed = Some(now);
        }
        Self {
            entry,
            seen,
            wanted: Wanted::Run,
            generation: 0,
            doing: Doing::Nothing,
            writing: None,
            state: None,
            log_end: None,
            ran_since: None,
            outages_before: outages,
            refusals: 0,
            failures: 0,
            restarted: false,
        }
    }

    pub(super) fn start(&self) -> &Start {
        &self.entry.start
    }

    /// Notes that a call succeeded.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.refusals = 0;
    }

    pub(super) fn limit_from(&mut self, started: BootTime) {
        self.seen.time_limit = self.entry.start.spec.timeout.map(|timeout| started + timeout);
    }
}

impl World {
    /// Takes an attempt in; nothing if it is known.
    pub(super) fn take_in(&mut self, who: usize, start: Box<Start>) {
        let attempt = start.attempt;
        if self.workers[who].memory.drivers.contains_key(&attempt) {
            return;
        }
        self.say(|| format!("worker {who} takes in {attempt}"));
        let entry = Entry {
            start,
            phase: Phase::Intent,
            container: None,
            start_boot: None,
            started: None,
            stop: None,
            killed: false,
            end: None,
        };
        let (outages, now) = (self.workers[who].memory.outages, self.boot(who));
        self.workers[who].memory.drivers.insert(attempt, Driver::new(entry, outages, now));
        self.journal(who, attempt, Change::Intent);
    }

    /// Goes on with what the journal knows.
    pub(super) fn adopt(&mut self, who: usize, attempt: AttemptId, entry: Entry) {
        let (outages, now) = (self.workers[who].memory.outages, self.boot(who));
        let mut driver = Driver::new(entry, outages, now);
        driver.seen.confirmed = false;
        match driver.entry.start_boot {
            Some(boot) if boot != self.hosts[who].boots && !mutants::active(Mutant::ExitAfterReboot) => {
                driver.seen.doubt = Doubt::HostRebooted;
            }
            Some(_) if !self.workers[who].memory.live_restore => driver.seen.doubt = Doubt::WorkerWasAway,
            Some(_) | None => {}
        }
        if driver.entry.phase == Phase::Started
            && let Some((_, boot)) = driver.entry.started
        {
            driver.limit_from(boot);
        }
        driver.seen.stopping.by_guard = self.workers[who].disk.guarded.contains(&attempt);
        let delivered = !self.workers[who].disk.spool.contains_key(&attempt);
        driver.seen.log_end_durable = driver.entry.phase == Phase::Ended && delivered;
        let ended = self.workers[who].disk.spool.get(&attempt).is_some_and(|spool| spool.end.is_some());
        if ended && matches!(driver.entry.phase, Phase::Intent | Phase::Created) {
            self.oracle.sometimes("end interrupted before the start");
            let words = "the worker was killed while it ended the attempt";
            let ending = Ending { retryable: true, ..Ending::because(EndReason::InfraUnknown, words) };
            driver.seen.failure = Some(ending);
        }
        let progress = match (driver.entry.phase, &driver.entry.end) {
            (Phase::Ended, Some(end)) => Progress::Ended(end.clone()),
            (Phase::Started, _) => running(&driver),
            (Phase::Created | Phase::StartIntent, _) => Progress::Starting { image_digest: None },
            (Phase::Intent | Phase::Ended, _) => Progress::Accepted,
        };
        self.workers[who].memory.drivers.insert(attempt, driver);
        self.report(who, attempt, progress);
        self.drive(who, attempt);
    }

    /// Asks the plan until something takes time.
    pub(super) fn drive(&mut self, who: usize, attempt: AttemptId) {
        for _ in 0..100 {
            let (now, contact) = (self.boot(who), self.workers[who].memory.contact);
            let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
            if driver.doing != Doing::Nothing {
                return;
            }
            if let (Wanted::Run, Some(stop)) = (driver.wanted, driver.entry.stop)
                && !matches!(stop.cause, StopCause::Timeout | StopCause::Fenced)
            {
                driver.wanted = Wanted::Stop(stop);
            }
            let fenced = is_fenced(driver.start().spec.on_lost) && !mutants::active(Mutant::NoFence);
            driver.seen.contact = contact.filter(|_| fenced);
            let limit = Stop::for_time_limit(stop_signal(driver.start()), driver.start().spec.grace);
            let action = plan(now, driver.wanted, limit, &driver.seen);
            if plan(now, driver.wanted, limit, &driver.seen) != action {
                self.oracle.violate("I19", format!("the plan of {attempt} gave two answers to one question"));
            }
            driver.generation += 1;
            let line = self.trace.is_some().then(|| format!("worker {who} {attempt}: {action:?}"));
            if let Some(line) = line {
                self.say(|| line);
            }
            self.carry_out(who, attempt, action);
        }
        self.oracle.violate("V5", format!("the driver of {attempt} on worker {who} goes in circles"));
    }

    /// Writes a step down; goes on when it is written.
    pub(super) fn journal(&mut self, who: usize, attempt: AttemptId, change: Change) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        driver.doing = Doing::Step;
        driver.writing = Some(change.clone());
        let generation = driver.generation;
        let wait =
            if change.is_flushed() { self.chance.worker.millis(1, 20) } else { Duration::from_micros(200) };
        let life = self.workers[who].life;
        if self.weather.journal_fails[who] > 0 && self.chance.worker.chance(200) {
            self.oracle.sometimes("journal could not be written");
            return self.after(wait, Event::Worker(who, life, super::WorkerTimer::Dies));
        }
        let outcome = Box::new(super::steps::Outcome::Written(change));
        self.after(wait, Event::Worker(who, life, super::WorkerTimer::Done(attempt, generation, outcome)));
    }

    /// Pauses a driver after a failed call.
    pub(super) fn pause(&mut self, who: usize, attempt: AttemptId) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        driver.doing = Doing::Pause;
        driver.failures += 1;
        let (failures, generation) = (driver.failures.min(10), driver.generation);
        let most = (FIRST_PAUSE << failures).min(LONGEST_PAUSE);
        let millis = self.chance.worker.between(most / 2, most);
        self.worker_after(who, millis, super::WorkerTimer::Wake(attempt, generation));
    }

    /// What a command wrote must not go because the disk is full for a while.
    pub(super) fn wait_for_room(&mut self, who: usize, attempt: AttemptId) {
        self.oracle.sometimes("output waits for room");
        self.pause(who, attempt);
    }

    /// Lets a driver wait until something changes or a time has come.
    pub(super) fn wait(&mut self, who: usize, attempt: AttemptId, until: Option<BootTime>) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        driver.doing = Doing::Wait;
        let (generation, removing) = (driver.generation, driver.seen.container == Container::Removing);
        let runs = driver.entry.phase == Phase::Started && driver.seen.container == Container::Running;
        let container = driver.entry.container.filter(|_| runs && self.hosts[who].up);
        let life = self.workers[who].life;
        if container.is_some_and(|id| {
            !self.hosts[who].daemon.peek(id).is_some_and(dockmgr_model::docker::Container::is_running)
        }) {
            // Waiting for what has ended meanwhile is over at once.
            let soon = Duration::from_millis(1);
            self.after(soon, Event::Worker(who, life, super::WorkerTimer::Hint(attempt)));
        }
        let wake = super::WorkerTimer::Wake(attempt, generation);
        if let Some(until) = until {
            // The clock runs on over a pause; whoever waits looks at it again.
            let at = self.clocks.workers[who].when(until).max(Instant(self.now.0 + 1000));
            self.push(at, Event::Worker(who, life, wake));
        } else if removing {
            self.worker_after(who, 500, wake);
        }
    }

    pub(super) fn driver_wakes(&mut self, who: usize, attempt: AttemptId, generation: u64) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        if driver.generation != generation {
            return;
        }
        if driver.seen.container == Container::Removing {
            driver.seen.container = Container::Unknown;
        }
        self.go_on(who, attempt);
    }

    /// Something changed for a driver that waits.
    pub(super) fn go_on(&mut self, who: usize, attempt: AttemptId) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        match driver.doing {
            Doing::Nothing | Doing::Step => {}
            Doing::Pull if driver.wanted == Wanted::Run && driver.seen.failure.is_none() => {}
            Doing::Pull | Doing::Capture | Doing::Wait | Doing::Pause => {
                driver.doing = Doing::Nothing;
                self.drive(who, attempt);
            }
        }
    }

    /// A container has probably changed.
    pub(super) fn container_changed(&mut self, who: usize, attempt: AttemptId) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        let waits = driver.entry.phase == Phase::Started && driver.seen.container == Container::Running;
        if driver.doing == Doing::Wait && waits {
            driver.seen.container = Container::Unknown;
            self.go_on(who, attempt);
        }
    }

    /// Every connection to the daemon broke.
    pub(super) fn daemon_lost(&mut self, who: usize) {
        self.workers[who].memory.outages += 1;
        let attempts: Vec<AttemptId> = self.workers[who].memory.drivers.keys().copied().collect();
        for attempt in attempts {
            let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { continue };
            if driver.doing == Doing::Wait && driver.seen.container == Container::Running {
                driver.seen.container = Container::Unknown;
                self.pause(who, attempt);
            }
        }
    }

    /// Ends an attempt: what the plan says, with what is known of its output.
    pub(super) fn end(&mut self, who: usize, attempt: AttemptId, ending: Ending) {
        let now = self.clocks.workers[who].now(self.now);
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        let (started, captured) = (driver.entry.started.map(|(wall, _)| wall), driver.log_end);
        let container = driver.entry.container.map(|id| id.to_string());
        let times = driver.state.as_ref().and_then(|state| state.started_at.zip(state.finished_at));
        let run = match (driver.ran_since, times) {
            (Some(since), _) => now.boot.since(since),
            (None, Some((began, ended))) => Duration::from_millis(u64::try_from(ended - began).unwrap_or(0)),
            (None, None) => Duration::ZERO,
        };
        let may_have_run = driver.seen.start == StartRequest::Sent && driver.seen.failure.is_none();
        let ran = started.is_some() || may_have_run;
        if ran && self.weather.spool_full[who] > 0 {
            return self.wait_for_room(who, attempt);
        }
        let spool = self.workers[who].disk.spool.entry(attempt).or_default();
        if spool.end.is_none() {
            let whole = captured == Some(Finish::Complete) || !ran;
            spool.end = Some(if whole { Finish::Complete } else { Finish::Marked });
        }
        let end = dockmgr_core::outcome::AttemptEnd {
            reason: ending.reason,
            exit_code: ending.exit_code,
            message: ending.message,
            oom_seen: ending.oom_seen,
            started,
            ended: Some(now.wall),
            run,
            usage: None,
            log_end: None,
            container,
            image_digest: None,
            retryable: ending.retryable,
        };
        self.journal(who, attempt, Change::Ended(Box::new(end)));
    }
}

/// The signal of a stop that names none.
pub(super) fn stop_signal(start: &Start) -> Signal {
    start.spec.stop_signal.unwrap_or(Signal::TERM)
}

/// The report of a running container.
pub(super) fn running(driver: &Driver) -> Progress {
    Progress::Running {
        container: driver.entry.container.map(|id| id.to_string()).unwrap_or_default(),
        started: driver.entry.started.map(|(wall, _)| wall).unwrap_or_default(),
        image_digest: None,
    }
}

/// Notes that everything that can be had of the output is kept.
pub(super) fn captured(driver: &mut Driver, finish: Finish) {
    driver.seen.capture = Capture::Done;
    driver.log_end = Some(finish);
}
