//! The faults at work: what begins, what ends, and what they do to messages and calls meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Instant;
use crate::faults::{Direction, Kind};
use crate::net::{Down, Up};
use crate::settings::Settings;
use crate::store::Ask;
use crate::world::{Event, World};

/// What is wrong now, counted because faults overlap.
#[derive(Debug)]
pub(crate) struct Weather {
    pub(crate) images_fail: Vec<u32>,
    late: Vec<u32>,
    lost: Vec<u32>,
    pub(crate) journal_fails: Vec<u32>,
    pub(crate) spool_full: Vec<u32>,
    pub(crate) store_fails: u32,
    store_down: u32,
    ambiguous: u32,
    late_commits: u32,
    /// The store has ended a lease before its time: an old leader may not know, and shows what it knows.
    pub(crate) leases_broken: bool,
    /// The coordinator that does not reach the store.
    parted: Option<usize>,
    /// When something was last heard on a connection.
    pub(crate) heard: BTreeMap<usize, Instant>,
    /// Worker that stays away at the end.
    pub(crate) gone: Option<usize>,
}

impl Weather {
    pub(crate) fn new(settings: &Settings) -> Self {
        let none = vec![0; settings.workers];
        Self {
            images_fail: none.clone(),
            late: none.clone(),
            lost: none.clone(),
            journal_fails: none.clone(),
            spool_full: none,
            store_fails: 0,
            store_down: 0,
            ambiguous: 0,
            late_commits: 0,
            leases_broken: false,
            parted: None,
            heard: BTreeMap::new(),
            gone: settings.gone.then_some(0),
        }
    }
}

impl World {
    /// When a request reaches the store, if ever, and whether its answer is heard.
    pub(crate) fn weather_of_ask(&mut self, ask: &Ask, who: usize) -> (Option<Duration>, bool) {
        let commit = matches!(ask, Ask::Commit(..));
        if self.settings.embedded {
            let slow = self.weather.late_commits > 0 && commit;
            return (Some(self.chance.store.millis(1, if slow { 3000 } else { 12 })), true);
        }
        let mut delay = self.delay() + self.chance.store.millis(0, 8);
        if self.weather.store_down > 0 || self.weather.parted == Some(who) {
            return (None, false);
        }
        if self.weather.late_commits > 0 && commit && self.chance.store.chance(300) {
            delay += self.chance.store.millis(500, 25_000);
        }
        if self.weather.ambiguous > 0 && commit && self.chance.store.chance(300) {
            let happens = self.chance.store.chance(500);
            return (happens.then_some(delay), false);
        }
        (Some(delay), true)
    }

    /// How much later a call of a daemon takes effect, and whether its answer is lost.
    pub(crate) fn weather_of_call(&mut self, host: usize) -> (Duration, bool) {
        let late = self.weather.late[host] > 0 && self.chance.host.chance(300);
        let late = if late { self.chance.host.millis(500, 60_000) } else { Duration::ZERO };
        let lost = self.weather.lost[host] > 0 && self.chance.host.chance(300);
        (late, lost)
    }

    #[expect(clippy::too_many_lines, reason = "a flat list of faults")]
    pub(crate) fn fault_begins(&mut self, at: usize) {
        if self.calm {
            return;
        }
        let fault = self.faults[at].clone();
        self.say(|| format!("FAULT {at}: {:?} for {:?}", fault.what, fault.lasts));
        let (w, c) = (self.workers.len(), self.coordinators.len());
        let until = self.now.after(fault.lasts);
        if let Kind::HangDaemon(who) = fault.what {
            self.oracle.is_late(who % w, until.after(Duration::from_secs(1)));
        }
        match fault.what {
            Kind::CrashWorker(who)
            | Kind::PauseWorker(who)
            | Kind::PowerLoss(who, _)
            | Kind::KillDaemon(who)
            | Kind::HangDaemon(who)
            | Kind::JournalFails(who)
            | Kind::OldLeader(who) => self.oracle.unfit(who % w, until),
            Kind::StandStill(who) => {
                self.oracle.unfit(who % w, until);
                self.oracle.stands_still(who % w, until);
            }
            // What was sent meanwhile may take effect a minute later.
            Kind::LateEffects(who) | Kind::LostReplies(who) => {
                self.oracle.unfit(who % w, until.after(Duration::from_secs(60)));
                self.oracle.is_late(who % w, until.after(Duration::from_secs(60)));
            }
            Kind::CrashCoordinator(_)
            | Kind::PauseCoordinator(_)
            | Kind::ExternalRemoval(_)
            | Kind::ImagesFail(_)
            | Kind::Cut(..)
            | Kind::Isolate(_)
            | Kind::Reset(_)
            | Kind::SlowNetwork
            | Kind::LoseClientMessages
            | Kind::StoreDown
            | Kind::AmbiguousCommits
            | Kind::LateCommits
            | Kind::LoseLease
            | Kind::LongLease
            | Kind::StaleReads
            | Kind::StoreFails
            | Kind::SpoolFull(_)
            | Kind::NoSpace => {}
        }
        match fault.what {
            Kind::CrashCoordinator(who) => {
                self.kill_coordinator(who % c);
                if self.settings.embedded {
                    self.store.lose_power();
                }
            }
            Kind::PauseCoordinator(who) => {
                let paused = &mut self.coordinators[who % c].paused_until;
                *paused = until.max(*paused);
            }
            Kind::CrashWorker(who) => self.kill_worker(who % w, false),
            Kind::PauseWorker(who) => {
                let paused = &mut self.workers[who % w].paused_until;
                *paused = until.max(*paused);
            }
            Kind::PowerLoss(who, zero) => self.power_off(who % w, zero),
            Kind::KillDaemon(who) => self.kill_daemon(who % w),
            Kind::HangDaemon(who) => {
                let hung = &mut self.hosts[who % w].hung_until;
                *hung = until.max(*hung);
            }
            Kind::LateEffects(who) => self.weather.late[who % w] += 1,
            Kind::LostReplies(who) => self.weather.lost[who % w] += 1,
            Kind::ExternalRemoval(who) => self.remove_by_hand(who % w),
            Kind::ImagesFail(who) => self.weather.images_fail[who % w] += 1,
            Kind::Cut(who, to, direction) => self.cut(who % w, to % c, direction, true),
            Kind::Isolate(who) => {
                for to in 0..c {
                    self.cut(who % w, to, Direction::Both, true);
                }
            }
            Kind::Reset(who) => self.reset(who % w),
            Kind::SlowNetwork => self.net.slow += 1,
            Kind::LoseClientMessages => self.net.lose_clients += 1,
            Kind::StoreDown => self.weather.store_down += 1,
            Kind::AmbiguousCommits => self.weather.ambiguous += 1,
            Kind::LateCommits => self.weather.late_commits += 1,
            Kind::LoseLease => self.lose_lease(),
            Kind::OldLeader(who) => {
                self.lose_lease();
                self.reset(who % w);
            }
            Kind::LongLease => {
                if self.store.expires != Instant(u64::MAX) {
                    self.store.expires = self.store.expires.max(until);
                }
            }
            Kind::StaleReads => self.store.old = Some(Box::new(self.store.state.clone())),
            Kind::NoSpace => self.store.full = true,
            Kind::JournalFails(who) => self.weather.journal_fails[who % w] += 1,
            Kind::StoreFails => self.weather.store_fails += 1,
            Kind::SpoolFull(who) => self.weather.spool_full[who % w] += 1,
            Kind::StandStill(who) => self.stand_still(who % w, until),
        }
        self.push(until, Event::FaultEnds(at));
    }

    pub(crate) fn fault_ends(&mut self, at: usize) {
        if self.calm {
            return;
        }
        let (w, c) = (self.workers.len(), self.coordinators.len());
        match self.faults[at].what {
            Kind::CrashCoordinator(who) => {
                let life = self.coordinators[who % c].life;
                self.start_coordinator(who % c, life);
            }
            Kind::CrashWorker(who) => {
                let life = self.workers[who % w].life;
                self.start_worker(who % w, life);
            }
            Kind::PowerLoss(who, _) => self.power_on(who % w),
            Kind::KillDaemon(who) => {
                let life = self.hosts[who % w].life;
                self.start_daemon(who % w, life);
            }
            Kind::LateEffects(who) => self.weather.late[who % w] -= 1,
            Kind::LostReplies(who) => self.weather.lost[who % w] -= 1,
            Kind::ImagesFail(who) => self.weather.images_fail[who % w] -= 1,
            Kind::Cut(who, to, direction) => self.cut(who % w, to % c, direction, false),
            Kind::Isolate(who) => {
                for to in 0..c {
                    self.cut(who % w, to, Direction::Both, false);
                }
            }
            Kind::SlowNetwork => self.net.slow -= 1,
            Kind::LoseClientMessages => self.net.lose_clients -= 1,
            Kind::StoreDown => {
                self.weather.store_down -= 1;
                self.store.lose_power();
            }
            Kind::AmbiguousCommits => self.weather.ambiguous -= 1,
            Kind::LateCommits => self.weather.late_commits -= 1,
            Kind::LoseLease => self.weather.parted = None,
            Kind::OldLeader(who) => {
                // While the old leader still believes in its lease, a worker that obeyed the new one comes back.
                self.kill_worker(who % w, false);
                let life = self.workers[who % w].life;
                self.after(Duration::from_millis(20), Event::StartWorker(who % w, life));
                self.weather.parted = None;
            }
            Kind::StaleReads => self.store.old = None,
            Kind::NoSpace => self.store.full = false,
            Kind::JournalFails(who) => self.weather.journal_fails[who % w] -= 1,
            Kind::StoreFails => self.weather.store_fails -= 1,
            Kind::SpoolFull(who) => self.weather.spool_full[who % w] -= 1,
            Kind::PauseCoordinator(_)
            | Kind::StandStill(_)
            | Kind::PauseWorker(_)
            | Kind::HangDaemon(_)
            | Kind::ExternalRemoval(_)
            | Kind::Reset(_)
            | Kind::LongLease => {}
        }
    }

    /// Worker, daemon and guard of a host do nothing until then; what runs is taken to go on.
    fn stand_still(&mut self, who: usize, until: Instant) {
        let (worker, host) = (&mut self.workers[who], &mut self.hosts[who]);
        worker.paused_until = until.max(worker.paused_until);
        host.hung_until = until.max(host.hung_until);
        host.still_until = until.max(host.still_until);
        self.oracle.sometimes("host stood still");
    }

    /// The leader's lease ends early, and the leader does not hear of it.
    fn lose_lease(&mut self) {
        if self.settings.embedded {
            return;
        }
        if let Some(epoch) = self.store.state.leading() {
            self.store.state.resign(epoch);
            self.weather.parted = self.store.leader.take();
            self.weather.leases_broken = true;
        }
    }

    fn cut(&mut self, worker: usize, coordinator: usize, direction: Direction, begins: bool) {
        let change = |count: &mut u32| *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        if direction != Direction::Down {
            change(&mut self.net.cut_up[worker][coordinator]);
        }
        if direction != Direction::Up {
            change(&mut self.net.cut_down[worker][coordinator]);
        }
        if !begins {
            self.flush(worker, coordinator);
        }
    }

    /// What was held while nothing passed arrives now, in order.
    fn flush(&mut self, worker: usize, coordinator: usize) {
        for connection in 0..self.net.connections.len() {
            let later =
                if self.chance.net.chance(500) { self.chance.net.millis(0, 3000) } else { Duration::ZERO };
            let one = &mut self.net.connections[connection];
            if one.worker != worker || one.coordinator != coordinator {
                continue;
            }
            // Each connection sends again by a timer of its own, so a newer one may come first.
            one.last_up = one.last_up.max(self.now.after(later));
            one.last_down = one.last_down.max(self.now.after(later));
            if self.net.cut_up[worker][coordinator] == 0 {
                for up in std::mem::take(&mut one.held_up) {
                    self.send_up_raw(connection, up);
                }
            }
            let one = &mut self.net.connections[connection];
            if self.net.cut_down[worker][coordinator] == 0 {
                for down in std::mem::take(&mut one.held_down) {
                    self.send_down(connection, down);
                }
            }
        }
    }

    /// A worker's connections break; what had not arrived never does.
    fn reset(&mut self, worker: usize) {
        for connection in 0..self.net.connections.len() {
            let one = &self.net.connections[connection];
            if one.worker == worker && (one.worker_open || one.coordinator_open) {
                self.after(Duration::ZERO, Event::Up(connection, Up::Fin));
                self.after(Duration::ZERO, Event::Down(connection, Down::Fin));
            }
        }
    }

    /// All is well from now on: everything must settle.
    pub(crate) fn calm_down(&mut self) {
        self.say(|| "CALM".to_owned());
        self.weather = Weather {
            heard: std::mem::take(&mut self.weather.heard),
            leases_broken: self.weather.leases_broken,
            ..Weather::new(&self.settings)
        };
        self.store.full = false;
        self.store.old = None;
        self.net.slow = 0;
        self.net.lose_clients = 0;
        for worker in 0..self.workers.len() {
            for coordinator in 0..self.coordinators.len() {
                self.net.cut_up[worker][coordinator] = 0;
                self.net.cut_down[worker][coordinator] = 0;
                self.flush(worker, coordinator);
            }
        }
        self.calm = true;
        self.calm_since = self.now;
        for who in 0..self.coordinators.len() {
            let life = self.coordinators[who].life;
            self.start_coordinator(who, life);
        }
        for who in 0..self.workers.len() {
            self.hosts[who].hung_until = Instant::default();
            self.hosts[who].still_until = Instant::default();
            self.power_on(who);
            let life = self.hosts[who].life;
            self.after(Duration::from_millis(400), Event::StartDaemon(who, life));
            let life = self.workers[who].life;
            self.after(Duration::from_millis(500), Event::StartWorker(who, life));
        }
        if let Some(gone) = self.weather.gone {
            self.oracle.unfit(gone, Instant(u64::MAX));
            self.kill_worker(gone, false);
        }
        self.after(Duration::from_secs(10), Event::Check);
    }
}
