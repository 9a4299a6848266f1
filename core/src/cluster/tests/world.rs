//! A cluster with honest workers, an ordered wire that can be cut, and a store, driven by numbers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use super::records::Records;
use super::scenario::{end, hello, node};
use super::spec_text::spec;
use crate::cluster::{
    Cluster, Command, Config, Effects, Event, NodeStatus, Progress, Reply, Report, Request, StopCause,
    Submission, Token, WorkerNews,
};
use crate::ids::{AttemptId, Incarnation, JobId, JobUid, NodeId, TaskId, TaskIndex};
use crate::outcome::{AttemptEnd, EndReason};
use crate::scheduler::Scope;
use crate::spec::OnLost;
use crate::time::{BootTime, Now, WallTime};

/// Workers of the world and what they have.
const WORKERS: [(&str, &str); 3] =
    [("w1", "2cpu zone=eu"), ("w2", "4cpu zone=us"), ("w3", "3cpu image=alpine")];
/// Jobs the world submits; each fits at least one worker.
const SPECS: [&str; 8] = [
    "1cpu",
    "2cpu retries=2",
    "4cpu",
    "1cpu array=0-5%2 retries=1",
    "1cpu array=3-9 priority=3",
    "2cpu on:zone=eu queue=20",
    "1cpu image=alpine lost=fail",
    "3cpu priority=-2 lost=wait",
];

/// One move of the world; the numbers choose among what is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    Submit(usize),
    Stop(usize, bool, bool),
    Retry(usize),
    Delete(usize),
    Drain(usize, Option<u64>),
    DeleteNode(usize),
    Deliver(usize),
    Work(usize, usize, u8),
    Cut(usize),
    Connect(usize),
    Restart(usize),
    Wipe(usize),
    /// The worker process stands still, or goes on: it fences nothing meanwhile.
    Pause(usize, bool),
    Pass(u64),
    Heartbeat(usize, bool),
    RestartCoordinator,
}

/// An honest worker: it remembers every attempt it was given until it may forget it.
#[derive(Default)]
struct Worker {
    incarnation: u128,
    connected: bool,
    paused: bool,
    /// When it sent the last sign of life that was acknowledged.
    contact: Duration,
    inbox: VecDeque<Command>,
    journal: BTreeMap<AttemptId, Entry>,
}

struct Entry {
    sequence: u64,
    progress: Progress,
    stop: Option<StopCause>,
    /// It is never fenced.
    waits: bool,
    began: Duration,
}

impl Entry {
    fn runs(&self) -> bool {
        matches!(self.progress, Progress::Running { .. })
    }
}

pub(super) struct World {
    cluster: Cluster,
    records: Records,
    boot: Duration,
    workers: Vec<Worker>,
    uids: u128,
    ends: BTreeMap<AttemptId, AttemptEnd>,
    outcomes: BTreeMap<JobId, String>,
    /// Tasks of which an attempt was declared lost, or that a worker forgot or stood still with: it may go on unseen.
    given_up: BTreeSet<TaskId>,
    /// Attempts that ran together with a later one of their task.
    overlaps: BTreeSet<AttemptId>,
    /// Attempts a worker forgot: nobody will speak of them.
    untold: BTreeSet<AttemptId>,
    stopped: BTreeMap<JobId, usize>,
}

impl World {
    pub(super) fn new() -> Self {
        let workers = WORKERS.iter().map(|_| Worker { incarnation: 1, ..Worker::default() }).collect();
        let mut world = Self {
            cluster: Cluster::new(config()),
            records: Records::default(),
            boot: Duration::from_secs(100),
            workers,
            uids: 0,
            ends: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            given_up: BTreeSet::new(),
            overlaps: BTreeSet::new(),
            untold: BTreeSet::new(),
            stopped: BTreeMap::new(),
        };
        for at in 0..WORKERS.len() {
            world.connect(at);
        }
        world
    }

    pub(super) fn play(&mut self, step: Move) {
        match step {
            Move::Submit(which) => self.submit(SPECS[which % SPECS.len()]),
            Move::Stop(job, kill, one) => self.stop(job, kill, one),
            Move::Retry(job) => self.retry(job),
            Move::Delete(job) => self.with_job(job, |job| Request::Delete { job, force: false }),
            Move::Drain(at, Some(seconds)) => {
                // A long one is no deadline at all.
                let deadline = (seconds < 50).then(|| Duration::from_secs(seconds));
                self.ask(Request::Drain { node: id_of(at), deadline });
            }
            Move::Drain(at, None) => self.ask(Request::Resume { node: id_of(at) }),
            Move::DeleteNode(at) => self.delete_node(at),
            Move::Deliver(at) => self.deliver(at % WORKERS.len()),
            Move::Work(at, which, code) => self.work(at % WORKERS.len(), which, code),
            Move::Cut(at) => self.cut(at % WORKERS.len()),
            Move::Connect(at) => self.connect(at % WORKERS.len()),
            Move::Restart(at) => {
                self.workers[at % WORKERS.len()].incarnation += 1;
                self.connect(at % WORKERS.len());
            }
            Move::Wipe(at) => {
                let worker = &mut self.workers[at % WORKERS.len()];
                self.untold.extend(worker.journal.keys());
                worker.journal.clear();
                worker.incarnation += 1;
                self.connect(at % WORKERS.len());
            }
            Move::Pause(at, on) => self.workers[at % WORKERS.len()].paused = on,
            Move::Pass(millis) => self.pass(millis),
            Move::Heartbeat(at, ready) => self.heartbeat(at % WORKERS.len(), ready),
            Move::RestartCoordinator => self.restart_coordinator(),
        }
    }

    /// Lets everything go well for long enough; every job must end.
    pub(super) fn settle(&mut self) {
        for at in 0..WORKERS.len() {
            self.workers[at].paused = false;
            self.connect(at);
            self.ask(Request::Resume { node: id_of(at) });
        }
        for _ in 0..400 {
            for at in 0..WORKERS.len() {
                self.heartbeat(at, true);
                while !self.workers[at].inbox.is_empty() {
                    self.deliver(at);
                }
                for which in 0..self.workers[at].journal.len() {
                    self.work(at, which, 0);
                }
            }
            self.pass(5000);
            if self.cluster.counts().active_jobs == 0 {
                self.check_overlaps_are_flagged();
                return;
            }
        }
        panic!("jobs never ended: {:?}", self.cluster.counts());
    }

    fn submit(&mut self, text: &str) {
        self.uids += 1;
        let uid = JobUid(Uuid::from_u128(self.uids));
        self.ask(Request::Submit(vec![Submission { spec: spec(text), uid, key: None }]));
    }

    fn retry(&mut self, job: usize) {
        self.uids += 1;
        let uid = JobUid(Uuid::from_u128(self.uids));
        self.with_job(job, |job| Request::Retry { job, uid, key: None });
    }

    fn stop(&mut self, job: usize, kill: bool, one: bool) {
        let task = one.then_some(TaskIndex(4));
        self.with_job(job, |job| {
            if kill {
                Request::Kill { job, task, signal: None }
            } else {
                Request::Stop { job, task, signal: None, grace: None }
            }
        });
    }

    fn with_job(&mut self, which: usize, request: impl FnOnce(JobId) -> Request) {
        let jobs: Vec<JobId> = self.cluster.jobs_oldest_first(None).map(|job| job.id).collect();
        if let Some(job) = jobs.get(which % jobs.len().max(1)) {
            self.ask(request(*job));
        }
    }

    fn delete_node(&mut self, at: usize) {
        let node = id_of(at);
        let attempts = self.cluster.node(node).map(|node| node.attempts.clone()).unwrap_or_default();
        let effects = self.ask_for_effects(Request::DeleteNode { node, declare_lost: true });
        if matches!(effects.answers[..], [(_, Ok(Reply::NodeDeleted { .. }))]) {
            self.given_up.extend(attempts.into_iter().map(|attempt| attempt.task));
            self.workers[at % WORKERS.len()].connected = false;
        }
    }

    fn ask(&mut self, request: Request) {
        self.ask_for_effects(request);
    }

    fn ask_for_effects(&mut self, request: Request) -> Effects {
        let effects = self.step(Event::Request(Token(1), request));
        assert_eq!(effects.answers.len(), 1, "each request is answered once");
        effects
    }

    fn connect(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        if worker.paused {
            return;
        }
        worker.connected = true;
        worker.contact = self.boot;
        worker.inbox.clear();
        let attempts = worker.journal.iter().map(|(attempt, entry)| report(*attempt, entry)).collect();
        let (name, text) = WORKERS[at];
        self.news(at, WorkerNews::Hello(Box::new(hello(name, text, attempts))));
    }

    fn cut(&mut self, at: usize) {
        if std::mem::take(&mut self.workers[at].connected) {
            self.workers[at].inbox.clear();
            self.news(at, WorkerNews::Disconnected);
        }
    }

    fn heartbeat(&mut self, at: usize, ready: bool) {
        let worker = &mut self.workers[at];
        if worker.connected && !worker.paused {
            worker.contact = self.boot;
            let not_ready = if ready { Vec::new() } else { vec!["disk".to_owned()] };
            let status = NodeStatus { not_ready, ..NodeStatus::default() };
            self.news(
                at,
                WorkerNews::Heartbeat { status, images_added: Vec::new(), images_removed: Vec::new() },
            );
        }
    }

    /// The worker takes its next command.
    fn deliver(&mut self, at: usize) {
        if self.workers[at].paused {
            return;
        }
        let Some(command) = self.workers[at].inbox.pop_front() else { return };
        let journal = &mut self.workers[at].journal;
        match command {
            Command::Welcome | Command::Signal { .. } => {}
            Command::Start(start) => {
                let waits = start.spec.on_lost == OnLost::Wait;
                let began = self.boot;
                let fresh = Entry { sequence: 1, progress: Progress::Accepted, stop: None, waits, began };
                let entry = journal.entry(start.attempt).or_insert(fresh);
                let report = report(start.attempt, entry);
                self.news(at, WorkerNews::Report(report));
            }
            Command::Stop { attempt, cause, .. } => {
                if let Some(entry) = journal.get_mut(&attempt) {
                    entry.stop = Some(cause);
                }
            }
            Command::Acknowledge { attempt, sequence } => {
                let done = |entry: &Entry| {
                    matches!(entry.progress, Progress::Ended(_)) && entry.sequence == sequence
                };
                if journal.get(&attempt).is_some_and(done) {
                    journal.remove(&attempt);
                }
            }
            Command::Forget { attempt } => {
                journal.remove(&attempt);
            }
        }
    }

    /// The worker brings one of its attempts a step further.
    fn work(&mut self, at: usize, which: usize, code: u8) {
        let (boot, fenced) = (self.boot, self.is_fenced(at));
        let Worker { connected, paused, journal, .. } = &mut self.workers[at];
        // A container goes on while its worker stands still, but nobody tells.
        let connected = *connected && !*paused;
        let Some(attempt) = journal.keys().nth(which % journal.len().max(1)).copied() else { return };
        let Some(entry) = journal.get_mut(&attempt) else { return };
        if *paused && !entry.runs() {
            return;
        }
        let ended = |reason, code| ended(reason, code, boot.saturating_sub(entry.began));
        let next = match (&entry.progress, entry.stop) {
            (Progress::Ended(_), _) => None,
            (_, _) if fenced && !entry.waits && !*paused => Some(ended(EndReason::Lost, None)),
            (_, Some(StopCause::Kill)) => Some(ended(EndReason::Killed, Some(137))),
            (_, Some(_)) => Some(ended(EndReason::Stopped, Some(143))),
            (Progress::Accepted, None) if code == 3 => Some(ended(EndReason::ImageFailed, None)),
            (Progress::Accepted, None) => Some(Progress::Running {
                container: attempt.to_string(),
                started: WallTime(3),
                image_digest: None,
            }),
            (_, None) if code == 2 => Some(ended(EndReason::InfraUnknown, None)),
            (_, None) => Some(ended(EndReason::Exited, Some(code % 3))),
        };
        if let Some(progress) = next {
            entry.sequence += 1;
            if matches!(progress, Progress::Running { .. }) {
                entry.began = boot;
            }
            entry.progress = progress;
        }
        let report = report(attempt, entry);
        if connected {
            self.news(at, WorkerNews::Report(report));
        }
    }

    fn pass(&mut self, millis: u64) {
        let end = self.boot + Duration::from_millis(millis);
        while let Some(at) =
            self.cluster.wake_at().map(|at| Duration::from_nanos(at.0)).filter(|at| *at <= end)
        {
            self.boot = self.boot.max(at);
            self.fence();
            self.step(Event::Tick { jitter: millis });
        }
        self.boot = end;
        self.fence();
        self.step(Event::Tick { jitter: 1 });
    }

    fn is_fenced(&self, at: usize) -> bool {
        self.boot >= self.workers[at].contact + self.cluster.config.fence_after
    }

    /// Workers without contact end what may be replaced, by their own clock.
    fn fence(&mut self) {
        for at in 0..WORKERS.len() {
            if self.is_fenced(at) && !self.workers[at].paused {
                for which in 0..self.workers[at].journal.len() {
                    let fences =
                        self.workers[at].journal.values().nth(which).is_some_and(|entry| !entry.waits);
                    if fences {
                        self.work(at, which, 0);
                    }
                }
            }
        }
    }

    fn restart_coordinator(&mut self) {
        self.boot += Duration::from_secs(3);
        self.cluster = self.records.restore(self.cluster.config.clone(), self.now());
        for worker in &mut self.workers {
            worker.connected = false;
            worker.inbox.clear();
        }
        self.check();
    }

    fn news(&mut self, at: usize, news: WorkerNews) {
        let incarnation = Incarnation(Uuid::from_u128(self.workers[at].incarnation));
        self.step(Event::Worker { node: id_of(at), incarnation, news });
    }

    fn step(&mut self, event: Event) -> Effects {
        let mut effects = self.cluster.step(self.now(), event);
        self.carry_out(&mut effects);
        while effects.wake_at == Some(self.now().boot) {
            let mut more = self.cluster.step(self.now(), Event::Tick { jitter: 5 });
            self.carry_out(&mut more);
            effects.wake_at = more.wake_at;
        }
        self.check_scheduled();
        effects
    }

    fn carry_out(&mut self, effects: &mut Effects) {
        self.records.commit(&self.cluster, &effects.dirty);
        for node in std::mem::take(&mut effects.hang_ups) {
            let at = (0..WORKERS.len()).find(|at| id_of(*at) == node).expect("a known node");
            self.workers[at].connected = false;
            self.workers[at].inbox.clear();
        }
        for send in effects.sends.drain(..) {
            let at = (0..WORKERS.len()).find(|at| id_of(*at) == send.node).expect("a known node");
            if let Command::Start(_) = send.command {
                let node = self.cluster.node(send.node).expect("registered");
                assert!(!node.silent && node.connected, "a start for a node that is not there");
            }
            let worker = &mut self.workers[at];
            if worker.connected && send.incarnation == Incarnation(Uuid::from_u128(worker.incarnation)) {
                worker.inbox.push_back(send.command);
            }
        }
        self.check();
    }

    fn check_scheduled(&mut self) {
        self.cluster.scope = Scope::All;
        assert!(!self.cluster.place());
        assert_eq!(self.cluster.out, Effects::default(), "scheduling twice found more");
        self.cluster.scope = Scope::Shapes(BTreeSet::new());
    }

    fn check(&mut self) {
        self.cluster.check_invariants().expect("sound");
        self.records.assert_tell_the_story_of(&self.cluster);
        self.check_ends_are_final();
        self.check_nothing_starts_after_a_stop();
        self.check_one_runs();
    }

    fn check_ends_are_final(&mut self) {
        for job in self.cluster.jobs_oldest_first(None) {
            for task in job.tasks.values() {
                for attempt in &task.attempts {
                    let Some(end) = attempt.whole_end() else { continue };
                    let id = job.attempt_id(task.position, attempt.number);
                    let first = self.ends.entry(id).or_insert_with(|| end.clone());
                    assert_eq!(*first, end, "the end of {id} changed");
                }
            }
            if let Some(outcome) = &job.outcome {
                let told = format!("{outcome:?} {:?}", job.counts);
                let first = self.outcomes.entry(job.id).or_insert_with(|| told.clone());
                assert_eq!(*first, told, "the outcome of job {} changed", job.id);
            }
        }
    }

    fn check_nothing_starts_after_a_stop(&mut self) {
        for job in self.cluster.jobs_oldest_first(None).filter(|job| job.stop.is_some()) {
            let attempts = job.tasks.values().map(|task| task.last_attempt as usize).sum();
            let before = *self.stopped.entry(job.id).or_insert(attempts);
            assert_eq!(attempts, before, "job {} got an attempt after its stop", job.id);
        }
    }

    fn check_one_runs(&mut self) {
        let mut running: BTreeMap<TaskId, AttemptId> = BTreeMap::new();
        for at in 0..WORKERS.len() {
            let late = self.workers[at].paused && self.is_fenced(at);
            for (attempt, _) in self.workers[at].journal.iter().filter(|(_, entry)| entry.runs()) {
                if late {
                    self.given_up.insert(attempt.task);
                }
                if let Some(other) = running.insert(attempt.task, *attempt) {
                    let excused = self.given_up.contains(&attempt.task);
                    assert!(excused, "{other:?} and {attempt} run at the same time");
                    self.overlaps.insert(other.min(*attempt));
                }
            }
        }
    }

    fn check_overlaps_are_flagged(&self) {
        for attempt in self.overlaps.difference(&self.untold) {
            if let Some(job) = self.cluster.job(attempt.job()) {
                assert!(job.overlap_possible, "{attempt} ran together with a later one and nobody says so");
            }
        }
    }

    fn now(&self) -> Now {
        let boot = BootTime(u64::try_from(self.boot.as_nanos()).expect("small"));
        Now { boot, wall: WallTime(i64::try_from(self.boot.as_millis()).expect("small")) }
    }
}

fn id_of(at: usize) -> NodeId {
    node(WORKERS[at % WORKERS.len()].0)
}

fn report(attempt: AttemptId, entry: &Entry) -> Report {
    Report { attempt, sequence: entry.sequence, progress: entry.progress.clone() }
}

/// Short times, so that histories get there.
fn config() -> Config {
    let seconds = Duration::from_secs;
    Config {
        suspect_after: seconds(10),
        fence_after: seconds(40),
        lost_after: seconds(60),
        placements_per_step: 4,
        ..Config::default()
    }
}

fn ended(reason: EndReason, code: Option<u8>, run: Duration) -> Progress {
    let mut end = end(reason, code);
    end.run = run;
    end.retryable = reason == EndReason::ImageFailed || reason == EndReason::Lost;
    Progress::Ended(Box::new(end))
}
