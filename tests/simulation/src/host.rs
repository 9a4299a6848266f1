//! A host: its container daemon (the model's rules), and what real daemons do around them.
//!
//! Owns late effects, lost answers, restarts, boots, and the truth about every program that ran. The worker sees answers
//! only; the oracle sees the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use dockmgr_core::agent::ContainerIdentity;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::mutants::{self, Mutant};
use dockmgr_model::docker::{Daemon, Id, Refused, Spec, Started, State, Status};

use crate::clock::Instant;
use crate::oracle::{Cause, Oracle};
use crate::output::{Streams, slot};
use crate::worker::{WorkerTimer, identity};
use crate::world::{Event, World};

/// The one image of the world.
pub(crate) const IMAGE: &str = "debian:stable-slim";

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) daemon: Daemon,
    pub(crate) up: bool,
    /// Starts of the daemon.
    pub(crate) life: u64,
    pub(crate) live_restore: bool,
    /// Boots of the host.
    pub(crate) boots: u64,
    pub(crate) powered: bool,
    pub(crate) hung_until: Instant,
    /// The machine as a whole stands still until then.
    pub(crate) still_until: Instant,
    identity: ContainerIdentity,
    /// What runs, as the oracle knows it.
    pub(crate) running: BTreeMap<Id, AttemptId>,
    /// What runs although its daemon, killed while it started it, calls it created.
    pub(crate) orphans: BTreeMap<Id, AttemptId>,
    /// When the programs are looked at next.
    wake: Option<Instant>,
    /// A container that is not ours.
    pub(crate) foreign: Option<Id>,
}

/// Who waits for an answer: a worker's life and the number of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallId {
    pub(crate) worker_life: u64,
    pub(crate) number: u64,
}

/// A call of the daemon.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Info,
    Create(Box<Spec>),
    Inspect(String),
    Start(Id),
    Signal(Id, String),
    Remove(Id, bool),
    List,
    /// Reads what a container wrote, from these offsets on.
    Read(Id, [usize; 2]),
}

/// Its answer.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    Info {
        live_restore: bool,
    },
    Created(Result<Id, Refused>),
    State(Option<(State, BTreeMap<String, String>)>),
    Started(Result<Started, Refused>),
    Signalled(bool),
    Removed(Result<(), Refused>),
    Listed(Vec<(Id, BTreeMap<String, String>)>),
    /// The rest of the output, and whether the program may write more; `None` without such a container.
    Read(Option<(Streams, bool)>),
    /// No connection; nothing happened.
    Unreachable,
    /// The connection broke: it may have happened.
    Broken,
}

impl Host {
    pub(crate) fn new(at: usize, seed: u64) -> Self {
        let mut random = crate::random::Random::new(seed, 500 + at as u64);
        let mut host = Self {
            daemon: Daemon::new(1_700_000_000_000),
            up: true,
            life: 0,
            live_restore: random.chance(600),
            boots: 0,
            powered: true,
            hung_until: Instant::default(),
            still_until: Instant::default(),
            identity: identity(at),
            running: BTreeMap::new(),
            orphans: BTreeMap::new(),
            wake: None,
            foreign: None,
        };
        host.daemon.add_image(IMAGE);
        if random.chance(500) {
            let argv = ["sleep", "infinity"].map(str::to_owned).to_vec();
            let labels = BTreeMap::from([("dockmgr.cluster".to_owned(), "another".to_owned())]);
            let spec =
                Spec { name: "foreign".to_owned(), labels, image: IMAGE.to_owned(), argv, env: Vec::new() };
            host.foreign = host.daemon.create(spec).ok();
            if let Some(id) = host.foreign {
                host.daemon.start(id, Duration::ZERO).expect("it was just created");
            }
        }
        host
    }

    /// Whether nothing of ours runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.orphans.is_empty()
    }

    fn attempt_of(&self, id: Id) -> Option<AttemptId> {
        self.identity.attempt_of(&self.daemon.peek(id)?.spec().labels)
    }
}

impl World {
    /// Sends a call to a host's daemon.
    pub(crate) fn call(&mut self, host: usize, caller: CallId, call: Call) {
        let now = self.now;
        let one = &self.hosts[host];
        if !one.up {
            let delay = self.chance.host.millis(0, 1);
            return self.answer(host, caller, Said::Unreachable, delay);
        }
        let (life, hung) = (one.life, one.hung_until);
        let (late, lost) = self.weather_of_call(host);
        let mut delay = self.chance.host.millis(0, 4);
        if let Call::Start(_) | Call::Create(_) = &call {
            delay += self.chance.host.millis(0, 150);
        }
        delay += late;
        if hung > now {
            delay += hung.since(now);
        }
        self.after(delay, Event::Call { host, life, caller, call, answered: !lost });
    }

    /// A call reaches the daemon.
    pub(crate) fn call_arrives(
        &mut self,
        host: usize,
        life: u64,
        caller: CallId,
        call: Call,
        answered: bool,
    ) {
        let one = &self.hosts[host];
        if !one.up || one.life != life {
            self.perhaps_orphan(host, life, &call);
            return self.answer(host, caller, Said::Broken, Duration::ZERO);
        }
        if one.hung_until > self.now {
            let wait = one.hung_until.since(self.now);
            return self.after(wait, Event::Call { host, life, caller, call, answered });
        }
        let said = self.daemon_does(host, call);
        if answered {
            let delay = self.chance.host.millis(0, 3);
            self.answer(host, caller, said, delay);
        } else {
            self.oracle.sometimes("daemon's answer lost");
        }
    }

    /// A daemon that is killed while it starts a container may leave it running and not know.
    fn perhaps_orphan(&mut self, host: usize, life: u64, call: &Call) {
        let Call::Start(id) = call else { return };
        let one = &self.hosts[host];
        let created = one.daemon.peek(*id).is_some_and(dockmgr_model::docker::Container::is_created);
        let was_starting = one.powered && one.live_restore && one.life == life + 1 && created;
        if !was_starting || !self.chance.host.chance(300) {
            return;
        }
        let Some(attempt) = one.attempt_of(*id) else { return };
        self.oracle.sometimes("program its daemon forgot");
        self.oracle.start_requested(attempt);
        for other in 0..self.hosts.len() {
            self.look_at_all(other);
        }
        self.hosts[host].orphans.insert(*id, attempt);
        let policy = self.store.policy_of(attempt.job());
        self.oracle.program_begun(attempt, host, policy, self.settings.clocks_differ);
    }

    /// Ends what its daemon forgot.
    pub(crate) fn end_orphan(&mut self, host: usize, id: Id, cause: Cause) {
        if let Some(attempt) = self.hosts[host].orphans.remove(&id) {
            self.say(|| format!("what the daemon of host {host} forgot of {attempt} ends"));
            self.oracle.program_ended(attempt, None, cause);
        }
    }

    fn answer(&mut self, host: usize, caller: CallId, said: Said, delay: Duration) {
        let timer = WorkerTimer::Answered(caller.number, Box::new(said));
        self.after(delay, Event::Worker(host, caller.worker_life, timer));
    }

    fn daemon_does(&mut self, host: usize, call: Call) -> Said {
        let now = self.now.elapsed();
        let one = &mut self.hosts[host];
        match call {
            Call::Info => Said::Info { live_restore: one.live_restore },
            Call::Create(spec) => Said::Created(one.daemon.create(*spec)),
            Call::Inspect(name) => {
                let id = one.daemon.resolve(&name);
                let state = id.and_then(|id| one.daemon.inspect(id, now));
                let labels = id.and_then(|id| one.daemon.peek(id)).map(|c| c.spec().labels.clone());
                Said::State(state.zip(labels))
            }
            Call::Start(id) => {
                if let Some(attempt) = one.attempt_of(id) {
                    self.oracle.start_requested(attempt);
                }
                let started = self.hosts[host].daemon.start(id, now);
                if started == Ok(Started::Now) {
                    self.program_begins(host, id);
                }
                Said::Started(started)
            }
            Call::Signal(id, signal) => {
                let sent = one.daemon.signal(id, &signal, now).unwrap_or(false);
                self.look_at(host, id, Cause::Signal);
                Said::Signalled(sent)
            }
            Call::Remove(id, force) => Said::Removed(self.remove(host, id, force, Cause::Signal)),
            Call::List => {
                let labels = one.identity.labels();
                Said::Listed(
                    one.daemon.list(&labels, now).map(|(id, c)| (id, c.spec().labels.clone())).collect(),
                )
            }
            Call::Read(id, from) => {
                let Some(container) = one.daemon.get(id, now) else { return Said::Read(None) };
                let mut streams = Streams::default();
                for (stream, bytes) in container.output() {
                    streams[slot(*stream)].extend_from_slice(bytes);
                }
                if mutants::active(Mutant::RotatedLog) {
                    for bytes in &mut streams {
                        bytes.drain(..bytes.len().saturating_sub(100));
                    }
                }
                for at in 0..2 {
                    streams[at].drain(..from[at].min(streams[at].len()));
                }
                let more = container.is_running() || container.is_created();
                Said::Read(Some((streams, more)))
            }
        }
    }

    /// Removes a container and tells the oracle what went with it.
    fn remove(&mut self, host: usize, id: Id, force: bool, cause: Cause) -> Result<(), Refused> {
        let now = self.now.elapsed();
        self.look_at(host, id, Cause::Own);
        let one = &mut self.hosts[host];
        let (attempt, was_running) = (one.attempt_of(id), one.running.contains_key(&id));
        let runs = one.daemon.peek(id).map_or(0, dockmgr_model::docker::Container::runs);
        let output = one.daemon.peek(id).map(|container| container.output().to_vec()).unwrap_or_default();
        let there = one.daemon.peek(id).is_some();
        one.daemon.remove(id, force, now)?;
        if there {
            if was_running {
                one.running.remove(&id);
                if let Some(attempt) = attempt {
                    self.oracle.program_ended(attempt, None, cause);
                }
            }
            // Without force a container goes whose start was in doubt. Where both calls came late it may have run and
            // ended in between; that is told as an unknown start.
            let unknown_start = runs > 0 && !force && !Oracle::is_output_safe(attempt, &self.logs);
            if unknown_start {
                self.oracle.sometimes("ran and was removed as an unknown start");
            }
            let gone = attempt.filter(|_| runs > 0 && !unknown_start);
            let foreign = self.hosts[host].foreign == Some(id);
            let current = attempt.is_some_and(|attempt| self.is_current(attempt, host));
            self.oracle.container_removed(gone, foreign, cause, &output, &self.logs, current);
        }
        Ok(())
    }

    /// Whether the store says that an attempt holds its place and nobody asked for its end.
    fn is_current(&self, attempt: AttemptId, host: usize) -> bool {
        self.store
            .attempt(attempt)
            .is_some_and(|entry| entry.end.is_none() && entry.node == self.workers[host].node)
    }

    fn program_begins(&mut self, host: usize, id: Id) {
        let Some(attempt) = self.hosts[host].attempt_of(id) else { return };
        // What ran elsewhere may have ended without anybody looking.
        for other in 0..self.hosts.len() {
            self.look_at_all(other);
        }
        self.hosts[host].running.insert(id, attempt);
        let policy = self.store.policy_of(attempt.job());
        self.oracle.program_begun(attempt, host, policy, self.settings.clocks_differ);
        self.look_at(host, id, Cause::Own);
        self.arm_programs(host);
    }

    /// Brings what the oracle knows of a container up to date.
    pub(crate) fn look_at(&mut self, host: usize, id: Id, cause: Cause) {
        let now = self.now.elapsed();
        let one = &mut self.hosts[host];
        let Some(attempt) = one.running.get(&id).copied() else { return };
        let ended = one.daemon.get(id, now).is_none_or(|container| !container.is_running());
        if !ended {
            return self.arm_programs(host);
        }
        let code = one.daemon.peek(id).and_then(dockmgr_model::docker::Container::exit_code);
        one.running.remove(&id);
        let code = if matches!(cause, Cause::Daemon | Cause::Reboot) { None } else { code };
        self.oracle.program_ended(attempt, code, cause);
        if mutants::active(Mutant::AutoRemove) {
            self.remove(host, id, true, Cause::Own).ok();
        }
        if self.hosts[host].up {
            let (life, delay) = (self.workers[host].life, self.chance.host.millis(0, 4));
            self.after(delay, Event::Worker(host, life, WorkerTimer::Hint(attempt)));
        }
    }

    fn look_at_all(&mut self, host: usize) {
        let ids: Vec<Id> = self.hosts[host].running.keys().copied().collect();
        for id in ids {
            self.look_at(host, id, Cause::Own);
        }
    }

    /// Programs that slept go on.
    pub(crate) fn programs_go_on(&mut self, host: usize) {
        self.hosts[host].wake = None;
        self.look_at_all(host);
        self.arm_programs(host);
    }

    fn arm_programs(&mut self, host: usize) {
        let one = &mut self.hosts[host];
        let wakes = one.running.keys().filter_map(|id| one.daemon.peek(*id)?.wake());
        let Some(wake) = wakes.min() else { return };
        let at = Instant::default().after(wake).max(self.now);
        if one.wake.is_none_or(|earlier| at < earlier) {
            one.wake = Some(at);
            self.push(at, Event::Programs(host));
        }
    }

    /// The daemon is killed: nobody answers, programs go on.
    pub(crate) fn kill_daemon(&mut self, host: usize) {
        let one = &mut self.hosts[host];
        if !one.up {
            return;
        }
        one.up = false;
        one.life += 1;
        self.say(|| format!("daemon of host {host} is killed"));
        let life = self.workers[host].life;
        self.after(Duration::from_millis(1), Event::Worker(host, life, WorkerTimer::DaemonLost));
    }

    pub(crate) fn start_daemon(&mut self, host: usize, life: u64) {
        let now = self.now.elapsed();
        self.look_at_all(host);
        let one = &mut self.hosts[host];
        if one.up || one.life != life || !one.powered {
            return;
        }
        one.up = true;
        one.daemon.restart(one.live_restore, now);
        self.say(|| format!("daemon of host {host} starts"));
        let ids: Vec<Id> = self.hosts[host].running.keys().copied().collect();
        for id in ids {
            self.look_at(host, id, Cause::Daemon);
        }
    }

    /// The power goes: everything on the host ends.
    pub(crate) fn power_off(&mut self, host: usize, shows_zero: bool) {
        let now = self.now.elapsed();
        self.look_at_all(host);
        self.kill_worker(host, true);
        let one = &mut self.hosts[host];
        if !one.powered {
            return;
        }
        one.powered = false;
        one.up = false;
        one.life += 1;
        one.daemon.reboot(shows_zero, now);
        self.say(|| format!("host {host} loses power"));
        let ids: Vec<Id> = self.hosts[host].running.keys().copied().collect();
        for id in ids {
            self.look_at(host, id, Cause::Reboot);
        }
        let orphans: Vec<Id> = self.hosts[host].orphans.keys().copied().collect();
        for id in orphans {
            self.end_orphan(host, id, Cause::Reboot);
        }
    }

    pub(crate) fn power_on(&mut self, host: usize) {
        let one = &mut self.hosts[host];
        if one.powered {
            return;
        }
        one.powered = true;
        one.boots += 1;
        let life = one.life;
        self.clocks.workers[host].boot(self.now);
        self.say(|| format!("host {host} is booted"));
        self.after(Duration::from_millis(300), Event::StartDaemon(host, life));
        let life = self.workers[host].life;
        self.after(Duration::from_millis(400), Event::StartWorker(host, life));
    }

    /// Somebody removes one of our containers by hand.
    pub(crate) fn remove_by_hand(&mut self, host: usize) {
        let ours: Vec<Id> = self.hosts[host].daemon.containers().map(|(id, _)| id).collect();
        let ours: Vec<Id> =
            ours.into_iter().filter(|id| self.hosts[host].attempt_of(*id).is_some()).collect();
        if ours.is_empty() || !self.hosts[host].up {
            return;
        }
        let id = ours[self.chance.host.index(ours.len())];
        self.oracle.sometimes("container removed by hand");
        self.say(|| format!("somebody removes a container of host {host}"));
        let attempt = self.hosts[host].attempt_of(id);
        self.remove(host, id, true, Cause::Hand).ok();
        if let Some(attempt) = attempt {
            let life = self.workers[host].life;
            self.after(Duration::ZERO, Event::Worker(host, life, WorkerTimer::Hint(attempt)));
        }
    }

    /// Kills a container through its control group, without the daemon.
    pub(crate) fn kill_by_guard(&mut self, host: usize, id: Id) {
        let now = self.now.elapsed();
        self.hosts[host].daemon.signal(id, "SIGKILL", now).ok();
        self.look_at(host, id, Cause::Guard);
    }

    /// Containers of ours on a host.
    pub(crate) fn our_containers(&self, host: usize) -> Vec<(Id, AttemptId, Status)> {
        let one = &self.hosts[host];
        one.daemon.containers().filter_map(|(id, c)| Some((id, one.attempt_of(id)?, c.status()))).collect()
    }
}
