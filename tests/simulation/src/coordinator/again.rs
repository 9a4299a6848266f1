//! Doing it again must change nothing (I19): a Hello, a tick, loading what was loaded.

use std::collections::BTreeMap;

use dockmgr_core::cluster::{Cluster, Event as Step, Hello, NoteKind, Record, WorkerNews};
use dockmgr_core::ids::{Epoch, Incarnation, NodeId};
use dockmgr_core::time::Now;

use crate::records;
use crate::world::World;

impl World {
    /// What a loaded cluster would store, loaded, must be the same cluster: what loading mends stays mended (I19).
    pub(super) fn load_again(&mut self, state: &records::Records, cluster: &Cluster, now: Now, epoch: Epoch) {
        if !self.chance.coordinator.chance(200) {
            return;
        }
        let config = &self.settings.config;
        let mut mended = records::restore(records::all(state), config.clone(), now, epoch);
        let effects = mended.step(now, Step::Tick { jitter: 0 });
        let mut entries: BTreeMap<Record, records::Value> =
            records::all(state).map(|(record, value)| (record.clone(), value.clone())).collect();
        for record in &effects.dirty {
            match records::write(&mended, record) {
                (record, Some(value)) => drop(entries.insert(record, value)),
                (record, None) => drop(entries.remove(&record)),
            }
        }
        let again = records::restore(entries.iter(), config.clone(), now, epoch);
        let (first, second) = (records::jobs(&mended), records::jobs(&again));
        if let Some((first, second)) = first.iter().zip(&second).find(|(first, second)| first != second) {
            self.oracle.violate("I19", format!("{first} loaded again is {second}"));
        } else if first.len() != second.len() || cluster.next_job_id() != again.next_job_id() {
            self.oracle.violate("I19", "loaded again there are other jobs".to_owned());
        } else {
            self.oracle.sometimes("loaded again it is the same");
        }
    }

    /// The same Hello once more must change no record of a job (I19).
    pub(super) fn hear_again(
        &mut self,
        who: usize,
        node: NodeId,
        incarnation: Incarnation,
        hello: Box<Hello>,
    ) {
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

    /// Another look at the same moment must find nothing to do (I19).
    pub(super) fn tick_again(&mut self, who: usize) {
        if !self.chance.coordinator.chance(100) {
            return;
        }
        let now = self.clocks.coordinators[who].now(self.now);
        let (jitter, here) = (self.chance.coordinator.next(), self.now);
        let Some(leader) = self.coordinators[who].leader_mut() else { return };
        if leader.tick_at.is_some_and(|at| at <= here) {
            // It said itself that there is more to do.
            return;
        }
        let effects = leader.cluster.step(now, Step::Tick { jitter });
        if effects.dirty.is_empty() && effects.sends.is_empty() && effects.answers.is_empty() {
            self.oracle.sometimes("second tick changed nothing");
        } else {
            let words = format!("a second tick at the same time changed {:?}", effects.dirty);
            self.oracle.violate("I19", words);
        }
        self.collect(who, effects);
        self.pump(who);
    }
}
