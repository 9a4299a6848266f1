//! Clients: people who submit, look, stop, retry, delete and drain, and who try again with the same key when they hear
//! nothing.
//!
//! What they were told, and when, is the history that the oracle checks.

use std::collections::BTreeMap;
use std::time::Duration;

use dockmgr_core::cluster::{Job, Key, Refusal, Reply, Request, Submission};
use dockmgr_core::ids::{JobId, JobUid};
use dockmgr_core::outcome::EndReason;
use dockmgr_core::spec::{
    ArraySpec, Command, Entrypoint, ImageRef, JobName, JobSpec, NetworkMode, OnLost, PullPolicy, Resources,
};
use uuid::Uuid;

use crate::clock::Instant;
use crate::host::IMAGE;
use crate::oracle::Act;
use crate::random::Random;
use crate::settings::Settings;
use crate::watcher::News;
use crate::world::{Asked, Event, World};

/// A request that is not answered in this time is sent again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a client set itself to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ClientTimer {
    Next,
    Again(u64),
}

/// What a client hears.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Done(Result<Reply, Refusal>),
    Seen(Option<Seen>),
    News(News),
    /// It did not happen.
    NotDone,
    /// It may have happened.
    Unknown,
}

/// A job as somebody saw it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) stop: bool,
    pub(crate) attempts: u32,
    pub(crate) outcome: Option<(EndReason, u8)>,
}

impl Seen {
    pub(crate) fn of(job: &Job) -> Self {
        Self {
            stop: job.stop.is_some(),
            attempts: job.tasks_from(0).map(|task| task.last_attempt).sum(),
            outcome: job.outcome.as_ref().map(|outcome| (outcome.reason, outcome.exit_code)),
        }
    }
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    at: usize,
    random: Random,
    to_submit: u64,
    submitted: u64,
    pub(crate) known: Vec<JobId>,
    drained: Vec<usize>,
    number: u64,
    pending: Option<Pending>,
    looks: u64,
    /// In a thousand jobs.
    long_jobs: u64,
}

#[derive(Debug, Clone)]
struct Pending {
    asked: Asked,
    /// Key of a submission, or job of anything else.
    key: Option<String>,
    job: Option<JobId>,
    number: u64,
    tries: u32,
    invoked: Instant,
}

impl Client {
    pub(crate) fn new(at: usize, settings: &Settings) -> Self {
        Self {
            at,
            random: Random::new(settings.seed, 2000 + at as u64),
            to_submit: settings.jobs,
            submitted: 0,
            known: Vec::new(),
            drained: Vec::new(),
            number: 0,
            pending: None,
            looks: 0,
            long_jobs: if settings.contact_only { 600 } else { 250 },
        }
    }

    /// Whether it has nothing left to do.
    pub(crate) fn is_done(&self) -> bool {
        self.pending.is_none() && self.submitted >= self.to_submit && self.drained.is_empty()
    }

    fn submission(&mut self) -> (Request, String) {
        self.submitted += 1;
        let name = format!("c{}-{}", self.at, self.submitted);
        let spec = spec(&name, &mut self.random, self.long_jobs);
        let mut fingerprint = [0; 32];
        fingerprint[..name.len().min(32)].copy_from_slice(&name.as_bytes()[..name.len().min(32)]);
        let uid = JobUid(Uuid::from_u128((self.at as u128 + 1) << 64 | u128::from(self.submitted)));
        let key = Key { text: name.clone(), fingerprint };
        (Request::Submit(vec![Submission { spec, uid, key: Some(key) }]), name)
    }
}

impl World {
    pub(crate) fn client_timer(&mut self, who: usize, timer: ClientTimer) {
        if let Some(watcher) = who.checked_sub(self.clients.len()) {
            return self.watcher_timer(watcher, timer);
        }
        match timer {
            ClientTimer::Next => self.client_acts(who),
            ClientTimer::Again(number) => self.client_tries_again(who, number),
        }
    }

    fn client_acts(&mut self, who: usize) {
        if self.clients[who].pending.is_some() {
            return;
        }
        let workers = self.workers.len();
        if self.calm && who == 0 {
            // A drain that was sent twice may have come after the resume.
            let drained = self.still_drained();
            self.clients[who].drained = drained;
        }
        let (calm, now) = (self.calm, self.now);
        let client = &mut self.clients[who];
        let dice = client.random.below(100);
        let job = (!client.known.is_empty()).then(|| client.known[client.random.index(client.known.len())]);
        let (asked, key, about) = match (dice, job) {
            _ if calm && !client.drained.is_empty() => {
                let node = client.drained[0];
                (Asked::Change(Request::Resume { node: self.workers[node].node }), None, None)
            }
            (0..45, _) | (_, None) if client.submitted < client.to_submit => {
                let (request, key) = client.submission();
                (Asked::Change(request), Some(key), None)
            }
            (_, None) => return self.client_rests(who),
            (0..75, Some(job)) => {
                client.looks += 1;
                (Asked::Look(job), None, Some(job))
            }
            (75..82, Some(job)) => {
                (Asked::Change(Request::Stop { job, task: None, signal: None, grace: None }), None, Some(job))
            }
            (82..86, Some(job)) => {
                (Asked::Change(Request::Kill { job, task: None, signal: None }), None, Some(job))
            }
            (86..90, Some(job)) => (Asked::Change(Request::Delete { job, force: false }), None, Some(job)),
            (90..94, Some(job)) if client.to_submit < 8 => {
                client.to_submit += 1;
                client.submitted += 1;
                let text = format!("retry-{}-{}", client.at, client.submitted);
                let uid =
                    JobUid(Uuid::from_u128((client.at as u128 + 1) << 64 | u128::from(client.submitted)));
                let key = Key { text: text.clone(), fingerprint: [7; 32] };
                (Asked::Change(Request::Retry { job, uid, key: Some(key) }), Some(text), Some(job))
            }
            (94..97, Some(_)) if !calm => {
                let at = client.random.index(workers);
                client.drained.push(at);
                let deadline = client.random.chance(500).then(|| client.random.millis(500, 20_000));
                self.oracle.drained();
                (Asked::Change(drain(self.workers[at].node, deadline)), None, None)
            }
            (97..99, Some(_)) if !calm => {
                let at = client.random.index(workers);
                self.oracle.declared_lost(at);
                let node = self.workers[at].node;
                (Asked::Change(Request::DeleteNode { node, declare_lost: true }), None, None)
            }
            (_, Some(job)) => (Asked::Look(job), None, Some(job)),
        };
        if let (Asked::Change(Request::Delete { .. }), Some(job)) = (&asked, about) {
            self.oracle.delete_invoked(job);
        }
        self.clients[who].pending =
            Some(Pending { asked, key, job: about, number: 0, tries: 0, invoked: now });
        self.client_sends(who);
    }

    /// Workers whose nodes are drained, by the leader.
    pub(crate) fn still_drained(&self) -> Vec<usize> {
        let Some(cluster) = self.leading_cluster() else { return Vec::new() };
        let is_drained =
            |at: &usize| cluster.node(self.workers[*at].node).is_some_and(|node| node.drain.is_some());
        (0..self.workers.len()).filter(is_drained).collect()
    }

    fn client_sends(&mut self, who: usize) {
        let coordinators = self.coordinators.len();
        let client = &mut self.clients[who];
        client.number += 1;
        let number = client.number;
        let to = client.random.index(coordinators);
        let Some(pending) = client.pending.as_mut() else { return };
        pending.number = number;
        pending.tries += 1;
        if matches!(pending.asked, Asked::Look(_)) {
            pending.invoked = self.now;
        }
        let request = pending.asked.clone();
        self.after(PATIENCE, Event::Client(who, ClientTimer::Again(number)));
        if self.net.lose_clients > 0 && self.chance.net.chance(300) {
            return;
        }
        let delay = self.delay();
        self.after(delay, Event::Request { client: who, number, to, request, hops: 0 });
    }

    fn client_tries_again(&mut self, who: usize, number: u64) {
        let client = &mut self.clients[who];
        let Some(pending) = client.pending.as_ref().filter(|pending| pending.number == number) else {
            return;
        };
        if pending.tries > 1 {
            self.oracle.sometimes("client tries again");
        }
        self.client_sends(who);
    }

    fn client_rests(&mut self, who: usize) {
        let wait = if self.calm { 3_000 } else { 12_000 };
        if self.calm && who > 0 && self.clients[who].is_done() && self.clients[who].looks > 200 {
            return;
        }
        let wait = self.clients[who].random.millis(100, wait);
        self.after(wait, Event::Client(who, ClientTimer::Next));
    }

    pub(crate) fn reply_arrives(&mut self, who: usize, number: u64, answer: Answer) {
        if let Some(watcher) = who.checked_sub(self.clients.len()) {
            return self.watcher_hears(watcher, number, answer);
        }
        let client = &mut self.clients[who];
        let Some(pending) = client.pending.clone().filter(|pending| pending.number == number) else { return };
        match answer {
            Answer::NotDone | Answer::Unknown => {
                let wait = client.random.millis(100, 1000);
                self.after(wait, Event::Client(who, ClientTimer::Again(number)));
                return;
            }
            Answer::Seen(seen) => {
                if let Some(job) = pending.job {
                    self.oracle.seen(job, pending.invoked, seen.as_ref());
                }
            }
            Answer::News(_) => {}
            Answer::Done(answer) => self.told(who, &pending, &answer),
        }
        self.clients[who].pending = None;
        self.client_rests(who);
    }

    fn told(&mut self, who: usize, pending: &Pending, answer: &Result<Reply, Refusal>) {
        let Asked::Change(request) = &pending.asked else { return };
        match (request, answer) {
            (Request::Submit(_) | Request::Retry { .. }, Ok(Reply::Submitted(jobs))) => {
                for job in jobs {
                    let key = pending.key.clone().unwrap_or_default();
                    self.oracle.submitted(*job, &key, &self.store);
                    self.oracle.changed(*job, pending.invoked, pending.tries, Act::Submit, true);
                    self.clients[who].known.push(*job);
                }
            }
            (Request::Submit(_) | Request::Retry { .. }, Err(_)) => {
                self.oracle.submission_refused(pending.tries);
            }
            (Request::Stop { job, .. } | Request::Kill { job, .. }, answer) => {
                self.oracle.changed(*job, pending.invoked, pending.tries, Act::Stop, answer.is_ok());
                if answer.is_ok() {
                    self.oracle.stopped(*job, &self.store);
                }
            }
            (Request::Delete { job, .. }, answer) => {
                self.oracle.changed(*job, pending.invoked, pending.tries, Act::Delete, answer.is_ok());
                if answer.is_ok() {
                    self.oracle.deleted(*job);
                }
            }
            (Request::Resume { node }, _) => {
                let workers = &self.workers;
                self.clients[who].drained.retain(|at| workers[*at].node != *node);
            }
            _ => {}
        }
    }
}

fn drain(node: dockmgr_core::ids::NodeId, deadline: Option<Duration>) -> Request {
    Request::Drain { node, deadline }
}

/// A job: it runs a while, writes a little, ends with some code; some ignore SIGTERM or end well on it.
fn spec(name: &str, random: &mut Random, long: u64) -> JobSpec {
    let code = if random.chance(600) { 0 } else { random.between(1, 7) };
    let first = random.between(0, 9000);
    let second = if random.chance(long) { random.between(20_000, 90_000) } else { random.between(0, 12_000) };
    let trap = match random.below(6) {
        0 => "trap '' TERM; ",
        1 => "trap 'exit 0' TERM; ",
        _ => "",
    };
    let script = format!(
        "{trap}echo {name}; sleep {}.{:03}; fake:bytes {} {}; echo err >&2; sleep {}.{:03}; echo end; exit {code}",
        first / 1000,
        first % 1000,
        random.between(1, 300),
        random.below(1000),
        second / 1000,
        second % 1000,
    );
    let on_lost = match random.below(5) {
        0 => OnLost::Wait,
        1 => OnLost::Fail,
        _ => OnLost::Retry,
    };
    let most = if random.chance(500) { 2 } else { 0 };
    JobSpec {
        name: JobName::parse(name).ok(),
        labels: BTreeMap::new(),
        image: ImageRef::parse(IMAGE).expect("a reference"),
        command: Command::Argv {
            args: vec!["sh".to_owned(), "-c".to_owned(), script],
            entrypoint: Entrypoint::None,
        },
        env: Vec::new(),
        working_dir: None,
        user: None,
        resources: Resources { cpu_millis: 500 * random.between(1, 4), memory: 64 << 20, gpus: 0 },
        pids_limit: 100,
        timeout: random.chance(150).then(|| random.millis(2000, 20_000)),
        queue_timeout: random.chance(100).then(|| random.millis(5000, 60_000)),
        retries: u32::try_from(random.below(3)).unwrap_or(0),
        priority: 0,
        constraints: Vec::new(),
        array: if random.chance(200) { ArraySpec::new(0, 2, most) } else { None },
        pull: PullPolicy::Missing,
        grace: random.millis(500, 4000),
        stop_signal: None,
        network: NetworkMode::Outbound,
        mounts: Vec::new(),
        read_only: false,
        log_limit: 1 << 20,
        keep_image: false,
        on_lost,
    }
}
