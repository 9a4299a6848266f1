//! The daemon the fake pretends to be: its containers and images, with the real one's quirks.
//!
//! ```text
//! (create) -> created -(start)-> running -(end, signal)-> exited -(start)-> running again!
//!    any state -(remove)-> gone
//! ```
//! Owns every rule of behaviour, as plain calls at a given time; the async shell around it is [`super::Fake`]. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::time::WallTime;
use tokio::sync::watch;

use super::machine::{Ended, Machine};
use super::{program, signals};
use crate::runtime::output::Stream;
use crate::runtime::{
    Command, ContainerId, ContainerSpec, ContainerState, ContainerStatus, ContainerSummary, Error,
    ImageFailure, ImageInfo, Started,
};

/// All state of the fake daemon.
#[derive(Debug, Default)]
pub(super) struct Model {
    containers: BTreeMap<ContainerId, Container>,
    names: BTreeMap<String, ContainerId>,
    pub(super) images: BTreeMap<String, ImageInfo>,
    created: u64,
    /// Wall time at the model's time zero.
    pub(super) wall_zero: i64,
}

/// One container.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) spec: ContainerSpec,
    machine: Option<Machine>,
    started: Option<Duration>,
    ended: Option<Ended>,
    /// Output of all runs, in the order it was written.
    pub(super) output: Vec<(Stream, Bytes)>,
    /// Told when something other than time changed it.
    pub(super) changed: watch::Sender<()>,
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

    /// Whether it runs.
    pub(super) fn is_running(&self) -> bool {
        self.machine.is_some()
    }

    /// Whether it was never started.
    pub(super) fn is_created(&self) -> bool {
        self.runs == 0
    }

    /// How often it was started.
    pub(super) fn runs(&self) -> u32 {
        self.runs
    }

    /// When it goes on by itself.
    pub(super) fn wake(&self) -> Option<Duration> {
        self.machine.as_ref().and_then(Machine::wake)
    }

    /// Model time since its start.
    pub(super) fn running_for(&self, now: Duration) -> Duration {
        self.started.map_or(Duration::ZERO, |started| now.saturating_sub(started))
    }

    fn status(&self) -> ContainerStatus {
        if self.is_running() {
            ContainerStatus::Running
        } else if self.is_created() {
            ContainerStatus::Created
        } else {
            ContainerStatus::Exited
        }
    }
}

impl Model {
    /// An empty daemon whose time zero is `wall_zero`, in milliseconds.
    pub(super) fn new(wall_zero: i64) -> Self {
        Self { wall_zero, ..Self::default() }
    }

    /// Creates a container.
    pub(super) fn create(&mut self, spec: &ContainerSpec) -> Result<ContainerId, Error> {
        if !crate::runtime::state::is_safe_name(&spec.name) {
            return Err(Error::InvalidSpec(format!("'{}' is not a container name", spec.name)));
        }
        if matches!(&spec.command, Command::Exact(argv) if argv.first().is_none_or(String::is_empty)) {
            return Err(Error::InvalidSpec("the command is empty".to_owned()));
        }
        if !self.has_image(&spec.image) {
            let message = format!("No such image: {}", spec.image);
            return Err(Error::Image { image: spec.image.clone(), failure: ImageFailure::NotFound, message });
        }
        if self.names.contains_key(&spec.name) {
            let message = "the container name is already in use".to_owned();
            return Err(Error::Conflict { what: spec.name.clone(), message });
        }
        self.created += 1;
        let id = ContainerId::parse(&format!("{:064x}", self.created)).expect("hexadecimal digits only");
        let container = Container {
            spec: spec.clone(),
            machine: None,
            started: None,
            ended: None,
            output: Vec::new(),
            changed: watch::Sender::new(()),
            runs: 0,
        };
        self.names.insert(spec.name.clone(), id.clone());
        self.containers.insert(id.clone(), container);
        Ok(id)
    }

    /// Starts a container; one that has ended runs again, as on the real daemon.
    pub(super) fn start(&mut self, id: &ContainerId, now: Duration) -> Result<Started, Error> {
        let container = self.get(id, now).ok_or_else(|| not_found(id))?;
        if container.is_running() {
            return Ok(Started::Already);
        }
        let argv = match &container.spec.command {
            Command::Exact(words) | Command::ImageEntrypoint(words) => words,
        };
        let env = container.spec.env.iter().cloned().collect();
        container.machine = Some(Machine::new(program::compile(argv, &env), now));
        container.started = Some(now);
        container.ended = None;
        container.runs += 1;
        container.advance(now);
        container.changed.send_replace(());
        Ok(Started::Now)
    }

    /// Sends a signal; whether there was anything to receive it.
    pub(super) fn signal(&mut self, id: &ContainerId, signal: &str, now: Duration) -> Result<bool, Error> {
        let Some(number) = signals::parse(signal) else {
            return Err(Error::InvalidSpec(format!("'{signal}' is not a signal")));
        };
        let Some(container) = self.get(id, now) else { return Ok(false) };
        let Some(machine) = &mut container.machine else { return Ok(false) };
        if let Some(ended) = machine.signal(number, now) {
            container.end(ended);
        }
        container.advance(now);
        container.changed.send_replace(());
        Ok(true)
    }

    /// Removes a container; absent is fine.
    pub(super) fn remove(&mut self, id: &ContainerId, force: bool, now: Duration) -> Result<(), Error> {
        let Some(container) = self.get(id, now) else { return Ok(()) };
        if container.is_running() && !force {
            let message = "cannot remove a running container".to_owned();
            return Err(Error::Conflict { what: id.to_string(), message });
        }
        let name = container.spec.name.clone();
        let id = self.names.remove(&name);
        // Dropping the sender wakes whoever waits for the container.
        drop(id.and_then(|id| self.containers.remove(&id)));
        Ok(())
    }

    /// The container by id or name, advanced to `now`.
    pub(super) fn get(&mut self, id: &ContainerId, now: Duration) -> Option<&mut Container> {
        let id = self.resolve(id.as_str())?;
        let container = self.containers.get_mut(&id)?;
        container.advance(now);
        Some(container)
    }

    /// Inspects a container by id or name.
    pub(super) fn inspect(&mut self, id_or_name: &str, now: Duration) -> Option<ContainerState> {
        let id = self.resolve(id_or_name)?;
        let image_id = self.image_id(&self.containers.get(&id)?.spec.image);
        let wall_zero = self.wall_zero;
        let container = self.get(&id, now)?;
        let wall = |time: Duration| {
            WallTime(wall_zero.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
        };
        Some(ContainerState {
            name: container.spec.name.clone(),
            labels: container.spec.labels.clone(),
            status: container.status(),
            raw_exit_code: Some(container.ended.map_or(0, |ended| i64::from(ended.code))),
            oom_killed: container.ended.is_some_and(|ended| ended.out_of_memory),
            error: String::new(),
            started_at: container.started.map(wall),
            finished_at: container.ended.map(|ended| wall(ended.at)),
            pid: container.is_running().then_some(1),
            id,
            image_id,
        })
    }

    /// Lists containers by labels.
    pub(super) fn list(&mut self, labels: &BTreeMap<String, String>, now: Duration) -> Vec<ContainerSummary> {
        let images = &self.images;
        self.containers
            .iter_mut()
            .filter(|(_, container)| {
                labels.iter().all(|(name, value)| container.spec.labels.get(name) == Some(value))
            })
            .map(|(id, container)| {
                container.advance(now);
                ContainerSummary {
                    id: id.clone(),
                    name: container.spec.name.clone(),
                    labels: container.spec.labels.clone(),
                    status: container.status(),
                    image_id: find_image(images, &container.spec.image)
                        .map(|i| i.id.clone())
                        .unwrap_or_default(),
                }
            })
            .collect()
    }

    /// Whether any container uses the image `id`.
    pub(super) fn uses_image(&self, id: &str) -> bool {
        self.containers.values().any(|container| self.image_id(&container.spec.image) == id)
    }

    /// The image by reference, digest or id.
    pub(super) fn image(&self, reference: &str) -> Option<&ImageInfo> {
        find_image(&self.images, reference)
    }

    fn has_image(&self, reference: &str) -> bool {
        self.image(reference).is_some()
    }

    fn image_id(&self, reference: &str) -> String {
        self.image(reference).map(|image| image.id.clone()).unwrap_or_default()
    }

    fn resolve(&self, id_or_name: &str) -> Option<ContainerId> {
        let id = ContainerId::parse(id_or_name)?;
        if self.containers.contains_key(&id) { Some(id) } else { self.names.get(id_or_name).cloned() }
    }
}

fn find_image<'a>(images: &'a BTreeMap<String, ImageInfo>, reference: &str) -> Option<&'a ImageInfo> {
    images.get(reference).or_else(|| {
        images.values().find(|i| i.id == reference || i.repo_digests.iter().any(|d| d == reference))
    })
}

pub(super) fn not_found(id: &ContainerId) -> Error {
    Error::NotFound { what: id.to_string() }
}
