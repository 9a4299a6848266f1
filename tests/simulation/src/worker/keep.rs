//! What a worker does beside its attempts: contact and fence, output, sweep, health. And its guard.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockmgr_core::agent::{Contact, Fence, Guarded, Phase, guard_kills};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::mutants::{self, Mutant};
use dockmgr_core::time::BootTime;
use dockmgr_model::docker::{Id, Status};

use super::steps::Asked;
use super::{Waiting, WorkerTimer, identity};
use crate::host::{Call, Said};
use crate::net::Up;
use crate::oracle::Cause;
use crate::world::{Event, World};

/// Between two sweeps.
const SWEEP: u64 = 60_000;
/// Between the two looks at one container.
const SECOND_LOOK: u64 = 5_000;
/// Between two looks at the daemon.
const PROBE: u64 = 5_000;
/// Between two sendings of output.
const UPLOAD: u64 = 2_000;
/// Between two looks at the fence.
const FENCE: u64 = 500;

impl World {
    pub(super) fn set_fence(&mut self, who: usize, fence_after: Duration) {
        let last = self.workers[who].memory.contact.and_then(|contact| contact.last);
        self.store_contact(who, Contact { last, fence_after });
    }

    /// A sign of life that was sent then was acknowledged.
    pub(super) fn heard_at(&mut self, who: usize, sent: BootTime) {
        let Some(contact) = self.workers[who].memory.contact else { return };
        let boot = self.boot(who);
        self.say(|| format!("worker {who} has contact of {:?} ago", boot.since(sent)));
        self.store_contact(who, Contact { last: contact.last.max(Some(sent)), ..contact });
    }

    fn store_contact(&mut self, who: usize, contact: Contact) {
        let boots = self.hosts[who].boots;
        let worker = &mut self.workers[who];
        worker.memory.contact = Some(contact);
        worker.disk.contact = Some((boots, contact));
    }

    /// Wakes the drivers when contact is lost or back.
    pub(super) fn look_at_fence(&mut self, who: usize) {
        let boot = self.boot(who);
        let memory = &mut self.workers[who].memory;
        let contact = memory.contact;
        let fenced = contact.is_some_and(|contact| contact.fence(boot) != Fence::Free);
        if std::mem::replace(&mut memory.was_fenced, fenced) != fenced {
            let attempts: Vec<AttemptId> = memory.drivers.keys().copied().collect();
            if fenced && !attempts.is_empty() {
                self.oracle.sometimes("worker fenced");
            }
            for attempt in attempts {
                self.go_on(who, attempt);
            }
        }
        let free_until = contact.map_or(BootTime(0), Contact::deadline);
        let wait = self.look_again(who, free_until);
        let life = self.workers[who].life;
        self.after(wait, Event::Worker(who, life, WorkerTimer::Fence));
    }

    /// How long nothing can happen to a fence: contact only moves it away.
    fn look_again(&self, who: usize, until: BootTime) -> Duration {
        let at = self.clocks.workers[who].when(until);
        at.since(self.now).clamp(Duration::from_millis(FENCE), Duration::from_secs(5))
    }

    /// The guard looks: what must not live any more is killed without the daemon.
    pub(crate) fn guard_looks(&mut self, host: usize) {
        let due = self.workers[host].disk.contact.map_or(BootTime(0), |(_, contact)| contact.deadline());
        let wait = self.look_again(host, due).max(self.hosts[host].still_until.since(self.now));
        self.after(wait, Event::Guard(host));
        if !self.hosts[host].powered
            || self.hosts[host].still_until > self.now
            || mutants::active(Mutant::NoGuard)
        {
            return;
        }
        let now = self.clocks.workers[host].at(self.now);
        let disk = &self.workers[host].disk;
        let Some((boot, contact)) = disk.contact else { return };
        let contact = Contact { last: contact.last.filter(|_| boot == self.hosts[host].boots), ..contact };
        if contact.fence(now) == Fence::Free || self.hosts[host].is_idle() {
            return;
        }
        let records: BTreeMap<AttemptId, Guarded> = disk
            .journal
            .iter()
            .filter(|(_, entry)| matches!(entry.phase, Phase::StartIntent | Phase::Started))
            .filter_map(|(attempt, entry)| {
                let on_lost = entry.start.spec.on_lost;
                Some((*attempt, Guarded { container: entry.container?.to_string(), on_lost }))
            })
            .collect();
        let kills = guard_kills(&records, contact, now);
        let due: Vec<(Id, AttemptId)> = self
            .our_containers(host)
            .into_iter()
            .filter(|(_, attempt, status)| *status == Status::Running && kills.contains(attempt))
            .map(|(id, attempt, _)| (id, attempt))
            .collect();
        let orphans = self.hosts[host].orphans.iter().filter(|(_, attempt)| kills.contains(attempt));
        for id in orphans.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end_orphan(host, id, Cause::Guard);
        }
        for (id, attempt) in due {
            self.oracle.sometimes("guard killed");
            self.say(|| format!("guard of host {host} kills {attempt}"));
            self.guarded(host, attempt);
            self.kill_by_guard(host, id);
        }
    }

    /// The guard says what it did, for the worker to read.
    fn guarded(&mut self, host: usize, attempt: AttemptId) {
        if let Some(driver) = self.workers[host].memory.drivers.get_mut(&attempt) {
            driver.seen.stopping.by_guard = true;
        }
        self.workers[host].disk.guarded.insert(attempt);
    }

    /// Sends what of the output the leader does not have.
    pub(super) fn upload(&mut self, who: usize) {
        self.worker_after(who, UPLOAD, WorkerTimer::Upload);
        let worker = &self.workers[who];
        let capturing: Vec<AttemptId> = worker
            .memory
            .drivers
            .iter()
            .filter(|(_, driver)| {
                driver.entry.phase == Phase::Started
                    && driver.seen.capture == dockmgr_core::agent::Capture::Open
                    && driver.doing == super::driver::Doing::Wait
            })
            .map(|(attempt, _)| *attempt)
            .collect();
        for attempt in capturing {
            self.read_output(who, attempt, Asked::Follow);
        }
        let worker = &self.workers[who];
        let Some(session) = worker.memory.session.as_ref().filter(|session| session.welcomed) else { return };
        let connection = session.connection;
        let pieces: Vec<_> = worker
            .disk
            .spool
            .iter()
            .filter(|(attempt, spool)| {
                let known = worker.memory.drivers.get(attempt);
                spool.is_behind() && known.is_none_or(|driver| !driver.seen.log_end_durable)
            })
            .map(|(attempt, spool)| (*attempt, spool.next_piece()))
            .collect();
        for (attempt, piece) in pieces {
            self.send_up(connection, Up::Output(attempt, Box::new(piece)));
        }
    }

    pub(super) fn probe(&mut self, who: usize) {
        self.call_daemon(who, Waiting::Probe, Call::Info);
        self.worker_after(who, PROBE, WorkerTimer::Probe);
    }

    pub(super) fn probed(&mut self, who: usize, said: Option<&Said>) {
        let memory = &mut self.workers[who].memory;
        if let Some(Said::Info { live_restore }) = said {
            memory.live_restore = *live_restore;
            memory.trouble = false;
        } else {
            memory.trouble = true;
        }
    }

    pub(super) fn sweep(&mut self, who: usize) {
        self.worker_after(who, SWEEP, WorkerTimer::Sweep);
        let worker = &mut self.workers[who];
        let known: BTreeSet<AttemptId> = worker.memory.drivers.keys().copied().collect();
        worker.disk.spool.retain(|attempt, _| known.contains(attempt));
        worker.disk.guarded.retain(|attempt| known.contains(attempt));
        self.call_daemon(who, Waiting::Sweep, Call::List);
    }

    /// Containers that no attempt knows.
    fn strays(&self, who: usize, listed: &[(Id, BTreeMap<String, String>)]) -> Vec<Id> {
        let known = &self.workers[who].memory.drivers;
        let is_known =
            |labels| identity(who).attempt_of(labels).is_some_and(|attempt| known.contains_key(&attempt));
        let hasty = mutants::active(Mutant::SweepWithoutSecondLook);
        listed.iter().filter(|(_, labels)| hasty || !is_known(labels)).map(|(id, _)| *id).collect()
    }

    pub(super) fn swept(&mut self, who: usize, said: Option<Said>) {
        let Some(Said::Listed(listed)) = said else { return };
        let first = self.strays(who, &listed);
        if !first.is_empty() {
            self.worker_after(who, SECOND_LOOK, WorkerTimer::SecondLook(first));
        }
    }

    pub(super) fn second_look(&mut self, who: usize, first: Vec<Id>) {
        self.call_daemon(who, Waiting::SecondLook(first), Call::List);
    }

    pub(super) fn looked_twice(&mut self, who: usize, first: &[Id], said: Option<Said>) {
        let Some(Said::Listed(listed)) = said else { return };
        for id in self.strays(who, &listed).into_iter().filter(|id| first.contains(id)) {
            self.call_daemon(who, Waiting::LastLook(id), Call::Inspect(id.to_string()));
        }
    }

    pub(super) fn looked_last(&mut self, who: usize, id: Id, said: Option<Said>) {
        let Some(Said::State(Some((state, labels)))) = said else { return };
        let still = self.strays(who, &[(id, labels)]);
        if state.id == id && still.contains(&id) {
            self.oracle.sometimes("stray removed");
            self.call_daemon(who, Waiting::Removal, Call::Remove(id, true));
        }
    }
}
