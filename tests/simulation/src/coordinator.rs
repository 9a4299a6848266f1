//! A coordinator: the real `Cluster`, and a shell that keeps the order of the real one.
//!
//! ```text
//! Waiting --campaign won--> Loading --records read--> Leading --lease over, fenced, in doubt--> Waiting
//! ```
//! Group commit: effects of an event leave when its group is durable, later events are stepped meanwhile. A commit that is
//! in doubt ends leadership; everything is loaded anew by whoever leads next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dockmgr_core::cluster::{
    Cluster, Command, Effects, Event as Step, Hello, NoteKind, Record, Send, Token, WorkerNews,
};
use dockmgr_core::ids::{Epoch, Incarnation, NodeId};
use dockmgr_core::mutants::{self, Mutant};
use dockmgr_core::time::BootTime;

use crate::client::{Answer, Seen};
use crate::clock::Instant;
use crate::net::{Down, Up};
use crate::records;
use crate::store::{Ask, LEASE, Say};
use crate::world::{Asked, Event, World};

/// A commit or a read that is not answered in this time is in doubt.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to lead.
const POLL: Duration = Duration::from_millis(250);
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
        if alone && self.coordinators[who].life != life {
            // The store lives in the process: what it had not done is not done.
            return;
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
        if self.settings.embedded || (now.boot < valid_until && self.store.state.leading() == Some(epoch)) {
            self.oracle.restored(&cluster);
        }
        self.say(|| format!("coordinator {who} leads in epoch {epoch}"));
        self.oracle.sometimes("leader elected");
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

    /// One step of the real cluster.
    pub(crate) fn step(&mut self, who: usize, event: Step) {
        let now = self.clocks.coordinators[who].now(self.now);
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        let effects = leader.cluster.step(now, event);
        leader.steps += 1;
        self.oracle.stepped(leader.epoch, &leader.cluster, &effects, leader.steps);
        self.collect(who, effects);
        self.pump(who);
    }

    fn collect(&mut self, who: usize, effects: Effects) {
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        let cut = effects.hang_ups.iter().filter_map(|node| leader.sessions.remove(node));
        for (_, connection) in cut.collect::<Vec<_>>() {
            self.oracle.sometimes("worker given up hung up on");
            self.close_down(connection);
        }
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        leader.group.dirty.extend(effects.dirty);
        let hasty = mutants::active(Mutant::AcknowledgeBeforeCommit);
        let (at_once, later): (Vec<Send>, Vec<Send>) = effects
            .sends
            .into_iter()
            .partition(|send| hasty && matches!(send.command, Command::Acknowledge { .. }));
        leader.group.outbox.sends.extend(later);
        for (token, answer) in effects.answers {
            if let Some((client, number)) = leader.waiting.remove(&token) {
                leader.group.outbox.answers.push((client, number, Answer::Done(answer)));
            }
        }
        let wake = effects.wake_at;
        self.release(who, Outbox { sends: at_once, answers: Vec::new() });
        self.arm_tick(who, wake);
    }

    fn arm_tick(&mut self, who: usize, wake: Option<BootTime>) {
        let clock = &self.clocks.coordinators[who];
        let safety = self.now.after(clock.stretch(SAFETY_TICK));
        let at = wake.map_or(safety, |wake| clock.when(wake).min(safety)).max(self.now);
        let life = self.coordinators[who].life;
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        if leader.tick_at.is_none_or(|earlier| at < earlier) {
            leader.tick_at = Some(at);
            let epoch = leader.epoch;
            self.push(at, Event::Coordinator(who, life, CoordinatorTimer::Tick(epoch)));
        }
    }

    /// Starts to store the open group if nothing is in flight.
    fn pump(&mut self, who: usize) {
        let most = self.settings.max_ops;
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        if leader.in_flight.is_some() {
            return;
        }
        let group = std::mem::take(&mut leader.group);
        if group.dirty.is_empty() {
            self.release(who, group.outbox);
            return;
        }
        let writes: Vec<_> =
            records::in_order(&group.dirty).map(|record| records::write(&leader.cluster, record)).collect();
        let mut outbox = group.outbox;
        if mutants::active(Mutant::AnswerBeforeCommit) {
            let early = std::mem::take(&mut outbox.answers);
            self.release(who, Outbox { sends: Vec::new(), answers: early });
        }
        let parts: VecDeque<_> = writes.chunks(most).map(<[_]>::to_vec).collect();
        if parts.len() > 1 {
            self.oracle.sometimes("group of several transactions");
        }
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        leader.in_flight = Some(InFlight { number: 0, parts, outbox });
        self.send_part(who);
    }

    fn send_part(&mut self, who: usize) {
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        let epoch = leader.epoch;
        let Some(part) = leader.in_flight.as_mut().and_then(|flight| flight.parts.pop_front()) else {
            return;
        };
        let number = self.ask(who, Ask::Commit(epoch, part));
        if let Some(flight) = self.coordinators[who].leader_mut().and_then(|leader| leader.in_flight.as_mut())
        {
            flight.number = number;
        }
    }

    fn part_is_durable(&mut self, who: usize) {
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        if leader.in_flight.as_ref().is_some_and(|flight| !flight.parts.is_empty()) {
            return self.send_part(who);
        }
        if let Some(flight) = leader.in_flight.take() {
            self.release(who, flight.outbox);
        }
        self.pump(who);
    }

    fn release(&mut self, who: usize, outbox: Outbox) {
        if !self.leads(who) {
            // It stood still: its last commit is durable and its lease long over.
            for (client, number, _) in outbox.answers {
                self.reply(client, number, Answer::Unknown);
            }
            return;
        }
        for send in outbox.sends {
            let Some(leader) = self.coordinators[who].leader() else { return };
            let session = leader.sessions.get(&send.node).filter(|(current, _)| *current == send.incarnation);
            if let Some((_, connection)) = session.copied() {
                let command = Down::Command(leader.epoch, Box::new(send.command));
                self.send_down(connection, command);
            }
        }
        for (client, number, answer) in outbox.answers {
            self.reply(client, number, answer);
        }
    }

    /// A client's request reaches a coordinator.
    pub(crate) fn request_arrives(
        &mut self,
        client: usize,
        number: u64,
        to: usize,
        request: Asked,
        hops: u8,
    ) {
        if !self.coordinators[to].alive {
            return;
        }
        if !self.leads(to) {
            let leader = self.store.leader.filter(|leader| *leader != to && hops == 0);
            let Some(leader) = leader else { return self.reply(client, number, Answer::NotDone) };
            self.oracle.sometimes("request forwarded");
            let delay = self.delay();
            return self.after(delay, Event::Request { client, number, to: leader, request, hops: 1 });
        }
        match request {
            Asked::Change(request) => {
                let Some(leader) = self.coordinators[to].leader_mut() else { return };
                let token = Token(leader.next_token);
                leader.next_token += 1;
                leader.waiting.insert(token, (client, number));
                self.step(to, Step::Request(token, request));
            }
            Asked::Look(job) => {
                let Some(leader) = self.coordinators[to].leader_mut() else { return };
                if self.weather.leases_broken && self.store.state.leading() != Some(leader.epoch) {
                    self.oracle.sometimes("read at an old leader whose lease ended early");
                    return self.reply(client, number, Answer::Unknown);
                }
                let seen = leader.cluster.job(job).map(Seen::of);
                leader.group.outbox.answers.push((client, number, Answer::Seen(seen)));
                self.pump(to);
            }
        }
    }

    fn reply(&mut self, client: usize, number: u64, answer: Answer) {
        if self.net.lose_clients > 0 && self.chance.net.chance(300) {
            return;
        }
        let delay = self.delay();
        self.after(delay, Event::Reply { client, number, answer });
    }

    /// A worker's message reaches a coordinator.
    pub(crate) fn up_arrives(&mut self, connection: usize, up: Up) {
        let one = &self.net.connections[connection];
        let (who, life, worker) = (one.coordinator, one.coordinator_life, one.worker);
        let alive = self.coordinators[who].alive && self.coordinators[who].life == life;
        if !alive || !one.coordinator_open {
            // Nobody is there any more: the connection is reset.
            if one.worker_open && !matches!(up, Up::Fin) {
                self.send_down(connection, Down::Fin);
            }
            return;
        }
        let node = self.workers[worker].node;
        if !self.leads(who) {
            let answer = if matches!(up, Up::Hello(_)) { Down::NotLeader } else { Down::Fin };
            self.send_down(connection, answer);
            return self.close_down(connection);
        }
        self.heard_on(connection);
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        let epoch = leader.epoch;
        let current = leader.sessions.get(&node).copied().filter(|(_, current)| *current == connection);
        match (up, current) {
            (Up::Hello(hello), _) => {
                let incarnation =
                    self.workers[worker].incarnation_of(self.net.connections[connection].worker_life);
                let line =
                    format!("coordinator {who} hears hello of worker {worker} (connection {connection})");
                let older = leader.sessions.insert(node, (incarnation, connection));
                if let Some((_, older)) = older.filter(|(_, older)| *older != connection) {
                    self.oracle.sometimes("session replaced");
                    self.close_down(older);
                }
                self.say(|| line);
                self.session_silence(who, connection);
                let again = hello.clone();
                self.step(who, Step::Worker { node, incarnation, news: WorkerNews::Hello(hello) });
                self.hear_again(who, node, incarnation, again);
            }
            (Up::Output(attempt, piece), _) => {
                let ack = self.logs.entry(attempt).or_default().take(&piece);
                self.send_down(connection, Down::OutputAck(attempt, ack));
            }
            (_, None) => {}
            (Up::Heartbeat { sequence, status }, Some((incarnation, _))) => {
                self.send_down(connection, Down::HeartbeatAck(epoch, sequence));
                let news =
                    WorkerNews::Heartbeat { status, images_added: Vec::new(), images_removed: Vec::new() };
                self.step(who, Step::Worker { node, incarnation, news });
            }
            (Up::Report(report), Some((incarnation, _))) => {
                self.step(who, Step::Worker { node, incarnation, news: WorkerNews::Report(*report) });
            }
            (Up::Fin, Some((incarnation, _))) => {
                leader.sessions.remove(&node);
                self.close_down(connection);
                self.step(who, Step::Worker { node, incarnation, news: WorkerNews::Disconnected });
            }
        }
    }

    /// The same Hello once more must change no record of a job (I19).
    fn hear_again(&mut self, who: usize, node: NodeId, incarnation: Incarnation, hello: Box<Hello>) {
        let epoch = self.coordinators[who].leader().map(|leader| leader.epoch);
        // One that was replaced and does not know may meet attempts of its successor.
        if !self.chance.coordinator.chance(100) || epoch != self.store.state.leading() {
            return;
        }
        let now = self.clocks.coordinators[who].now(self.now);
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        let before = records::jobs(&leader.cluster);
        let event = Step::Worker { node, incarnation, news: WorkerNews::Hello(hello) };
        let effects = leader.cluster.step(now, event);
        let after = records::jobs(&leader.cluster);
        // Whatever happens, what waits for a place may get one.
        let placed = effects.notes.iter().any(|note| note.kind == NoteKind::AttemptPlaced);
        let changed = before.iter().zip(&after).find(|(before, after)| before != after);
        if let Some((before, after)) = changed.filter(|_| !placed) {
            let words = format!("the same hello of node {node} twice changed {before} to {after}");
            self.oracle.violate("I19", words);
        }
        self.collect(who, effects);
        self.pump(who);
    }

    fn heard_on(&mut self, connection: usize) {
        self.weather.heard.insert(connection, self.now);
    }

    /// Closes a session on which nothing was heard for too long.
    fn session_silence(&mut self, who: usize, connection: usize) {
        if !self.net.connections[connection].coordinator_open {
            return;
        }
        let heard = self.weather.heard.get(&connection).copied().unwrap_or_default();
        let patience = self.clocks.coordinators[who].stretch(SILENCE);
        if self.now.since(heard) < patience {
            let (at, life) = (heard.after(patience), self.coordinators[who].life);
            return self.push(at, Event::Coordinator(who, life, CoordinatorTimer::Silence(connection)));
        }
        self.oracle.sometimes("silent session closed");
        self.close_down(connection);
        let node = self.workers[self.net.connections[connection].worker].node;
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        if let Some((incarnation, current)) = leader.sessions.get(&node).copied()
            && current == connection
        {
            leader.sessions.remove(&node);
            if self.leads(who) {
                self.step(who, Step::Worker { node, incarnation, news: WorkerNews::Disconnected });
            }
        }
    }

    /// Sends a message to a worker.
    pub(crate) fn send_down(&mut self, connection: usize, down: Down) {
        let delay = self.delay();
        let one = &mut self.net.connections[connection];
        if self.net.cut_down[one.worker][one.coordinator] > 0 {
            one.held_down.push(down);
            return;
        }
        let at = self.now.after(delay).max(one.last_down);
        one.last_down = at;
        self.push(at, Event::Down(connection, down));
    }

    /// Closes the coordinator's end and tells the other.
    pub(crate) fn close_down(&mut self, connection: usize) {
        if std::mem::replace(&mut self.net.connections[connection].coordinator_open, false) {
            self.send_down(connection, Down::Fin);
        }
    }

    /// The jobs the leader knows, for whoever looks from outside.
    pub(crate) fn leading_cluster(&self) -> Option<&Cluster> {
        self.coordinators.iter().filter_map(Coordinator::leader).map(|leader| &leader.cluster).next()
    }
}
