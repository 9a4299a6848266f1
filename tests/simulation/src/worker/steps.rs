//! What each action does to the world, and how its outcome is noted.

use std::time::Duration;

use dockmgr_core::agent::{
    Action, Capture, Container, Doubt, Ending, Exit, Image, Phase, StartRequest, Stop, container_name,
};
use dockmgr_core::cluster::Progress;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::mutants::{self, Mutant};
use dockmgr_core::outcome::EndReason;
use dockmgr_core::spec::Command;
use dockmgr_core::time::WallTime;
use dockmgr_model::docker::{Id, Refused, Spec, State, Status};

use super::driver::{Doing, Driver, captured, running, stop_signal};
use super::{Change, Waiting, WorkerTimer, identity};
use crate::host::{Call, CallId, IMAGE, Said};
use crate::output::Finish;
use crate::world::{Event, World};

/// A call of the daemon that is not answered in this time is in doubt.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the daemon may refuse a step before the attempt fails.
const REFUSALS: u32 = 5;

/// What a driver asked the daemon.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Inspect,
    Create,
    Attach,
    Start,
    Signal(bool),
    Remove,
    /// The rest of the output from these offsets on, at the end.
    Finish([usize; 2]),
    /// What there is of the output so far.
    Follow([usize; 2]),
}

/// What a step that takes time came to.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Written(Change),
    Pulled(bool),
}

impl World {
    /// Carries out one action.
    pub(super) fn carry_out(&mut self, who: usize, attempt: AttemptId, action: Action) {
        match action {
            Action::PullImage => self.pull(who, attempt),
            Action::Inspect => {
                let name = self.name_of(who, attempt);
                self.ask_daemon(who, attempt, Asked::Inspect, Call::Inspect(name));
            }
            Action::Create => self.create(who, attempt),
            Action::JournalCreated => {
                let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
                match driver.state.as_ref().map(|state| state.id) {
                    Some(id) => self.journal(who, attempt, Change::Created(id)),
                    None => driver.seen.container = Container::Unknown,
                }
            }
            Action::Attach => self.read_output(who, attempt, |_| Asked::Attach),
            Action::JournalStartIntent => {
                let boot = self.hosts[who].boots;
                if mutants::active(Mutant::StartIntentNotWritten) {
                    if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
                        driver.entry.apply(&Change::StartIntent(boot));
                        driver.seen.phase = driver.entry.phase;
                    }
                    return;
                }
                self.journal(who, attempt, Change::StartIntent(boot));
            }
            Action::Start => self.start(who, attempt),
            Action::JournalStarted => {
                let now = self.clocks.workers[who].now(self.now);
                let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
                let wall =
                    driver.state.as_ref().and_then(|state| state.started_at).map_or(now.wall, WallTime);
                let boot = driver.ran_since.unwrap_or(now.boot);
                self.journal(who, attempt, Change::Started(wall, boot));
            }
            Action::Recover => self.recover(who, attempt),
            Action::Signal(stop) => self.send_stop(who, attempt, stop, false),
            Action::Kill(stop) => self.send_stop(who, attempt, stop, true),
            Action::ReportStuck => {
                if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
                    driver.seen.stopping.stuck = true;
                }
                self.oracle.sometimes("stop is stuck");
                self.report(who, attempt, Progress::Stopping { stuck: true });
            }
            Action::FinishCapture => self.read_output(who, attempt, Asked::Finish),
            Action::End(ending) => self.end(who, attempt, ending),
            Action::Remove { force } => self.remove_container(who, attempt, force),
            Action::Forget => self.forget(who, attempt),
            Action::Wait { until } => {
                if mutants::active(Mutant::RemoveBeforeLogEnd) && self.removes_early(who, attempt) {
                    return self.remove_container(who, attempt, true);
                }
                self.wait(who, attempt, until);
            }
        }
    }

    /// A planted bug: an ended attempt's container goes before anything is delivered.
    fn removes_early(&mut self, who: usize, attempt: AttemptId) -> bool {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return false };
        driver.entry.phase == Phase::Ended && !std::mem::replace(&mut driver.restarted, true)
    }

    fn name_of(&self, who: usize, attempt: AttemptId) -> String {
        let container =
            self.workers[who].memory.drivers.get(&attempt).and_then(|driver| driver.entry.container);
        container.map_or_else(|| container_name(identity(who).cluster, attempt), |id| id.to_string())
    }

    fn container_id(&self, who: usize, attempt: AttemptId) -> Option<Id> {
        let driver = self.workers[who].memory.drivers.get(&attempt)?;
        driver.state.as_ref().map(|state| state.id).or(driver.entry.container)
    }

    /// Sends a call for a driver, which waits for the answer.
    fn ask_daemon(&mut self, who: usize, attempt: AttemptId, asked: Asked, call: Call) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        driver.doing = if matches!(asked, Asked::Finish(_)) { Doing::Capture } else { Doing::Step };
        let waiting = Waiting::Driver(attempt, driver.generation, asked);
        self.call_daemon(who, waiting, call);
    }

    pub(super) fn call_daemon(&mut self, who: usize, waiting: Waiting, call: Call) {
        let worker = &mut self.workers[who];
        worker.memory.next_call += 1;
        let caller = CallId { worker_life: worker.life, number: worker.memory.next_call };
        worker.memory.calls.insert(caller.number, waiting);
        let patience = self.clocks.workers[who].stretch(PATIENCE);
        self.after(patience, Event::Worker(who, caller.worker_life, WorkerTimer::Unanswered(caller.number)));
        self.call(who, caller, call);
    }

    fn pull(&mut self, who: usize, attempt: AttemptId) {
        let fails = self.weather.images_fail[who] > 0;
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        driver.doing = Doing::Pull;
        let generation = driver.generation;
        let wait =
            if fails { self.chance.worker.millis(100, 5000) } else { self.chance.worker.millis(1, 1500) };
        let done = WorkerTimer::Done(attempt, generation, Box::new(Outcome::Pulled(!fails)));
        let life = self.workers[who].life;
        self.after(wait, Event::Worker(who, life, done));
        self.report(who, attempt, Progress::Pulling(dockmgr_core::cluster::Pull::default()));
    }

    fn create(&mut self, who: usize, attempt: AttemptId) {
        self.report(who, attempt, Progress::Starting { image_digest: None });
        let Some(driver) = self.workers[who].memory.drivers.get(&attempt) else { return };
        let argv = match &driver.start().spec.command {
            Command::Argv { args, .. } => args.clone(),
            Command::Script { .. } | Command::Image => Vec::new(),
        };
        let spec = Spec {
            name: container_name(identity(who).cluster, attempt),
            labels: identity(who).labels_of(attempt),
            image: IMAGE.to_owned(),
            argv,
            env: Vec::new(),
        };
        self.ask_daemon(who, attempt, Asked::Create, Call::Create(Box::new(spec)));
    }

    fn start(&mut self, who: usize, attempt: AttemptId) {
        let Some(id) = self.container_id(who, attempt) else { return };
        let outages = self.workers[who].memory.outages;
        if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
            driver.seen.start = StartRequest::Sent;
            driver.outages_before = outages;
        }
        self.ask_daemon(who, attempt, Asked::Start, Call::Start(id));
    }

    /// Begins to read what the daemon kept.
    fn recover(&mut self, who: usize, attempt: AttemptId) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        driver.seen.capture = Capture::Open;
        self.workers[who].disk.spool.entry(attempt).or_default();
        self.oracle.sometimes("output recovered");
        if mutants::active(Mutant::ResumeSinceNow) {
            self.skip_output(who, attempt);
        }
    }

    /// A planted bug: what was written while nobody read is passed over, and nobody is told.
    fn skip_output(&mut self, who: usize, attempt: AttemptId) {
        let Some(id) = self.container_id(who, attempt) else { return };
        let now = self.now.elapsed();
        let Some(container) = self.hosts[who].daemon.get(id, now) else { return };
        let mut skipped = [0, 0];
        for (stream, bytes) in container.output() {
            skipped[crate::output::slot(*stream)] += bytes.len();
        }
        if let Some(spool) = self.workers[who].disk.spool.get_mut(&attempt) {
            spool.skipped = [
                skipped[0] - spool.bytes[0].len().min(skipped[0]),
                skipped[1] - spool.bytes[1].len().min(skipped[1]),
            ];
        }
    }

    /// Reads the output from where the spool ends.
    pub(super) fn read_output(
        &mut self,
        who: usize,
        attempt: AttemptId,
        asked: impl Fn([usize; 2]) -> Asked,
    ) {
        let Some(id) = self.container_id(who, attempt) else {
            if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
                captured(driver, Finish::Marked);
            }
            return;
        };
        let spool = self.workers[who].disk.spool.entry(attempt).or_default();
        let from = [spool.bytes[0].len() + spool.skipped[0], spool.bytes[1].len() + spool.skipped[1]];
        let (asked, call) = (asked(from), Call::Read(id, from));
        if matches!(asked, Asked::Follow(_)) {
            let generation =
                self.workers[who].memory.drivers.get(&attempt).map_or(0, |driver| driver.generation);
            return self.call_daemon(who, Waiting::Driver(attempt, generation, asked), call);
        }
        self.ask_daemon(who, attempt, asked, call);
    }

    /// Writes the stop down, then sends its signal.
    fn send_stop(&mut self, who: usize, attempt: AttemptId, stop: Stop, kill: bool) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        if driver.seen.stopping.stop != Some(stop) || (kill && !driver.entry.killed) {
            return self.journal(who, attempt, Change::Stopping { stop, kill });
        }
        self.send_signal(who, attempt, stop, kill);
    }

    fn send_signal(&mut self, who: usize, attempt: AttemptId, stop: Stop, kill: bool) {
        let Some(id) = self.container_id(who, attempt) else { return };
        let signal = if kill { "SIGKILL".to_owned() } else { stop.signal.to_string() };
        self.ask_daemon(who, attempt, Asked::Signal(kill), Call::Signal(id, signal));
    }

    fn remove_container(&mut self, who: usize, attempt: AttemptId, force: bool) {
        let Some(id) = self.container_id(who, attempt) else {
            if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
                driver.seen.container = Container::Unknown;
            }
            return self.pause(who, attempt);
        };
        self.ask_daemon(who, attempt, Asked::Remove, Call::Remove(id, force));
    }

    fn forget(&mut self, who: usize, attempt: AttemptId) {
        self.workers[who].disk.spool.remove(&attempt);
        self.journal(who, attempt, Change::Forgotten);
    }

    /// A step that takes time is done.
    pub(super) fn step_done(&mut self, who: usize, attempt: AttemptId, generation: u64, outcome: Outcome) {
        let current = self.workers[who].memory.drivers.get(&attempt).is_some_and(|driver| {
            driver.generation == generation && matches!(driver.doing, Doing::Step | Doing::Pull)
        });
        if !current {
            return;
        }
        match outcome {
            Outcome::Pulled(well) => {
                let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
                driver.doing = Doing::Nothing;
                if well {
                    driver.seen.image = Image::Ready;
                    driver.succeeded();
                } else {
                    let words = "network: the registry cannot be reached";
                    let ending = Ending { retryable: true, ..Ending::because(EndReason::ImageFailed, words) };
                    driver.seen.failure = Some(ending);
                    self.oracle.sometimes("image failed");
                }
            }
            Outcome::Written(change) => self.written(who, attempt, change),
        }
        self.drive(who, attempt);
    }

    fn written(&mut self, who: usize, attempt: AttemptId, change: Change) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        driver.writing = None;
        driver.doing = Doing::Nothing;
        driver.entry.apply(&change);
        driver.seen.phase = driver.entry.phase;
        let entry = driver.entry.clone();
        self.write(who, attempt, &change, &entry);
        match change {
            Change::Intent => self.report(who, attempt, Progress::Accepted),
            Change::Created(_) | Change::StartIntent(_) => {}
            Change::Started(_, boot) => {
                let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
                driver.limit_from(boot);
                let progress = running(driver);
                self.report(who, attempt, progress);
            }
            Change::Stopping { stop, kill } => {
                self.report(who, attempt, Progress::Stopping { stuck: false });
                if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
                    driver.seen.stopping.stop = Some(stop);
                }
                self.send_signal(who, attempt, stop, kill);
            }
            Change::Ended(end) => {
                if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
                    driver.seen.container = Container::Unknown;
                }
                self.report(who, attempt, Progress::Ended(end));
            }
            Change::Forgotten => {
                self.workers[who].memory.drivers.remove(&attempt);
                self.workers[who].memory.outbox.remove(&attempt);
                self.say(|| format!("worker {who} forgets {attempt}"));
            }
        }
        self.check_journal(who, attempt);
    }

    /// The journal, replayed, must say what memory says (I20).
    fn check_journal(&mut self, who: usize, attempt: AttemptId) {
        let worker = &self.workers[who];
        let memory = worker.memory.drivers.get(&attempt).map(|driver| &driver.entry);
        if memory != worker.disk.journal.get(&attempt) {
            self.oracle
                .violate("I20", format!("the journal of worker {who} and its memory differ on {attempt}"));
        }
    }

    /// The daemon answered a call, or did not in time.
    pub(super) fn daemon_says(&mut self, who: usize, number: u64, said: Option<Said>) {
        let Some(waiting) = self.workers[who].memory.calls.remove(&number) else { return };
        if matches!(said, Some(Said::Unreachable | Said::Broken)) {
            self.workers[who].memory.outages += 1;
        }
        match waiting {
            Waiting::Driver(attempt, generation, asked) => {
                self.daemon_told_driver(who, attempt, generation, &asked, said);
            }
            Waiting::Probe => self.probed(who, said.as_ref()),
            Waiting::Sweep => self.swept(who, said),
            Waiting::SecondLook(first) => self.looked_twice(who, &first, said),
            Waiting::LastLook(id) => self.looked_last(who, id, said),
            Waiting::Removal => {}
        }
    }

    fn daemon_told_driver(
        &mut self,
        who: usize,
        attempt: AttemptId,
        generation: u64,
        asked: &Asked,
        said: Option<Said>,
    ) {
        if let Asked::Follow(from) = asked {
            if let Some(Said::Read(Some((streams, _)))) = said {
                self.keep_output(who, attempt, *from, streams);
            }
            return;
        }
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        if driver.generation != generation || !matches!(driver.doing, Doing::Step | Doing::Capture) {
            return;
        }
        driver.doing = Doing::Nothing;
        let said = match said {
            Some(Said::Unreachable | Said::Broken) | None => {
                self.call_failed(who, attempt, asked);
                return self.drive(who, attempt);
            }
            Some(said) => said,
        };
        match (asked, said) {
            (Asked::Inspect, Said::State(state)) => self.inspected(who, attempt, state),
            (Asked::Create, Said::Created(created)) => {
                driver.seen.container = Container::Unknown;
                if let Err(refused) = created {
                    self.refused(who, attempt, refused, EndReason::StartFailed);
                }
            }
            (Asked::Start, Said::Started(started)) => {
                driver.seen.container = Container::Unknown;
                let now = self.clocks.workers[who].at(self.now);
                match started {
                    Ok(_) => {
                        if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
                            driver.ran_since = Some(now);
                        }
                    }
                    Err(refused) => self.refused(who, attempt, refused, EndReason::StartFailed),
                }
            }
            (Asked::Signal(kill), Said::Signalled(reached)) => {
                let now = Some(self.clocks.workers[who].at(self.now));
                if reached && *kill {
                    driver.seen.stopping.killed = now;
                } else if reached {
                    driver.seen.stopping.signalled = now;
                } else {
                    driver.seen.container = Container::Unknown;
                }
                driver.succeeded();
            }
            (Asked::Remove, Said::Removed(removed)) => {
                driver.seen.container = Container::Unknown;
                match removed {
                    Ok(()) => driver.succeeded(),
                    Err(_) => self.pause(who, attempt),
                }
            }
            (Asked::Attach, Said::Read(Some(_))) => {
                driver.seen.capture = Capture::Open;
            }
            (Asked::Attach, Said::Read(None)) => {
                driver.seen.container = Container::Unknown;
                self.pause(who, attempt);
            }
            (Asked::Finish(from), Said::Read(read)) => self.output_ended(who, attempt, *from, read),
            _ => {}
        }
        self.drive(who, attempt);
    }

    /// A call had no answer, or no connection.
    fn call_failed(&mut self, who: usize, attempt: AttemptId, asked: &Asked) {
        self.oracle.sometimes("call of the daemon in doubt");
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        match asked {
            Asked::Inspect | Asked::Finish(_) | Asked::Follow(_) => {}
            Asked::Create | Asked::Attach | Asked::Signal(_) | Asked::Remove => {
                driver.seen.container = Container::Unknown;
            }
            Asked::Start => {
                driver.seen.container = Container::Unknown;
                self.oracle.sometimes("start in doubt");
                if mutants::active(Mutant::BlindStartRetry) {
                    driver.seen.start = StartRequest::NotSent;
                }
            }
        }
        self.pause(who, attempt);
    }

    /// The daemon refused: some refusals no repetition changes.
    fn refused(&mut self, who: usize, attempt: AttemptId, refused: Refused, reason: EndReason) {
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        driver.refusals += 1;
        let refusals = driver.refusals;
        if refusals >= REFUSALS {
            let words = format!("{refused:?}");
            driver.seen.failure = Some(Ending { retryable: true, ..Ending::because(reason, words) });
            return;
        }
        self.pause(who, attempt);
        if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
            driver.refusals = refusals;
        }
    }

    fn inspected(
        &mut self,
        who: usize,
        attempt: AttemptId,
        state: Option<(State, std::collections::BTreeMap<String, String>)>,
    ) {
        if state.is_none() {
            self.end_remains(who, attempt);
        }
        let (outages, live_restore) =
            (self.workers[who].memory.outages, self.workers[who].memory.live_restore);
        let owns = state.as_ref().is_none_or(|(_, labels)| identity(who).owns(attempt, labels));
        let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
        driver.succeeded();
        driver.seen.container = match &state {
            None => Container::Absent,
            Some(_) if !owns => Container::Foreign,
            Some((state, _)) => container_of(state, driver),
        };
        driver.state = state.map(|(state, _)| state);
        doubt_the_daemon(driver, outages, live_restore);
    }

    /// Of a container that the daemon does not know: ends what a start in doubt left alive.
    fn end_remains(&mut self, who: usize, attempt: AttemptId) {
        let Some(driver) = self.workers[who].memory.drivers.get(&attempt) else { return };
        let in_doubt = driver.seen.phase == Phase::StartIntent && driver.seen.start == StartRequest::Sent;
        if let Some(id) = self.container_id(who, attempt).filter(|_| in_doubt) {
            self.end_orphan(who, id, crate::oracle::Cause::Signal);
        }
    }

    fn output_ended(
        &mut self,
        who: usize,
        attempt: AttemptId,
        from: [usize; 2],
        read: Option<(crate::output::Streams, bool)>,
    ) {
        match read {
            Some(_) if self.weather.spool_full[who] > 0 => self.wait_for_room(who, attempt),
            Some((mut streams, more)) => {
                if mutants::active(Mutant::DropLastPiece) {
                    for bytes in &mut streams {
                        bytes.clear();
                    }
                }
                self.keep_output(who, attempt, from, streams);
                let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) else { return };
                if more && !mutants::active(Mutant::WaitOnCreated) {
                    // It runs again, or not yet: look.
                    driver.seen.container = Container::Unknown;
                } else {
                    captured(driver, Finish::Complete);
                }
            }
            None => {
                if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
                    captured(driver, Finish::Marked);
                }
            }
        }
    }

    fn keep_output(
        &mut self,
        who: usize,
        attempt: AttemptId,
        from: [usize; 2],
        streams: crate::output::Streams,
    ) {
        if self.weather.spool_full[who] > 0 {
            return;
        }
        let Some(spool) = self.workers[who].disk.spool.get_mut(&attempt) else { return };
        if spool.end.is_none() {
            for (at, bytes) in streams.into_iter().enumerate() {
                // Another read may have brought some of it already.
                let have = spool.bytes[at].len() + spool.skipped[at];
                let known = have.saturating_sub(from[at]);
                if from[at] <= have {
                    spool.bytes[at].extend(bytes.into_iter().skip(known));
                }
            }
        }
    }

    /// A wish of the cluster.
    pub(super) fn wish(
        &mut self,
        who: usize,
        attempt: AttemptId,
        wanted: impl FnOnce(&Driver) -> dockmgr_core::agent::Wanted,
    ) {
        if let Some(driver) = self.workers[who].memory.drivers.get_mut(&attempt) {
            let before = driver.wanted;
            driver.wanted = before.joined(wanted(driver));
            if driver.wanted != before {
                self.go_on(who, attempt);
            }
        }
    }

    /// A stop with the spec's signal and grace where it names none.
    pub(super) fn stop_of(
        driver: &Driver,
        cause: dockmgr_core::cluster::StopCause,
        signal: Option<dockmgr_core::spec::Signal>,
        grace: Option<Duration>,
    ) -> Stop {
        Stop {
            cause,
            signal: signal.unwrap_or(stop_signal(driver.start())),
            grace: grace.unwrap_or(driver.start().spec.grace),
        }
    }
}

/// What an inspected container means.
fn container_of(state: &State, driver: &Driver) -> Container {
    match state.status {
        Status::Created
            if mutants::active(Mutant::WaitOnCreated) && driver.seen.start == StartRequest::Sent =>
        {
            Container::Exited(Exit { code: Some(0), oom: false })
        }
        Status::Created => Container::Created,
        Status::Running => Container::Running,
        Status::Exited => Container::Exited(Exit { code: Some(state.exit_code), oom: state.oom_killed }),
    }
}

/// An exit that was first seen after the daemon was away may be the daemon's doing.
fn doubt_the_daemon(driver: &mut Driver, outages: u64, live_restore: bool) {
    if outages == driver.outages_before || live_restore {
        return;
    }
    match driver.seen.container {
        Container::Running => driver.outages_before = outages,
        Container::Exited(_) => driver.seen.doubt = driver.seen.doubt.max(Doubt::DaemonWasLost),
        Container::Unknown
        | Container::Absent
        | Container::Foreign
        | Container::Created
        | Container::Elsewhere
        | Container::Removing => {}
    }
}
