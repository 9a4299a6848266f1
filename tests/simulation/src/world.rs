//! The world: one heap of things to come, and whoever they happen to.
//!
//! Owns virtual time and the order of events. Single-threaded; the same settings and faults give the same run. What
//! happens to whom is in `coordinator`, `worker`, `host`, `client` and `weather` (the faults).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use dockmgr_core::cluster::Request;
use dockmgr_core::ids::AttemptId;

use crate::client::{Answer, Client, ClientTimer};
use crate::clock::{Clock, Instant};
use crate::coordinator::{Coordinator, CoordinatorTimer};
use crate::faults::Fault;
use crate::host::{Call, CallId, Host};
use crate::net::{Down, Network, Up};
use crate::oracle::{Oracle, Violation};
use crate::output::Kept;
use crate::random::Random;
use crate::settings::Settings;
use crate::store::{Ask, Say, Store};
use crate::watcher::Watcher;
use crate::worker::{Worker, WorkerTimer};

/// Something to come.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request reaches the store.
    Ask {
        who: usize,
        life: u64,
        number: u64,
        ask: Ask,
        heard: bool,
    },
    /// Its answer reaches the coordinator.
    Said {
        who: usize,
        life: u64,
        number: u64,
        say: Say,
    },
    Coordinator(usize, u64, CoordinatorTimer),
    Up(usize, Up),
    Down(usize, Down),
    Worker(usize, u64, WorkerTimer),
    /// A call reaches a host's container daemon; the number is the daemon's life.
    Call {
        host: usize,
        life: u64,
        caller: CallId,
        call: Call,
        answered: bool,
    },
    /// A program on a host goes on.
    Programs(usize),
    Guard(usize),
    /// A client's request reaches a coordinator.
    Request {
        client: usize,
        number: u64,
        to: usize,
        request: Asked,
        hops: u8,
    },
    Reply {
        client: usize,
        number: u64,
        answer: Answer,
    },
    Client(usize, ClientTimer),
    FaultBegins(usize),
    FaultEnds(usize),
    StartCoordinator(usize, u64),
    StartWorker(usize, u64),
    StartDaemon(usize, u64),
    Calm,
    Check,
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Change(Request),
    Look(dockmgr_core::ids::JobId),
    /// What changed after a revision; 0 for everything.
    Watch(u64),
}

/// Generators of the parts.
#[derive(Debug)]
pub(crate) struct Chance {
    pub(crate) net: Random,
    pub(crate) store: Random,
    pub(crate) host: Random,
    pub(crate) worker: Random,
    pub(crate) client: Random,
    pub(crate) coordinator: Random,
}

/// Everything.
pub(crate) struct World {
    pub(crate) now: Instant,
    seq: u64,
    /// When what comes next happens, in which order, and where in `coming` it is: what moves in a heap had better be small.
    heap: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    coming: Vec<Option<Event>>,
    free: Vec<usize>,
    pub(crate) settings: Settings,
    pub(crate) faults: Vec<Fault>,
    pub(crate) chance: Chance,
    pub(crate) clocks: Clocks,
    pub(crate) net: Network,
    pub(crate) store: Store,
    pub(crate) weather: crate::weather::Weather,
    pub(crate) coordinators: Vec<Coordinator>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) clients: Vec<Client>,
    pub(crate) watchers: Vec<Watcher>,
    /// The folder of kept output.
    pub(crate) logs: BTreeMap<AttemptId, Kept>,
    pub(crate) oracle: Oracle,
    /// Nothing goes wrong any more.
    pub(crate) calm: bool,
    pub(crate) calm_since: Instant,
    pub(crate) done: bool,
    pub(crate) events: u64,
    hash: u64,
    /// Lines of what happened, if somebody wants to read them.
    pub(crate) trace: Option<Vec<String>>,
}

/// Clocks of the machines.
#[derive(Debug)]
pub(crate) struct Clocks {
    pub(crate) coordinators: Vec<Clock>,
    pub(crate) workers: Vec<Clock>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) violation: Option<Violation>,
    pub(crate) hash: u64,
    pub(crate) events: u64,
    pub(crate) sometimes: crate::sometimes::Counts,
    pub(crate) trace: Vec<String>,
}

/// Most events of a run: beyond it something goes in circles.
const MOST_EVENTS: u64 = 2_000_000;

impl World {
    pub(crate) fn new(settings: Settings, faults: Vec<Fault>, traced: bool) -> Self {
        let seed = settings.seed;
        let random = |name| Random::new(seed, name);
        let mut clock_random = random(3);
        let base = clock_random.between(820_000, 1_220_000);
        let mut clock = |name: u64| {
            let rate = if settings.clocks_differ {
                clock_random.between(800_000, 1_250_000)
            } else {
                base * clock_random.between(9_770, 10_230) / 10_000
            };
            let walls = random(100 + name + 1000 * settings.walls);
            Clock::new(clock_random.millis(1000, 900_000_000), rate, walls)
        };
        let clocks = Clocks {
            coordinators: (0..settings.coordinators as u64).map(&mut clock).collect(),
            workers: (0..settings.workers as u64).map(|n| clock(n + 50)).collect(),
        };
        let mut world = Self {
            now: Instant::default(),
            seq: 0,
            heap: BinaryHeap::new(),
            coming: Vec::new(),
            free: Vec::new(),
            chance: Chance {
                net: random(10),
                store: random(11),
                host: random(12),
                worker: random(13),
                client: random(14),
                coordinator: random(15),
            },
            clocks,
            net: Network::new(settings.workers, settings.coordinators),
            store: Store::default(),
            weather: crate::weather::Weather::new(&settings),
            coordinators: (0..settings.coordinators).map(|_| Coordinator::default()).collect(),
            workers: (0..settings.workers).map(Worker::new).collect(),
            hosts: (0..settings.workers).map(|at| Host::new(at, seed)).collect(),
            clients: (0..settings.clients).map(|at| Client::new(at, &settings)).collect(),
            watchers: (0..settings.watchers).map(|at| Watcher::new(at, &settings)).collect(),
            logs: BTreeMap::new(),
            oracle: Oracle::new(&settings),
            calm: false,
            calm_since: Instant::default(),
            done: false,
            events: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            trace: traced.then(Vec::new),
            settings,
            faults,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for at in 0..self.coordinators.len() {
            self.after(Duration::from_millis(at as u64 * 3), Event::StartCoordinator(at, 0));
        }
        for at in 0..self.workers.len() {
            self.after(Duration::from_millis(20 + at as u64), Event::StartWorker(at, 0));
            if self.settings.guards {
                self.after(Duration::from_millis(500), Event::Guard(at));
            }
        }
        for at in 0..self.clients.len() {
            let wait = self.chance.client.millis(100, 5000);
            self.after(wait, Event::Client(at, ClientTimer::Next));
        }
        for at in 0..self.watchers.len() {
            self.after(Duration::from_secs(1), Event::Client(self.clients.len() + at, ClientTimer::Next));
        }
        for at in 0..self.faults.len() {
            self.push(self.faults[at].at, Event::FaultBegins(at));
        }
        self.after(self.settings.active, Event::Calm);
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Ended {
        while !self.done && self.oracle.violation.is_none() {
            let Some(Reverse((at, seq, slot))) = self.heap.pop() else { break };
            let Some(event) = self.coming[slot].take() else { continue };
            self.free.push(slot);
            self.now = self.now.max(at);
            self.events += 1;
            self.mix(at.0 ^ seq.rotate_left(32));
            self.oracle.now = self.now;
            if let Some(event) = self.hold(event) {
                self.dispatch(event);
            }
            if self.events > MOST_EVENTS {
                self.oracle.violate("V5", "too many events: something goes in circles".to_owned());
            }
        }
        Ended {
            violation: self.oracle.violation.take(),
            hash: self.hash,
            events: self.events,
            sometimes: std::mem::take(&mut self.oracle.sometimes),
            trace: self.trace.take().unwrap_or_default(),
        }
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Ask { who, life, number, ask, heard } => self.ask_arrives(who, life, number, ask, heard),
            Event::Said { who, number, say, .. } => self.store_says(who, number, say),
            Event::Coordinator(who, _, timer) => self.coordinator_timer(who, timer),
            Event::Up(connection, up) => self.up_arrives(connection, up),
            Event::Down(connection, down) => self.down_arrives(connection, down),
            Event::Worker(who, _, timer) => self.worker_timer(who, timer),
            Event::Call { host, life, caller, call, answered } => {
                self.call_arrives(host, life, caller, call, answered);
            }
            Event::Programs(host) => self.programs_go_on(host),
            Event::Guard(host) => self.guard_looks(host),
            Event::Request { client, number, to, request, hops } => {
                self.request_arrives(client, number, to, request, hops);
            }
            Event::Reply { client, number, answer } => self.reply_arrives(client, number, answer),
            Event::Client(who, timer) => self.client_timer(who, timer),
            Event::FaultBegins(at) => self.fault_begins(at),
            Event::FaultEnds(at) => self.fault_ends(at),
            Event::StartCoordinator(who, life) => self.start_coordinator(who, life),
            Event::StartWorker(who, life) => self.start_worker(who, life),
            Event::StartDaemon(host, life) => self.start_daemon(host, life),
            Event::Calm => self.calm_down(),
            Event::Check => self.check_settled(),
        }
    }

    /// Puts off what is for somebody who stands still; drops what is for the dead.
    fn hold(&mut self, event: Event) -> Option<Event> {
        let coordinator = |who: usize, life: Option<u64>| {
            let coordinator = &self.coordinators[who];
            let same = life.is_none_or(|life| life == coordinator.life);
            (coordinator.alive && same).then_some(coordinator.paused_until)
        };
        let until = match &event {
            Event::Said { who, life, .. } | Event::Coordinator(who, life, _) => {
                coordinator(*who, Some(*life))?
            }
            Event::Worker(who, life, _) => {
                let worker = &self.workers[*who];
                (worker.alive && worker.life == *life).then_some(worker.paused_until)?
            }
            Event::Up(connection, _) => {
                let connection = &self.net.connections[*connection];
                self.coordinators[connection.coordinator].paused_until
            }
            Event::Down(connection, _) => self.workers[self.net.connections[*connection].worker].paused_until,
            Event::Request { to, .. } => self.coordinators[*to].paused_until,
            Event::Ask { .. }
            | Event::Call { .. }
            | Event::Programs(_)
            | Event::Guard(_)
            | Event::Reply { .. }
            | Event::Client(..)
            | Event::FaultBegins(_)
            | Event::FaultEnds(_)
            | Event::StartCoordinator(..)
            | Event::StartWorker(..)
            | Event::StartDaemon(..)
            | Event::Calm
            | Event::Check => Instant::default(),
        };
        if until > self.now {
            self.push(until, event);
            return None;
        }
        Some(event)
    }

    pub(crate) fn push(&mut self, at: Instant, event: Event) {
        self.seq += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.coming.push(None);
            self.coming.len() - 1
        });
        self.coming[slot] = Some(event);
        self.heap.push(Reverse((at.max(self.now), self.seq, slot)));
    }

    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.push(self.now.after(wait), event);
    }

    /// Mixes something that happened into the trace hash.
    pub(crate) fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3);
    }

    /// Writes a line of the trace.
    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>14} {}", self.now.to_string(), line()));
        }
    }

    /// Delay of one message.
    pub(crate) fn delay(&mut self) -> Duration {
        let slow = u64::from(self.net.slow);
        let chance = &mut self.chance.net;
        let usual = if chance.chance(20) { chance.millis(5, 300) } else { chance.millis(0, 3) };
        if slow > 0 { usual + chance.millis(100, 3000) } else { usual }
    }
}
