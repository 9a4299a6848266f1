//! The daemon and its containers.
//!
//! ```text
//! (create) -> created -(start)-> running -(end, signal)-> exited -(start)-> running again!
//!    any state -(remove)-> gone
//! ```
//! Owns every rule of behaviour, as plain calls at a given time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::log::Stream;

use super::images::Image;
use super::machine::{Ended, Machine};
use super::{program, signals};

/// Exit code of a program that was killed together with its daemon or machine.
const KILLED: u8 = 128 + signals::KILL;

/// The id of a container: its number, shown as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

impl Id {
    /// The container with this number.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Its number: how many containers the daemon had made when it made this one, itself included.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:064x}", self.0)
    }
}

/// What a container is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Name, unique on the daemon.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Reference, digest or id of an image the daemon has.
    pub image: String,
    /// The words of the command.
    pub argv: Vec<String>,
    /// The environment.
    pub env: Vec<(String, String)>,
}

/// Why the daemon refused a call. Nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No such container.
    NoContainer,
    /// No such image.
    NoImage,
    /// The name is taken.
    NameInUse,
    /// A container uses the image.
    ImageInUse,
    /// A running container is removed only by force.
    Running,
    /// The word is not a signal.
    NoSignal,
}

/// What a start request achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// This request started it.
    Now,
    /// It was running before.
    Already,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
}

/// Wall time in milliseconds.
pub type Wall = i64;

/// What inspecting a container shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Which container.
    pub id: Id,
    /// What it is doing.
    pub status: Status,
    /// The code; 0 while it has not ended, as on the real daemon.
    pub exit_code: u8,
    /// The kernel killed something of it for memory.
    pub oom_killed: bool,
    /// When it was last started.
    pub started_at: Option<Wall>,
    /// When it last ended.
    pub finished_at: Option<Wall>,
    /// Id of its image; empty if that is gone.
    pub image_id: String,
}

/// All state of the daemon.
#[derive(Debug, Clone, Default)]
pub struct Daemon {
    containers: BTreeMap<Id, Container>,
    names: BTreeMap<String, Id>,
    pub(super) images: BTreeMap<String, Image>,
    created: u64,
    wall_zero: Wall,
}

/// One container.
#[derive(Debug, Clone)]
pub struct Container {
    spec: Spec,
    machine: Option<Machine>,
    started: Option<Duration>,
    ended: Option<Ended>,
    /// Output of all runs, in the order it was written.
    output: Vec<(Stream, Bytes)>,
    runs: u32,
}

impl Container {
    /// Runs the program up to `now`.
    fn advance(&mut self, now: Duration) {
        if let Some(machine) = &mut self.machine
            && let Some(ended) = machine.advance(now, &mut self.output)
        {
            self.end(ended);
        }
    }

    fn end(&mut self, ended: Ended) {
        self.machine = None;
        self.ended = Some(ended);
    }

    /// What it was made of.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The pieces it wrote, in the order it wrote them.
    pub fn output(&self) -> &[(Stream, Bytes)] {
        &self.output
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.machine.is_some()
    }

    /// Whether it was never started.
    pub fn is_created(&self) -> bool {
        self.runs == 0
    }

    /// How often it was started.
    pub fn runs(&self) -> u32 {
        self.runs
    }

    /// The code it ended with, if it has ended.
    pub fn exit_code(&self) -> Option<u8> {
        self.ended.map(|ended| ended.code)
    }

    /// When it was last started and when it last ended, in model time.
    pub fn times(&self) -> (Option<Duration>, Option<Duration>) {
        (self.started, self.ended.map(|ended| ended.at))
    }

    /// When it goes on by itself.
    pub fn wake(&self) -> Option<Duration> {
        self.machine.as_ref().and_then(Machine::wake)
    }

    /// Model time since its start.
    pub fn running_for(&self, now: Duration) -> Duration {
        self.started.map_or(Duration::ZERO, |started| now.saturating_sub(started))
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        if self.is_running() {
            Status::Running
        } else if self.is_created() {
            Status::Created
        } else {
            Status::Exited
        }
    }
}

impl Daemon {
    /// An empty daemon whose time zero is `wall_zero`.
    pub fn new(wall_zero: Wall) -> Self {
        Self { wall_zero, ..Self::default() }
    }

    /// Wall time at the model's time zero.
    pub fn wall_zero(&self) -> Wall {
        self.wall_zero
    }

    /// Number of the container made last.
    pub fn last_number(&self) -> u64 {
        self.created
    }

    /// The next container gets the number after this one, as if those before it had been made and removed.
    pub fn set_last_number(&mut self, number: u64) {
        self.created = number;
    }

    /// Creates a container.
    pub fn create(&mut self, spec: Spec) -> Result<Id, Refused> {
        if self.image(&spec.image).is_none() {
            return Err(Refused::NoImage);
        }
        if self.names.contains_key(&spec.name) {
            return Err(Refused::NameInUse);
        }
        self.created += 1;
        let id = Id(self.created);
        self.names.insert(spec.name.clone(), id);
        let output = Vec::new();
        let container = Container { spec, machine: None, started: None, ended: None, output, runs: 0 };
        self.containers.insert(id, container);
        Ok(id)
    }

    /// Starts a container; one that has ended runs again, as on the real daemon.
    pub fn start(&mut self, id: Id, now: Duration) -> Result<Started, Refused> {
        let container = self.get(id, now).ok_or(Refused::NoContainer)?;
        if container.is_running() {
            return Ok(Started::Already);
        }
        let env = container.spec.env.iter().cloned().collect();
        container.machine = Some(Machine::new(program::compile(&container.spec.argv, &env), now));
        container.started = Some(now);
        container.ended = None;
        container.runs += 1;
        container.advance(now);
        Ok(Started::Now)
    }

    /// Sends a signal by name or number; whether there was anything to receive it.
    pub fn signal(&mut self, id: Id, signal: &str, now: Duration) -> Result<bool, Refused> {
        let number = signals::parse(signal).ok_or(Refused::NoSignal)?;
        let Some(container) = self.get(id, now) else { return Ok(false) };
        let Some(machine) = &mut container.machine else { return Ok(false) };
        if let Some(ended) = machine.signal(number, now) {
            container.end(ended);
        }
        container.advance(now);
        Ok(true)
    }

    /// Removes a container; absent is fine.
    pub fn remove(&mut self, id: Id, force: bool, now: Duration) -> Result<(), Refused> {
        let Some(container) = self.get(id, now) else { return Ok(()) };
        if container.is_running() && !force {
            return Err(Refused::Running);
        }
        if let Some(container) = self.containers.remove(&id) {
            self.names.remove(&container.spec.name);
        }
        Ok(())
    }

    /// The daemon was killed and started again. Without live-restore it ends what ran, with the code of a kill.
    pub fn restart(&mut self, live_restore: bool, now: Duration) {
        if !live_restore {
            self.end_all(KILLED, now);
        }
    }

    /// The machine was switched off and on. Some daemons then show 0 for what ran (moby#45788).
    pub fn reboot(&mut self, shows_zero: bool, now: Duration) {
        self.end_all(if shows_zero { 0 } else { KILLED }, now);
    }

    fn end_all(&mut self, code: u8, now: Duration) {
        for container in self.containers.values_mut() {
            container.advance(now);
            if container.is_running() {
                container.end(Ended { code, out_of_memory: false, at: now });
            }
        }
    }

    /// The container, advanced to `now`.
    pub fn get(&mut self, id: Id, now: Duration) -> Option<&mut Container> {
        let container = self.containers.get_mut(&id)?;
        container.advance(now);
        Some(container)
    }

    /// The container as it was when somebody last looked.
    pub fn peek(&self, id: Id) -> Option<&Container> {
        self.containers.get(&id)
    }

    /// Inspects a container.
    pub fn inspect(&mut self, id: Id, now: Duration) -> Option<State> {
        let image = self.image(&self.containers.get(&id)?.spec.image);
        let image_id = image.map(|image| image.id.clone()).unwrap_or_default();
        let wall_zero = self.wall_zero;
        let container = self.get(id, now)?;
        let wall =
            |time: Duration| wall_zero.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        Some(State {
            id,
            status: container.status(),
            exit_code: container.ended.map_or(0, |ended| ended.code),
            oom_killed: container.ended.is_some_and(|ended| ended.out_of_memory),
            started_at: container.started.map(wall),
            finished_at: container.ended.map(|ended| wall(ended.at)),
            image_id,
        })
    }

    /// The containers that carry all of `labels`, advanced to `now`.
    pub fn list(
        &mut self,
        labels: &BTreeMap<String, String>,
        now: Duration,
    ) -> impl Iterator<Item = (Id, &Container)> {
        for container in self.containers.values_mut() {
            container.advance(now);
        }
        self.containers.iter().map(|(id, container)| (*id, container)).filter(|(_, container)| {
            labels.iter().all(|(name, value)| container.spec.labels.get(name) == Some(value))
        })
    }

    /// Every container as it was when somebody last looked.
    pub fn containers(&self) -> impl ExactSizeIterator<Item = (Id, &Container)> {
        self.containers.iter().map(|(id, container)| (*id, container))
    }

    /// Whether any container uses the image `id`.
    pub fn uses_image(&self, id: &str) -> bool {
        self.containers.values().any(|c| self.image(&c.spec.image).is_some_and(|image| image.id == id))
    }

    /// The container of this id or name.
    pub fn resolve(&self, id_or_name: &str) -> Option<Id> {
        let by_id = || u64::from_str_radix(id_or_name, 16).ok().map(Id);
        let is_id = |id: &Id| id_or_name.len() == 64 && self.containers.contains_key(id);
        self.names.get(id_or_name).copied().or_else(|| by_id().filter(is_id))
    }
}
