//! A coordinator: the real `Cluster`, and a shell that keeps the order of the real one.
//!
//! ```text
//! Waiting --campaign won--> Loading --records read--> Leading --lease over, fenced, in doubt--> Waiting
//! ```
//! Group commit: effects of an event leave when its group is durable, later events are stepped meanwhile. A commit that is
//! in doubt ends leadership; everything is loaded anew by whoever leads next.

mod again;
mod commit;
mod speakers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dockmgr_core::cluster::{Changes, Cluster, Event as Step, Record, Send, Token};
use dockmgr_core::ids::{Epoch, Incarnation, JobId, NodeId};
use dockmgr_core::time::BootTime;

use crate::client::Answer;
use crate::clock::Instant;
use crate::records;
use crate::store::{Ask, LEASE, Say};
use crate::world::{Event, World};

/// A commit or a read that is not answered in this time is in doubt.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to lead.
const POLL: Duration = Duration::from_millis(700);
/// After leadership ended, before the next try.
const PAUSE: Duration = Duration::from_millis(200);
/// A session that says nothing for so long is closed.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest time without a tick.
const SAFETY_TICK: Duration = Duration::from_secs(5);

/// What a coordinator set itself to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CoordinatorTimer {
    Campaign(u64),
    Renew(Epoch),
    LeaseEnds(Epoch),
    Tick(Epoch),
    Unanswered(u64),
    Silence(usize),
}

/// One coordinator.
#[derive(Debug, Default)]
pub(crate) struct Coordinator {
    pub(crate) alive: bool,
    pub(crate) life: u64,
    pub(crate) paused_until: Instant,
    pub(crate) role: Role,
    /// Requests to the store so far.
    asked: u64,
    campaigns: u64,
}

#[derive(Debug, Default)]
pub(crate) enum Role {
    #[default]
    Waiting,
    Campaigning(u64, BootTime),
    Loading(u64, Epoch, BootTime),
    Leading(Box<Leader>),
}

/// A coordinator that leads.
#[derive(Debug)]
pub(crate) struct Leader {
    pub(crate) epoch: Epoch,
    pub(crate) cluster: Cluster,
    valid_until: BootTime,
    renewing: Option<(u64, BootTime)>,
    sessions: BTreeMap<NodeId, (Incarnation, usize)>,
    waiting: BTreeMap<Token, (usize, u64)>,
    next_token: u64,
    group: Group,
    in_flight: Option<InFlight>,
    tick_at: Option<Instant>,
    steps: u64,
    /// What watchers may be shown: durable changes.
    pub(crate) changes: Changes,
}

#[derive(Debug, Default)]
struct Group {
    dirty: BTreeSet<Record>,
    outbox: Outbox,
}

#[derive(Debug, Default)]
struct Outbox {
    sends: Vec<Send>,
    answers: Vec<(usize, u64, Answer)>,
    changed: Vec<(JobId, u64)>,
    deleted: Vec<(JobId, u64)>,
}

#[derive(Debug)]
struct InFlight {
    number: u64,
    parts: VecDeque<Vec<records::Write>>,
    outbox: Outbox,
}

impl Coordinator {
    pub(crate) fn leader(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leading(leader) => Some(leader),
            Role::Waiting | Role::Campaigning(..) | Role::Loading(..) => None,
        }
    }

    fn leader_mut(&mut self) -> Option<&mut Leader> {
        match &mut self.role {
            Role::Leading(leader) => Some(leader),
            Role::Waiting | Role::Campaigning(..) | Role::Loading(..) => None,
        }
    }
}

impl World {
    pub(crate) fn start_coordinator(&mut self, who: usize, life: u64) {
        let coordinator = &mut self.coordinators[who];
        if coordinator.alive || coordinator.life != life {
            return;
        }
        coordinator.alive = true;
        coordinator.role = Role::Waiting;
        self.say(|| format!("coordinator {who} starts"));
        self.campaign_after(who, Duration::from_millis(50));
    }

    /// Kills the process; what it asked the store may still happen.
    pub(crate) fn kill_coordinator(&mut self, who: usize) {
        let coordinator = &mut self.coordinators[who];
        coordinator.alive = false;
        coordinator.life += 1;
        coordinator.role = Role::Waiting;
        self.say(|| format!("coordinator {who} is killed"));
        for connection in 0..self.net.connections.len() {
            let one = &self.net.connections[connection];
            if one.coordinator == who && one.coordinator_open {
                self.close_down(connection);
            }
        }
    }

    fn campaign_after(&mut self, who: usize, wait: Duration) {
        let coordinator = &mut self.coordinators[who];
        coordinator.campaigns += 1;
        let event =
            Event::Coordinator(who, coordinator.life, CoordinatorTimer::Campaign(coordinator.campaigns));
        let jitter = self.chance.coordinator.millis(0, 40);
        self.after(wait + jitter, event);
    }

    /// Sends a request to the store; gives its number.
    fn ask(&mut self, who: usize, ask: Ask) -> u64 {
        self.coordinators[who].asked += 1;
        let (life, number) = (self.coordinators[who].life, self.coordinators[who].asked);
        let (delay, heard) = self.weather_of_ask(&ask, who);
        if let Some(delay) = delay {
            self.after(delay, Event::Ask { who, life, number, ask, heard });
        }
        let patience = self.clocks.coordinators[who].stretch(PATIENCE);
        self.after(patience, Event::Coordinator(who, life, CoordinatorTimer::Unanswered(number)));
        number
    }

    /// A request reaches the store.
    pub(crate) fn ask_arrives(&mut self, who: usize, life: u64, number: u64, ask: Ask, heard: bool) {
        let (now, alone) = (self.now, self.settings.embedded);
        let commits = matches!(ask, Ask::Commit(..));
        if alone && self.coordinators[who].life != life {
            // The store lives in the process: what it had not done is not done, but the last may be.
            if !commits || !self.chance.store.chance(500) {
                return;
            }
            self.oracle.sometimes("commit done, process dead");
        }
        let fails = alone && commits && self.weather.store_fails > 0 && self.chance.store.chance(200);
        if fails {
            self.disk_fails(who);
            if self.chance.store.chance(500) {
                return;
            }
        }
        let say = match ask {
            Ask::Campaign => Say::Elected(self.store.campaign(who, now, alone)),
            Ask::KeepAlive(epoch) => Say::Kept(self.store.keep(epoch, now)),
            Ask::Resign(epoch) => {
                self.store.state.resign(epoch);
                return;
            }
            Ask::Load => {
                let old = self.store.old.clone();
                if old.is_some() {
                    self.oracle.sometimes("stale read");
                }
                Say::Loaded(old.unwrap_or_else(|| Box::new(self.store.state.clone())))
            }
            Ask::Commit(epoch, writes) => {
                let outcome = self.store.commit(epoch, writes, now);
                if matches!(outcome.say, Say::Fenced) {
                    self.oracle.sometimes("commit fenced");
                }
                if !outcome.changes.is_empty() {
                    self.oracle.committed(epoch, &outcome.changes, &mut self.store);
                }
                outcome.say
            }
        };
        if heard {
            let delay = self.delay();
            self.after(delay, Event::Said { who, life, number, say });
        }
    }

    /// What was to be written is written or not; whoever wrote it ends, and begins anew from what is there.
    fn disk_fails(&mut self, who: usize) {
        self.oracle.sometimes("disk of the store failed");
        if self.coordinators[who].alive {
            self.kill_coordinator(who);
            let (life, wait) = (self.coordinators[who].life, self.chance.store.millis(200, 3000));
            self.after(wait, Event::StartCoordinator(who, life));
        }
    }

    pub(crate) fn coordinator_timer(&mut self, who: usize, timer: CoordinatorTimer) {
        match timer {
            CoordinatorTimer::Campaign(round) => {
                if matches!(self.coordinators[who].role, Role::Waiting)
                    && self.coordinators[who].campaigns == round
                {
                    let asked_at = self.clocks.coordinators[who].at(self.now);
                    let number = self.ask(who, Ask::Campaign);
                    self.coordinators[who].role = Role::Campaigning(number, asked_at);
                }
            }
            CoordinatorTimer::Renew(epoch) => self.renew(who, epoch),
            CoordinatorTimer::LeaseEnds(epoch) => {
                if self.leads(who)
                    && self.coordinators[who].leader().is_some_and(|leader| leader.epoch == epoch)
                {
                    self.watch_lease(who);
                }
            }
            CoordinatorTimer::Tick(epoch) => {
                let now = self.now;
                let due = self.coordinators[who].leader_mut().filter(|leader| leader.epoch == epoch);
                if let Some(leader) = due.filter(|leader| leader.tick_at.is_some_and(|at| at <= now)) {
                    leader.tick_at = None;
                    if self.leads(who) {
                        let jitter = self.chance.coordinator.next();
                        self.step(who, Step::Tick { jitter });
                        self.tick_again(who);
                    }
                }
            }
            CoordinatorTimer::Unanswered(number) => self.store_is_silent(who, number),
            CoordinatorTimer::Silence(connection) => self.session_silence(who, connection),
        }
    }

    /// Whether a coordinator leads by its own clock; steps down if it does not any more.
    pub(crate) fn leads(&mut self, who: usize) -> bool {
        let boot = self.clocks.coordinators[who].at(self.now);
        match self.coordinators[who].leader() {
            Some(leader) if boot < leader.valid_until => true,
            Some(_) => {
                self.oracle.sometimes("lease over by own clock");
                self.step_down(who, "its lease is over");
                false
            }
            None => false,
        }
    }

    fn watch_lease(&mut self, who: usize) {
        let Some(leader) = self.coordinators[who].leader() else { return };
        let at = self.clocks.coordinators[who].when(leader.valid_until);
        let (epoch, life) = (leader.epoch, self.coordinators[who].life);
        if leader.valid_until.0 < u64::MAX / 4 {
            self.push(at, Event::Coordinator(who, life, CoordinatorTimer::LeaseEnds(epoch)));
        }
    }

    fn renew(&mut self, who: usize, epoch: Epoch) {
        if !self.leads(who) || self.coordinators[who].leader().is_none_or(|leader| leader.epoch != epoch) {
            return;
        }
        let asked_at = self.clocks.coordinators[who].at(self.now);
        let number = self.ask(who, Ask::KeepAlive(epoch));
        if let Some(leader) = self.coordinators[who].leader_mut() {
            leader.renewing = Some((number, asked_at));
        }
        let (life, wait) = (self.coordinators[who].life, self.clocks.coordinators[who].stretch(LEASE / 4));
        self.after(wait, Event::Coordinator(who, life, CoordinatorTimer::Renew(epoch)));
    }

    /// Leadership is over: sessions are cut, nobody who waits is answered, everything is forgotten.
    fn step_down(&mut self, who: usize, why: &str) {
        let Role::Leading(leader) = std::mem::take(&mut self.coordinators[who].role) else { return };
        self.say(|| format!("coordinator {who} steps down from epoch {}: {why}", leader.epoch));
        self.oracle.sometimes("leader steps down");
        for (_, connection) in leader.sessions.into_values() {
            self.close_down(connection);
        }
        for (client, number) in leader.waiting.into_values() {
            self.reply(client, number, Answer::Unknown);
        }
        let in_flight = leader.in_flight.map(|flight| flight.outbox.answers).unwrap_or_default();
        for (client, number, _) in leader.group.outbox.answers.into_iter().chain(in_flight) {
            self.reply(client, number, Answer::Unknown);
        }
        let number = self.coordinators[who].asked + 1;
        self.coordinators[who].asked = number;
        let life = self.coordinators[who].life;
        let delay = self.delay();
        self.after(delay, Event::Ask { who, life, number, ask: Ask::Resign(leader.epoch), heard: false });
        self.campaign_after(who, PAUSE);
    }

    /// The store did not answer in time.
    fn store_is_silent(&mut self, who: usize, number: u64) {
        match &self.coordinators[who].role {
            Role::Campaigning(asked, _) | Role::Loading(asked, ..) if *asked == number => {
                self.coordinators[who].role = Role::Waiting;
                self.campaign_after(who, PAUSE);
            }
            Role::Leading(leader)
                if leader.in_flight.as_ref().is_some_and(|flight| flight.number == number) =>
            {
                self.oracle.sometimes("commit in doubt");
                self.step_down(who, "a commit is in doubt");
            }
            Role::Waiting | Role::Campaigning(..) | Role::Loading(..) | Role::Leading(_) => {}
        }
    }

    pub(crate) fn store_says(&mut self, who: usize, number: u64, say: Say) {
        match (say, &mut self.coordinators[who].role) {
            (Say::Elected(won), Role::Campaigning(asked, asked_at)) if *asked == number => {
                if let Some(epoch) = won {
                    let asked_at = *asked_at;
                    let number = self.ask(who, Ask::Load);
                    self.coordinators[who].role = Role::Loading(number, epoch, asked_at);
                } else {
                    self.coordinators[who].role = Role::Waiting;
                    self.campaign_after(who, POLL);
                }
            }
            (Say::Loaded(state), Role::Loading(asked, epoch, asked_at)) if *asked == number => {
                let (epoch, asked_at) = (*epoch, *asked_at);
                if state.revision() < self.store.begun && state.leading() != Some(epoch) {
                    // The page is older than this leadership: a store that shows it cannot be loaded from yet.
                    self.oracle.sometimes("stale load refused");
                    self.coordinators[who].role = Role::Waiting;
                    self.campaign_after(who, PAUSE);
                    return;
                }
                self.lead(who, epoch, asked_at, &state);
            }
            (Say::Kept(true), Role::Leading(leader))
                if leader.renewing.is_some_and(|(asked, _)| asked == number) =>
            {
                if let Some((_, asked_at)) = leader.renewing.take() {
                    leader.valid_until = leader.valid_until.max(asked_at + LEASE.mul_f64(0.7));
                    self.watch_lease(who);
                }
            }
            (Say::Kept(false), Role::Leading(leader))
                if leader.renewing.is_some_and(|(asked, _)| asked == number) =>
            {
                self.step_down(who, "its lease was lost");
            }
            (Say::Committed, Role::Leading(leader))
                if leader.in_flight.as_ref().is_some_and(|flight| flight.number == number) =>
            {
                self.part_is_durable(who);
            }
            (Say::Fenced | Say::Full, Role::Leading(leader))
                if leader.in_flight.as_ref().is_some_and(|flight| flight.number == number) =>
            {
                self.step_down(who, "its commit was refused");
            }
            _ => {}
        }
    }

    fn lead(&mut self, who: usize, epoch: Epoch, asked_at: BootTime, state: &records::Records) {
        let now = self.clocks.coordinators[who].now(self.now);
        let config = self.settings.config.clone();
        let entries = records::all(state);
        let cluster = records::restore(entries, config, now, epoch);
        let valid_until =
            if self.settings.embedded { BootTime(u64::MAX / 2) } else { asked_at + LEASE.mul_f64(0.7) };
        // One that stood still since it asked loads what was true then, and finds its lease over.
        self.load_again(state, &cluster, now, epoch);
        if self.settings.embedded || (now.boot < valid_until && self.store.state.leading() == Some(epoch)) {
            self.oracle.restored(&cluster);
        }
        self.say(|| format!("coordinator {who} leads in epoch {epoch}"));
        self.oracle.sometimes("leader elected");
        let revisions = cluster.jobs_oldest_first(None).map(|job| (job.id, job.revision));
        let changes = Changes::new(cluster.revision(), revisions, self.settings.deletions_kept);
        self.coordinators[who].role = Role::Leading(Box::new(Leader {
            epoch,
            cluster,
            valid_until,
            renewing: None,
            sessions: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_token: 0,
            group: Group::default(),
            in_flight: None,
            tick_at: None,
            steps: 0,
            changes,
        }));
        if !self.settings.embedded {
            self.watch_lease(who);
            let life = self.coordinators[who].life;
            let wait = self.clocks.coordinators[who].stretch(LEASE / 4);
            self.after(wait, Event::Coordinator(who, life, CoordinatorTimer::Renew(epoch)));
        }
        let jitter = self.chance.coordinator.next();
        self.step(who, Step::Tick { jitter });
    }

    /// The jobs the leader knows, for whoever looks from outside.
    pub(crate) fn leading_cluster(&self) -> Option<&Cluster> {
        self.coordinators.iter().filter_map(Coordinator::leader).map(|leader| &leader.cluster).next()
    }
}
