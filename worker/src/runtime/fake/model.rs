//! The model of the daemon in the runtime's own types, and who waits for which container.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockmgr_core::time::WallTime;
use dockmgr_model::docker::{Container, Daemon, Id, Image, Refused, Spec, Status};
use tokio::sync::watch;

use super::record::{Event, Record};
use crate::runtime::{
    Command, ContainerId, ContainerSpec, ContainerState, ContainerStatus, ContainerSummary, Error,
    ImageFailure, ImageInfo, Started,
};

/// Exit code of a program that is removed while it runs.
const KILLED: u8 = 137;
/// Size every fake image claims.
const SIZE: u64 = 10 << 20;

/// The fake daemon's state.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) daemon: Daemon,
    /// Told when something other than time changed a container; dropped with it.
    changes: BTreeMap<Id, watch::Sender<()>>,
    /// Where calls are written down, if the containers outlive the process.
    record: Option<Record>,
    /// Containers whose end has been told in the record.
    told: BTreeSet<Id>,
}

impl Model {
    /// An empty daemon whose time zero is `wall_zero`, in milliseconds.
    pub(super) fn new(wall_zero: i64) -> Self {
        Self { daemon: Daemon::new(wall_zero), changes: BTreeMap::new(), record: None, told: BTreeSet::new() }
    }

    /// The daemon that a record describes.
    pub(super) fn recorded(record: Record, daemon: Daemon) -> Self {
        Self { daemon, record: Some(record), ..Self::new(0) }
    }

    /// Takes in what another process did to the containers.
    pub(super) fn look(&mut self) {
        if let Some(record) = &mut self.record
            && let Err(error) = record.take_kills(&mut self.daemon)
        {
            tracing::warn!(%error, "cannot read what the guard killed");
        }
    }

    /// Writes a call down; it must not take effect if that fails.
    fn write(&mut self, now: Duration, event: impl FnOnce() -> Event) -> Result<(), Error> {
        let Some(record) = &mut self.record else { return Ok(()) };
        record.write(now, event()).map_err(|error| Error::Unreachable {
            socket: "fake".to_owned(),
            reason: format!("the fake daemon cannot write its state: {error}"),
        })
    }

    /// Tells whoever tests the worker of a start.
    fn tell_start(&mut self, id: Id, now: Duration) {
        self.told.remove(&id);
        self.tell('S', id, now, 0);
    }

    /// Tells whoever tests the worker of an end, once.
    fn tell_end(&mut self, id: Id, now: Duration) {
        let Some(container) = self.daemon.get(id, now) else { return };
        if let (Some(code), (_, Some(at))) = (container.exit_code(), container.times())
            && self.told.insert(id)
        {
            self.tell('E', id, at, code);
        }
    }

    fn tell(&mut self, kind: char, id: Id, at: Duration, code: u8) {
        let (Some(record), Some(container)) = (&mut self.record, self.daemon.peek(id)) else { return };
        if let Err(error) = record.tell(kind, &container.spec().name, at, code) {
            tracing::warn!(%error, "cannot tell of an execution");
        }
    }

    /// Tells about the container's start, signals and removal.
    pub(super) fn changes_of(&mut self, id: Id) -> watch::Receiver<()> {
        self.changes.entry(id).or_default().subscribe()
    }

    fn touch(&self, id: Id) {
        if let Some(changes) = self.changes.get(&id) {
            changes.send_replace(());
        }
    }

    /// The container by id or name, advanced to `now`.
    pub(super) fn get(&mut self, id: &ContainerId, now: Duration) -> Option<(Id, &mut Container)> {
        let id = self.daemon.resolve(id.as_str())?;
        self.daemon.get(id, now).map(|container| (id, container))
    }

    pub(super) fn create(&mut self, spec: &ContainerSpec, now: Duration) -> Result<ContainerId, Error> {
        if !crate::runtime::state::is_safe_name(&spec.name) {
            return Err(Error::InvalidSpec(format!("'{}' is not a container name", spec.name)));
        }
        if matches!(&spec.command, Command::Exact(argv) if argv.first().is_none_or(String::is_empty)) {
            return Err(Error::InvalidSpec("the command is empty".to_owned()));
        }
        let (Command::Exact(argv) | Command::ImageEntrypoint(argv)) = &spec.command;
        let wanted = Spec {
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            image: spec.image.clone(),
            argv: argv.clone(),
            env: spec.env.clone(),
        };
        self.write(now, || Event::Create { spec: wanted.clone().into() })?;
        let made = self.daemon.create(wanted);
        if let Ok(id) = made {
            self.tell('C', id, now, 0);
        }
        made.map(container_id).map_err(|refused| match refused {
            Refused::NoImage => no_image(&spec.image),
            Refused::NoContainer
            | Refused::NameInUse
            | Refused::ImageInUse
            | Refused::Running
            | Refused::NoSignal => error(refused, &spec.name),
        })
    }

    pub(super) fn start(&mut self, id: &ContainerId, now: Duration) -> Result<Started, Error> {
        let container = self.daemon.resolve(id.as_str()).ok_or_else(|| not_found(id))?;
        self.write(now, || Event::Start(id.to_string()))?;
        let started = self.daemon.start(container, now).map_err(|refused| error(refused, id.as_str()))?;
        self.touch(container);
        Ok(match started {
            dockmgr_model::docker::Started::Now => {
                self.tell_start(container, now);
                Started::Now
            }
            dockmgr_model::docker::Started::Already => Started::Already,
        })
    }

    pub(super) fn signal(&mut self, id: &ContainerId, signal: &str, now: Duration) -> Result<bool, Error> {
        let Some(container) = self.daemon.resolve(id.as_str()) else { return Ok(false) };
        self.write(now, || Event::Signal(id.to_string(), signal.to_owned()))?;
        let sent = self.daemon.signal(container, signal, now).map_err(|refused| error(refused, signal))?;
        self.tell_end(container, now);
        self.touch(container);
        Ok(sent)
    }

    pub(super) fn remove(&mut self, id: &ContainerId, force: bool, now: Duration) -> Result<(), Error> {
        let Some(container) = self.daemon.resolve(id.as_str()) else { return Ok(()) };
        self.tell_end(container, now);
        self.write(now, || Event::Remove(id.to_string(), force))?;
        let running = self.daemon.peek(container).is_some_and(Container::is_running);
        if running && force {
            self.tell('E', container, now, KILLED);
        }
        if !running || force {
            self.tell('R', container, now, 0);
        }
        self.told.remove(&container);
        self.daemon.remove(container, force, now).map_err(|refused| error(refused, id.as_str()))?;
        // Dropping the sender wakes whoever waits for the container.
        self.changes.remove(&container);
        Ok(())
    }

    pub(super) fn inspect(&mut self, id_or_name: &str, now: Duration) -> Option<ContainerState> {
        let id = self.daemon.resolve(id_or_name)?;
        self.tell_end(id, now);
        let state = self.daemon.inspect(id, now)?;
        let spec = self.daemon.peek(id)?.spec();
        Some(ContainerState {
            id: container_id(id),
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            status: status(state.status),
            raw_exit_code: Some(i64::from(state.exit_code)),
            oom_killed: state.oom_killed,
            error: String::new(),
            started_at: state.started_at.map(WallTime),
            finished_at: state.finished_at.map(WallTime),
            pid: matches!(state.status, Status::Running).then_some(1),
            image_id: state.image_id,
        })
    }

    pub(super) fn list(&mut self, labels: &BTreeMap<String, String>, now: Duration) -> Vec<ContainerSummary> {
        let mut found: Vec<ContainerSummary> = self
            .daemon
            .list(labels, now)
            .map(|(id, container)| ContainerSummary {
                id: container_id(id),
                name: container.spec().name.clone(),
                labels: container.spec().labels.clone(),
                status: status(container.status()),
                image_id: container.spec().image.clone(),
            })
            .collect();
        for container in &mut found {
            let image = self.daemon.image(&container.image_id);
            container.image_id = image.map(|image| image.id.clone()).unwrap_or_default();
        }
        found
    }

    pub(super) fn add_image(&mut self, reference: &str, now: Duration) -> Result<ImageInfo, Error> {
        self.write(now, || Event::Pull(reference.to_owned()))?;
        Ok(image_info(&self.daemon.add_image(reference)))
    }

    pub(super) fn remove_image(&mut self, reference: &str, now: Duration) -> Result<bool, Error> {
        self.write(now, || Event::RemoveImage(reference.to_owned()))?;
        self.daemon.remove_image(reference).map_err(|refused| error(refused, reference))
    }

    pub(super) fn inspect_image(&self, reference: &str) -> Option<ImageInfo> {
        self.daemon.image(reference).map(image_info)
    }

    pub(super) fn list_images(&self) -> Vec<ImageInfo> {
        self.daemon.images().map(image_info).collect()
    }
}

pub(super) fn not_found(id: &ContainerId) -> Error {
    Error::NotFound { what: id.to_string() }
}

fn container_id(id: Id) -> ContainerId {
    ContainerId::parse(&id.to_string()).expect("hexadecimal digits only")
}

fn no_image(image: &str) -> Error {
    let message = format!("No such image: {image}");
    Error::Image { image: image.to_owned(), failure: ImageFailure::NotFound, message }
}

/// What the daemon would answer.
fn error(refused: Refused, what: &str) -> Error {
    let conflict = |message: &str| Error::Conflict { what: what.to_owned(), message: message.to_owned() };
    match refused {
        Refused::NoContainer => Error::NotFound { what: what.to_owned() },
        Refused::NoImage => no_image(what),
        Refused::NameInUse => conflict("the container name is already in use"),
        Refused::ImageInUse => conflict("a container uses the image"),
        Refused::Running => conflict("cannot remove a running container"),
        Refused::NoSignal => Error::InvalidSpec(format!("'{what}' is not a signal")),
    }
}

fn status(status: Status) -> ContainerStatus {
    match status {
        Status::Created => ContainerStatus::Created,
        Status::Running => ContainerStatus::Running,
        Status::Exited => ContainerStatus::Exited,
    }
}

fn image_info(image: &Image) -> ImageInfo {
    ImageInfo {
        id: image.id.clone(),
        repo_digests: vec![image.repo_digest.clone()],
        repo_tags: image.repo_tag.iter().cloned().collect(),
        size_bytes: SIZE,
        architecture: std::env::consts::ARCH.to_owned(),
        ..ImageInfo::default()
    }
}
