//! The session with the leader: dialling, signs of life, reports, commands.

use std::collections::{BTreeMap, BTreeSet};

use dockmgr_core::agent::Wanted;
use dockmgr_core::cluster::{Command, Hello, NodeStatus, Progress};
use dockmgr_core::ids::{AttemptId, Epoch};
use dockmgr_core::spec::Resources;
use dockmgr_core::time::BootTime;

use super::WorkerTimer;
use crate::clock::Instant;
use crate::net::{Connection, Down, Up};
use crate::output::Ack;
use crate::world::World;

/// How long a coordinator may take from Hello to Welcome.
const WELCOME: u64 = 10_000;
/// Between two signs of life.
const HEARTBEAT: u64 = 2_000;
/// Silence after which a session is given up.
const SILENCE: u64 = 10_000;

/// Signs of life whose answer is waited for.
const MOST_BEATS: usize = 64;

/// A session, from its Hello.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: usize,
    pub(crate) welcomed: bool,
    /// Reports this coordinator has got.
    sent: BTreeMap<AttemptId, u64>,
    beats: u64,
    /// When the newest signs of life were sent.
    sent_at: BTreeMap<u64, BootTime>,
    heard: BootTime,
    began: BootTime,
}

/// What every node of the world has.
pub(crate) const CAPACITY: Resources = Resources { cpu_millis: 4000, memory: 8 << 30, gpus: 0 };

impl World {
    pub(super) fn dial_after(&mut self, who: usize, millis: u64) {
        self.workers[who].memory.dials += 1;
        let round = self.workers[who].memory.dials;
        self.worker_after(who, millis, WorkerTimer::Dial(round));
    }

    pub(super) fn dial(&mut self, who: usize, round: u64) {
        if self.workers[who].memory.dials != round || self.workers[who].memory.session.is_some() {
            return;
        }
        let to = self.workers[who].memory.next_coordinator % self.coordinators.len();
        self.workers[who].memory.next_coordinator += 1;
        let connection = self.net.connections.len();
        self.net.connections.push(Connection {
            worker: who,
            worker_life: self.workers[who].life,
            coordinator: to,
            coordinator_life: self.coordinators[to].life,
            worker_open: true,
            coordinator_open: self.coordinators[to].alive,
            last_up: Instant::default(),
            last_down: Instant::default(),
            held_up: Vec::new(),
            held_down: Vec::new(),
        });
        let boot = self.boot(who);
        let hello = self.hello(who);
        let sent = hello.attempts.iter().map(|report| (report.attempt, report.sequence)).collect();
        self.workers[who].memory.session = Some(Session {
            connection,
            welcomed: false,
            sent,
            beats: 0,
            sent_at: BTreeMap::new(),
            heard: boot,
            began: boot,
        });
        self.say(|| format!("worker {who} dials coordinator {to} (connection {connection})"));
        self.send_up(connection, Up::Hello(Box::new(hello)));
        self.worker_after(who, WELCOME, WorkerTimer::Welcome(connection));
    }

    fn hello(&self, who: usize) -> Hello {
        let worker = &self.workers[who];
        Hello {
            name: format!("w{who}"),
            labels: BTreeMap::new(),
            capacity: CAPACITY,
            worker_version: "1".to_owned(),
            runtime_version: "fake".to_owned(),
            boot_id: self.hosts[who].boots.to_string(),
            attempts: worker.memory.outbox.values().cloned().collect(),
            images: BTreeSet::new(),
            status: self.status(who),
            allowed_mounts: Vec::new(),
        }
    }

    fn status(&self, who: usize) -> NodeStatus {
        let not_ready = if self.workers[who].memory.trouble { vec!["daemon".to_owned()] } else { Vec::new() };
        NodeStatus { not_ready, warnings: Vec::new(), disk_free: 1 << 40, images: 1 }
    }

    /// Ends the session; another coordinator is tried after a pause.
    fn hang_up(&mut self, who: usize) {
        let boot = self.boot(who);
        let Some(session) = self.workers[who].memory.session.take() else { return };
        self.say(|| format!("worker {who} hangs up connection {}", session.connection));
        let memory = &mut self.workers[who].memory;
        memory.failures =
            if boot.since(session.began).as_secs() >= 10 { 0 } else { (memory.failures + 1).min(5) };
        let most = (200 << memory.failures).min(5000);
        if std::mem::replace(&mut self.net.connections[session.connection].worker_open, false) {
            self.send_up_raw(session.connection, Up::Fin);
        }
        let millis = self.chance.worker.between(most / 2, most);
        self.dial_after(who, millis);
    }

    pub(super) fn welcome_is_late(&mut self, who: usize, connection: usize) {
        let late = self.workers[who].memory.session.as_ref();
        if late.is_some_and(|session| session.connection == connection && !session.welcomed) {
            self.hang_up(who);
        }
    }

    pub(super) fn leader_is_silent(&mut self, who: usize, connection: usize) {
        let boot = self.boot(who);
        let Some(session) = self.workers[who].memory.session.as_ref() else { return };
        if session.connection != connection {
            return;
        }
        let silent = u64::try_from(boot.since(session.heard).as_millis()).unwrap_or(u64::MAX);
        if silent >= SILENCE {
            self.oracle.sometimes("silent leader left");
            self.hang_up(who);
        } else {
            self.worker_after(who, SILENCE - silent + 1, WorkerTimer::Silence(connection));
        }
    }

    pub(super) fn beat(&mut self, who: usize, connection: usize) {
        let boot = self.boot(who);
        let status = self.status(who);
        let Some(session) = self.workers[who].memory.session.as_mut() else { return };
        if session.connection != connection {
            return;
        }
        session.beats += 1;
        let sequence = session.beats;
        session.sent_at.insert(sequence, boot);
        while session.sent_at.len() > MOST_BEATS {
            session.sent_at.pop_first();
        }
        self.send_up(connection, Up::Heartbeat { sequence, status });
        self.check_bounds(who);
        self.worker_after(who, HEARTBEAT, WorkerTimer::Beat(connection));
    }

    /// What a worker keeps for its leader is bounded by its attempts (I16).
    fn check_bounds(&mut self, who: usize) {
        let memory = &self.workers[who].memory;
        let beats = memory.session.as_ref().map_or(0, |session| session.sent_at.len());
        if beats > MOST_BEATS || !memory.outbox.keys().all(|attempt| memory.drivers.contains_key(attempt)) {
            self.oracle.violate(
                "I16",
                format!("worker {who} keeps {beats} beats and {} reports", memory.outbox.len()),
            );
        }
    }

    pub(super) fn send_reports(&mut self, who: usize) {
        let memory = &mut self.workers[who].memory;
        let Some(session) = memory.session.as_mut().filter(|session| session.welcomed) else { return };
        let connection = session.connection;
        session.sent.retain(|attempt, _| memory.outbox.contains_key(attempt));
        let newer: Vec<_> = memory
            .outbox
            .values()
            .filter(|report| session.sent.get(&report.attempt) != Some(&report.sequence))
            .cloned()
            .collect();
        session.sent.extend(newer.iter().map(|report| (report.attempt, report.sequence)));
        for report in newer {
            self.send_up(connection, Up::Report(Box::new(report)));
        }
    }

    /// Sends a message of an open session.
    pub(super) fn send_up(&mut self, connection: usize, up: Up) {
        if self.net.connections[connection].worker_open {
            self.send_up_raw(connection, up);
        }
    }

    pub(crate) fn send_up_raw(&mut self, connection: usize, up: Up) {
        let delay = self.delay();
        let one = &mut self.net.connections[connection];
        if self.net.cut_up[one.worker][one.coordinator] > 0 {
            one.held_up.push(up);
            return;
        }
        let at = self.now.after(delay).max(one.last_up);
        one.last_up = at;
        self.push(at, crate::world::Event::Up(connection, up));
    }

    /// A coordinator's message reaches a worker.
    pub(crate) fn down_arrives(&mut self, connection: usize, down: Down) {
        let one = &self.net.connections[connection];
        let who = one.worker;
        let worker = &self.workers[who];
        if !worker.alive || worker.life != one.worker_life || !one.worker_open {
            if one.coordinator_open && !matches!(down, Down::Fin) {
                self.send_up_raw(connection, Up::Fin);
            }
            return;
        }
        let boot = self.boot(who);
        let Some(session) = self.workers[who].memory.session.as_mut() else { return };
        if session.connection != connection {
            return;
        }
        session.heard = boot;
        match down {
            Down::NotLeader | Down::Fin => self.hang_up(who),
            Down::HeartbeatAck(epoch, sequence) => {
                if self.obeys(who, epoch) {
                    self.contact(who, sequence);
                }
            }
            Down::OutputAck(attempt, ack) => self.output_acknowledged(who, attempt, ack),
            Down::Command(epoch, command) => {
                if self.obeys(who, epoch) {
                    self.command(who, *command);
                }
            }
        }
    }

    /// Refuses an old leader, remembers a new one.
    fn obeys(&mut self, who: usize, epoch: Epoch) -> bool {
        self.oracle.obeyed(who, epoch, self.workers[who].disk.epoch);
        if epoch < self.workers[who].disk.epoch {
            self.oracle.sometimes("old leader refused");
            self.hang_up(who);
            return false;
        }
        self.workers[who].disk.epoch = epoch;
        true
    }

    fn command(&mut self, who: usize, command: Command) {
        match command {
            Command::Welcome => self.welcomed(who),
            Command::Start(start) => self.take_in(who, start),
            Command::Stop { attempt, cause, signal, grace } => {
                self.wish(who, attempt, |driver| Wanted::Stop(Self::stop_of(driver, cause, signal, grace)));
            }
            Command::Signal { .. } => {}
            Command::Acknowledge { attempt, sequence } => {
                let memory = &mut self.workers[who].memory;
                let report = memory.outbox.get(&attempt).filter(|report| report.sequence <= sequence);
                if report.is_some_and(|report| matches!(report.progress, Progress::Ended(_))) {
                    self.oracle.acknowledged(attempt, &self.store);
                }
                let ended = memory.outbox.get(&attempt).is_some_and(|report| {
                    report.sequence <= sequence && matches!(report.progress, Progress::Ended(_))
                });
                if ended && let Some(driver) = memory.drivers.get_mut(&attempt) {
                    driver.seen.result_acknowledged = true;
                    self.go_on(who, attempt);
                }
            }
            Command::Forget { attempt } => {
                self.oracle.sometimes("attempt forgotten by order");
                self.oracle.forget_ordered(attempt);
                self.wish(who, attempt, |_| Wanted::Forget);
            }
        }
    }

    fn welcomed(&mut self, who: usize) {
        let fence_after = self.settings.config.fence_after;
        let Some(session) = self.workers[who].memory.session.as_mut() else { return };
        if std::mem::replace(&mut session.welcomed, true) {
            return;
        }
        let (connection, began) = (session.connection, session.began);
        self.say(|| format!("worker {who} is welcomed"));
        self.set_fence(who, fence_after);
        self.heard_at(who, began);
        self.send_reports(who);
        self.beat(who, connection);
        self.worker_after(who, SILENCE, WorkerTimer::Silence(connection));
    }

    /// A sign of life was acknowledged: contact counts from when it was sent.
    fn contact(&mut self, who: usize, sequence: u64) {
        let Some(session) = self.workers[who].memory.session.as_mut() else { return };
        let Some(sent) = session.sent_at.remove(&sequence) else { return };
        session.sent_at.retain(|older, _| *older > sequence);
        self.heard_at(who, sent);
        let mut unconfirmed = Vec::new();
        for (attempt, driver) in &mut self.workers[who].memory.drivers {
            if !std::mem::replace(&mut driver.seen.confirmed, true) {
                unconfirmed.push(*attempt);
            }
        }
        for attempt in unconfirmed {
            self.go_on(who, attempt);
        }
    }

    fn output_acknowledged(&mut self, who: usize, attempt: AttemptId, ack: Ack) {
        let worker = &mut self.workers[who];
        let Some(spool) = worker.disk.spool.get_mut(&attempt) else { return };
        spool.sent = ack.have;
        if ack.ended
            && spool.end.is_some()
            && let Some(driver) = worker.memory.drivers.get_mut(&attempt)
        {
            driver.seen.log_end_durable = true;
            self.go_on(who, attempt);
        }
    }
}
