//! A step of the real cluster, and how its effects leave: when their group is durable, and not before.

use std::collections::VecDeque;

use dockmgr_core::cluster::{Command, Effects, Event as Step, Send, Token};
use dockmgr_core::mutants::{self, Mutant};
use dockmgr_core::time::BootTime;

use super::{CoordinatorTimer, InFlight, Outbox, SAFETY_TICK};
use crate::client::{Answer, Seen};
use crate::net::Down;
use crate::records;
use crate::store::Ask;
use crate::watcher::News;
use crate::world::{Asked, Event, World};

impl World {
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

    pub(super) fn collect(&mut self, who: usize, effects: Effects) {
        for note in &effects.notes {
            let about =
                note.attempt.map(|attempt| attempt.to_string()).or(note.job.map(|job| job.to_string()));
            let about = about.unwrap_or_default();
            self.say(|| format!("coordinator {who}: {} {about} {}", note.kind.as_str(), note.message));
        }
        for send in &effects.sends {
            self.say(|| format!("coordinator {who} will send {}", in_short(&send.command)));
        }
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        let cut = effects.hang_ups.iter().filter_map(|node| leader.sessions.remove(node));
        for (_, connection) in cut.collect::<Vec<_>>() {
            self.oracle.sometimes("worker given up hung up on");
            self.close_down(connection);
        }
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        leader.group.dirty.extend(effects.dirty);
        let revisions =
            effects.changed.iter().filter_map(|id| Some((*id, leader.cluster.job(*id)?.revision)));
        leader.group.outbox.changed.extend(revisions);
        let revision = leader.cluster.revision();
        leader.group.outbox.deleted.extend(effects.deleted.iter().map(|id| (*id, revision)));
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
        self.release(who, Outbox { sends: at_once, ..Outbox::default() });
        self.arm_tick(who, wake);
    }

    pub(super) fn arm_tick(&mut self, who: usize, wake: Option<BootTime>) {
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
    pub(super) fn pump(&mut self, who: usize) {
        let most = self.settings.max_ops;
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        if leader.in_flight.is_some() {
            return;
        }
        let mut group = std::mem::take(&mut leader.group);
        if group.dirty.is_empty() {
            // Nothing is written, so nothing tells it that the store has ended its lease before the time.
            if self.weather.leases_broken && self.store.state.leading() != Some(leader.epoch) {
                self.oracle.sometimes("answer of an old leader whose lease ended early");
                for (_, _, answer) in &mut group.outbox.answers {
                    *answer = Answer::Unknown;
                }
            }
            self.release(who, group.outbox);
            return;
        }
        let writes: Vec<_> =
            records::in_order(&group.dirty).map(|record| records::write(&leader.cluster, record)).collect();
        let mut outbox = group.outbox;
        if mutants::active(Mutant::AnswerBeforeCommit) {
            let early = std::mem::take(&mut outbox.answers);
            self.release(who, Outbox { answers: early, ..Outbox::default() });
        }
        let parts: VecDeque<_> = writes.chunks(most).map(<[_]>::to_vec).collect();
        if parts.len() > 1 {
            self.oracle.sometimes("group of several transactions");
        }
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        leader.in_flight = Some(InFlight { number: 0, parts, outbox });
        self.send_part(who);
    }

    pub(super) fn send_part(&mut self, who: usize) {
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

    pub(super) fn part_is_durable(&mut self, who: usize) {
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        if leader.in_flight.as_ref().is_some_and(|flight| !flight.parts.is_empty()) {
            return self.send_part(who);
        }
        if let Some(flight) = leader.in_flight.take() {
            self.release(who, flight.outbox);
        }
        self.pump(who);
    }

    pub(super) fn release(&mut self, who: usize, outbox: Outbox) {
        if !self.leads(who) {
            // It stood still: its last commit is durable and its lease long over.
            for (client, number, _) in outbox.answers {
                self.reply(client, number, Answer::Unknown);
            }
            return;
        }
        for send in outbox.sends {
            let Some(leader) = self.coordinators[who].leader() else { return };
            if !leader.cluster.is_current(&send) {
                self.oracle.sometimes("command of an older session dropped");
                continue;
            }
            let session = leader.sessions.get(&send.node).filter(|(current, _)| *current == send.incarnation);
            if let Some((_, connection)) = session.copied() {
                let command = Down::Command(leader.epoch, Box::new(send.command));
                self.send_down(connection, command);
            }
        }
        for (client, number, answer) in outbox.answers {
            self.reply(client, number, answer);
        }
        if let Some(leader) = self.coordinators[who].leader_mut() {
            leader.changes.publish(&outbox.changed, &outbox.deleted);
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
            Asked::Look(_) | Asked::Watch(_) => {
                let Some(leader) = self.coordinators[to].leader_mut() else { return };
                let answer = match request {
                    Asked::Watch(at) => Answer::News(News::after(at, &leader.cluster, &leader.changes)),
                    Asked::Look(job) => Answer::Seen(leader.cluster.job(job).map(Seen::of)),
                    Asked::Change(_) => Answer::NotDone,
                };
                leader.group.outbox.answers.push((client, number, answer));
                self.pump(to);
            }
        }
    }

    pub(super) fn reply(&mut self, client: usize, number: u64, answer: Answer) {
        if self.net.lose_clients > 0 && self.chance.net.chance(300) {
            return;
        }
        let delay = self.delay();
        self.after(delay, Event::Reply { client, number, answer });
    }
}

/// A command in a few words.
fn in_short(command: &Command) -> String {
    match command {
        Command::Start(start) => format!("start of {}", start.attempt),
        Command::Stop { attempt, cause, .. } => format!("stop of {attempt} ({cause:?})"),
        Command::Forget { attempt } => format!("forget {attempt}"),
        Command::Acknowledge { attempt, sequence } => format!("acknowledgement {sequence} of {attempt}"),
        Command::Signal { attempt, .. } => format!("signal to {attempt}"),
        Command::Welcome => "welcome".to_owned(),
    }
}
