//! A worker: the real `agent::plan`, and a shell that keeps the order of the real one.
//!
//! Owns the process and what of it survives: the disk. `driver` asks the plan and notes outcomes, `steps` carries out,
//! `session` talks to the leader, `keep` is sweep, health, upload and the guard.

mod driver;
mod keep;
mod session;
mod steps;

use std::collections::BTreeMap;

use dockmgr_core::agent::{Contact, ContainerIdentity, Phase, Stop};
use dockmgr_core::cluster::{Progress, Report, Start};
use dockmgr_core::ids::{AttemptId, ClusterId, Epoch, Incarnation, NodeId};
use dockmgr_core::outcome::AttemptEnd;
use dockmgr_core::time::{BootTime, WallTime};
use dockmgr_model::docker::Id;
use uuid::Uuid;

use crate::clock::Instant;
use crate::host::Said;
use crate::output::Spool;
use crate::world::{Event, World};
use driver::Driver;
use session::Session;

/// What a worker set itself to do, or what its host tells it.
#[derive(Debug, Clone)]
pub(crate) enum WorkerTimer {
    Dial(u64),
    Welcome(usize),
    Beat(usize),
    Silence(usize),
    /// A call of the daemon was answered.
    Answered(u64, Box<Said>),
    /// It was not answered in time.
    Unanswered(u64),
    /// A record was written, a pull ended, or another step that takes time.
    Done(AttemptId, u64, Box<steps::Outcome>),
    /// A driver's wait or pause is over.
    Wake(AttemptId, u64),
    /// A container has probably changed.
    Hint(AttemptId),
    /// The daemon's connections broke.
    DaemonLost,
    Upload,
    Sweep,
    SecondLook(Vec<Id>),
    Probe,
    Fence,
    /// Its journal could not be written.
    Dies,
}

/// What survives the process, and, but for what was not flushed, the power.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) epoch: Epoch,
    pub(crate) starts: u32,
    pub(crate) journal: BTreeMap<AttemptId, Entry>,
    /// The journal as it was when it was last flushed.
    pub(crate) flushed: BTreeMap<AttemptId, Entry>,
    pub(crate) spool: BTreeMap<AttemptId, Spool>,
    /// Last contact: the boot it counts in, and the fence.
    pub(crate) contact: Option<(u64, Contact)>,
    /// Attempts of which the guard says that it killed them.
    pub(crate) guarded: std::collections::BTreeSet<AttemptId>,
}

/// What the journal says of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) start: Box<Start>,
    pub(crate) phase: Phase,
    pub(crate) container: Option<Id>,
    pub(crate) start_boot: Option<u64>,
    pub(crate) started: Option<(WallTime, BootTime)>,
    pub(crate) stop: Option<Stop>,
    pub(crate) killed: bool,
    pub(crate) end: Option<Box<AttemptEnd>>,
}

/// A record of the journal.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Intent,
    Created(Id),
    StartIntent(u64),
    Started(WallTime, BootTime),
    Stopping { stop: Stop, kill: bool },
    Ended(Box<AttemptEnd>),
    Forgotten,
}

impl Entry {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Intent | Change::Forgotten => {}
            Change::Created(id) => {
                self.phase = Phase::Created;
                self.container = Some(*id);
            }
            Change::StartIntent(boot) => {
                self.phase = Phase::StartIntent;
                self.start_boot = Some(*boot);
            }
            Change::Started(wall, boot) => {
                self.phase = Phase::Started;
                self.started = Some((*wall, *boot));
            }
            Change::Stopping { stop, kill } => {
                self.stop = Some(*stop);
                self.killed |= kill;
            }
            Change::Ended(end) => {
                self.phase = Phase::Ended;
                self.end = Some(end.clone());
            }
        }
    }
}

impl Change {
    /// Whether it is flushed before work goes on.
    fn is_flushed(&self) -> bool {
        match self {
            Self::Intent | Self::StartIntent(_) | Self::Ended(_) => true,
            Self::Created(_) | Self::Started(..) | Self::Stopping { .. } | Self::Forgotten => false,
        }
    }
}

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) node: NodeId,
    pub(crate) alive: bool,
    pub(crate) life: u64,
    pub(crate) paused_until: Instant,
    pub(crate) disk: Disk,
    pub(crate) memory: Memory,
}

/// What dies with the process.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) drivers: BTreeMap<AttemptId, Driver>,
    pub(crate) outbox: BTreeMap<AttemptId, Report>,
    pub(crate) session: Option<Session>,
    dials: u64,
    failures: u32,
    next_coordinator: usize,
    calls: BTreeMap<u64, Waiting>,
    next_call: u64,
    outages: u64,
    live_restore: bool,
    /// Why it takes no work; `None` when it does.
    trouble: bool,
    contact: Option<Contact>,
    was_fenced: bool,
}

/// Who waits for a call of the daemon.
#[derive(Debug, Clone)]
enum Waiting {
    Driver(AttemptId, u64, steps::Asked),
    Probe,
    Sweep,
    SecondLook(Vec<Id>),
    LastLook(Id),
    Removal,
}

/// Whose containers a host's are.
pub(crate) fn identity(at: usize) -> ContainerIdentity {
    ContainerIdentity { cluster: ClusterId(Uuid::from_u128(7)), node: node_id(at) }
}

fn node_id(at: usize) -> NodeId {
    NodeId(Uuid::from_u128(1000 + at as u128))
}

impl Worker {
    pub(crate) fn new(at: usize) -> Self {
        Self {
            node: node_id(at),
            alive: false,
            life: 0,
            paused_until: Instant::default(),
            disk: Disk::default(),
            memory: Memory::default(),
        }
    }

    /// The incarnation of one start.
    pub(crate) fn incarnation_of(&self, life: u64) -> Incarnation {
        Incarnation(Uuid::from_u128(self.node.0.as_u128() * 100_000 + u128::from(life)))
    }
}

impl World {
    pub(crate) fn start_worker(&mut self, who: usize, life: u64) {
        if !self.hosts[who].powered {
            return;
        }
        let boots = self.hosts[who].boots;
        let worker = &mut self.workers[who];
        if worker.alive || worker.life != life {
            return;
        }
        worker.alive = true;
        worker.disk.starts += 1;
        let contact = worker
            .disk
            .contact
            .map(|(boot, contact)| Contact { last: contact.last.filter(|_| boot == boots), ..contact });
        worker.memory = Memory {
            live_restore: self.hosts[who].live_restore && self.hosts[who].up,
            trouble: !self.hosts[who].up,
            contact: Some(
                contact.unwrap_or(Contact { last: None, fence_after: self.settings.config.fence_after }),
            ),
            ..Memory::default()
        };
        self.say(|| format!("worker {who} starts"));
        let entries: Vec<(AttemptId, Entry)> =
            self.workers[who].disk.journal.iter().map(|(id, entry)| (*id, entry.clone())).collect();
        if !entries.is_empty() {
            self.oracle.sometimes("attempts adopted");
        }
        for (attempt, entry) in entries {
            self.adopt(who, attempt, entry);
        }
        self.worker_after(who, 0, WorkerTimer::Probe);
        self.worker_after(who, 100, WorkerTimer::Sweep);
        self.worker_after(who, 1000, WorkerTimer::Upload);
        self.worker_after(who, 500, WorkerTimer::Fence);
        self.dial_after(who, 0);
    }

    /// Kills the process; without `power`, the kernel closes its connections.
    pub(crate) fn kill_worker(&mut self, who: usize, power: bool) {
        let worker = &mut self.workers[who];
        if !worker.alive {
            if power {
                self.lose_unflushed(who);
            }
            return;
        }
        worker.alive = false;
        worker.life += 1;
        worker.paused_until = Instant::default();
        let memory = std::mem::take(&mut worker.memory);
        self.say(|| format!("worker {who} is killed"));
        // What was being written may have been written.
        for (attempt, driver) in memory.drivers {
            if let Some(change) = driver.writing
                && self.chance.worker.chance(500)
            {
                self.oracle.sometimes("record written, process dead");
                self.write(who, attempt, &change, &driver.entry);
            }
        }
        for connection in 0..self.net.connections.len() {
            let one = &mut self.net.connections[connection];
            if one.worker == who && one.worker_open {
                one.worker_open = false;
                if !power {
                    self.send_up_raw(connection, crate::net::Up::Fin);
                }
            }
        }
        if power {
            self.lose_unflushed(who);
        }
    }

    fn lose_unflushed(&mut self, who: usize) {
        let some_kept = self.chance.worker.chance(500);
        let disk = &mut self.workers[who].disk;
        if !some_kept {
            disk.journal.clone_from(&disk.flushed);
        }
        // What the spool had not flushed is read again from what the daemon kept.
        for spool in disk.spool.values_mut() {
            if spool.end.is_none() {
                for at in 0..2 {
                    spool.bytes[at].truncate(spool.sent[at]);
                }
            }
        }
    }

    fn worker_after(&mut self, who: usize, millis: u64, timer: WorkerTimer) {
        let wait = self.clocks.workers[who].stretch(std::time::Duration::from_millis(millis));
        let life = self.workers[who].life;
        self.after(wait, Event::Worker(who, life, timer));
    }

    pub(crate) fn worker_timer(&mut self, who: usize, timer: WorkerTimer) {
        match timer {
            WorkerTimer::Dial(round) => self.dial(who, round),
            WorkerTimer::Welcome(connection) => self.welcome_is_late(who, connection),
            WorkerTimer::Beat(connection) => self.beat(who, connection),
            WorkerTimer::Silence(connection) => self.leader_is_silent(who, connection),
            WorkerTimer::Answered(number, said) => self.daemon_says(who, number, Some(*said)),
            WorkerTimer::Unanswered(number) => self.daemon_says(who, number, None),
            WorkerTimer::Done(attempt, generation, outcome) => {
                self.step_done(who, attempt, generation, *outcome);
            }
            WorkerTimer::Wake(attempt, generation) => self.driver_wakes(who, attempt, generation),
            WorkerTimer::Hint(attempt) => self.container_changed(who, attempt),
            WorkerTimer::DaemonLost => self.daemon_lost(who),
            WorkerTimer::Upload => self.upload(who),
            WorkerTimer::Sweep => self.sweep(who),
            WorkerTimer::SecondLook(strays) => self.second_look(who, strays),
            WorkerTimer::Probe => self.probe(who),
            WorkerTimer::Fence => self.look_at_fence(who),
            WorkerTimer::Dies => {
                self.kill_worker(who, false);
                let (life, wait) = (self.workers[who].life, self.chance.worker.millis(200, 3000));
                self.after(wait, Event::StartWorker(who, life));
            }
        }
    }

    fn boot(&self, who: usize) -> BootTime {
        self.clocks.workers[who].at(self.now)
    }

    /// Writes a record.
    fn write(&mut self, who: usize, attempt: AttemptId, change: &Change, entry: &Entry) {
        let disk = &mut self.workers[who].disk;
        match change {
            Change::Forgotten => drop(disk.journal.remove(&attempt)),
            Change::Intent => drop(disk.journal.insert(attempt, entry.clone())),
            Change::Created(_)
            | Change::StartIntent(_)
            | Change::Started(..)
            | Change::Stopping { .. }
            | Change::Ended(_) => {
                if let Some(entry) = disk.journal.get_mut(&attempt) {
                    entry.apply(change);
                }
            }
        }
        if change.is_flushed() {
            disk.flushed.clone_from(&disk.journal);
        }
    }

    fn report(&mut self, who: usize, attempt: AttemptId, progress: Progress) {
        let worker = &mut self.workers[who];
        let first = u64::from(worker.disk.starts) << 32;
        let sequence = worker.memory.outbox.get(&attempt).map_or(first + 1, |older| older.sequence + 1);
        worker.memory.outbox.insert(attempt, Report { attempt, sequence, progress });
        self.send_reports(who);
    }
}
