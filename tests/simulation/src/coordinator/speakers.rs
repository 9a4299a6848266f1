//! What workers say to a leader, and what it says to them.

use dockmgr_core::cluster::{Event as Step, WorkerNews};

use super::{CoordinatorTimer, SILENCE};
use crate::net::{Down, Up};
use crate::world::{Event, World};

impl World {
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

    pub(super) fn heard_on(&mut self, connection: usize) {
        self.weather.heard.insert(connection, self.now);
    }

    /// Closes a session on which nothing was heard for too long.
    pub(super) fn session_silence(&mut self, who: usize, connection: usize) {
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
}
