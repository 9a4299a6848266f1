//! A container daemon in memory: the worker's second runtime, for tests and for clusters without Docker.
//!
//! Owns the async shell around [`dockmgr_model::docker`]: locking, waiting and ordered faults. Commands are not executed; the
//! small script language of the model is. It keeps the daemon's quirks: a start runs an exited container again, waiting for a created one
//! returns at once, effects outlive lost answers. Not modelled: a stalled attach reader does not block its container.
//!
//! Containers are data and cost no task and no thread: looking at one runs its program up to the present. A daemon made by
//! [`Fake::new`] ends with the process; one made by [`Fake::open`] goes on while the worker is dead, as a real one would
//! (`record`).

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::time::WallTime;
use dockmgr_model::docker::Id;
use dockmgr_support::clock;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{
    Attached, Call, ContainerId, ContainerSpec, ContainerState, ContainerSummary, DaemonInfo, Error,
    ImageFailure, ImageInfo, PullProgress, Recovered, RecoveredLog, RegistryAuth, Runtime, Started, Usage,
};
use crate::runtime::output::Stream;
use model::{Model, not_found};
use record::Record;

mod faults;
mod model;
mod record;

#[cfg(test)]
mod tests;

pub use faults::Fault;
pub use record::{FOLDER, is_ordered, order_kill};

/// What a fault's time-out says; nothing waits that long.
const PRETENDED_DEADLINE: Duration = Duration::from_secs(60);
/// Memory every running fake container claims.
const PRETENDED_MEMORY: u64 = 1 << 20;

/// The fake daemon. Clones are the same daemon.
#[derive(Debug, Clone)]
pub struct Fake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    model: Mutex<Model>,
    faults: Mutex<faults::Faults>,
    cpus: u32,
    memory_bytes: u64,
}

/// What the daemon's time counts from.
#[derive(Debug)]
enum Clock {
    /// Its making, by tokio's clock, which tests may stop.
    Made(Instant),
    /// The boot of the host.
    Boot,
}

impl Fake {
    /// A daemon on a machine of this size. Needs a tokio runtime for its clock.
    pub fn new(cpus: u32, memory_bytes: u64) -> Self {
        let model = Model::new(dockmgr_support::clock::wall_millis());
        Self::with(model, Clock::Made(Instant::now()), cpus, memory_bytes)
    }

    /// The daemon whose state is kept below `folder`; its containers outlive this process, but not the boot of the host.
    pub fn open(folder: &Path, boot_id: &str, cpus: u32, memory_bytes: u64) -> std::io::Result<Self> {
        let since_boot = i64::try_from(clock::boot_nanos() / 1_000_000).unwrap_or(i64::MAX);
        let (record, daemon) = Record::open(folder, boot_id, clock::wall_millis() - since_boot)?;
        Ok(Self::with(Model::recorded(record, daemon), Clock::Boot, cpus, memory_bytes))
    }

    fn with(model: Model, clock: Clock, cpus: u32, memory_bytes: u64) -> Self {
        let inner = Inner {
            clock,
            model: Mutex::new(model),
            faults: Mutex::new(faults::Faults::default()),
            cpus,
            memory_bytes,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Orders a fault for the next call of this kind that has none ordered yet.
    pub fn order_fault(&self, call: Call, fault: Fault) {
        self.faults().queued.entry(call).or_default().push_back(fault);
    }

    /// Makes every pull of `image` fail; `None` mends it.
    pub fn break_image(&self, image: &str, failure: Option<ImageFailure>) {
        match failure {
            Some(failure) => self.faults().images.insert(image.to_owned(), failure),
            None => self.faults().images.remove(image),
        };
    }

    /// Cuts the daemon off, or brings it back. Containers go on meanwhile.
    pub fn set_reachable(&self, reachable: bool) {
        self.faults().unreachable = !reachable;
    }

    /// How often a container that exists was started.
    pub fn runs(&self, id_or_name: &str) -> Option<u32> {
        let mut model = self.model();
        let id = model.daemon.resolve(id_or_name)?;
        model.daemon.get(id, self.now()).map(|container| container.runs())
    }

    fn now(&self) -> Duration {
        match self.inner.clock {
            Clock::Made(at) => at.elapsed(),
            Clock::Boot => Duration::from_nanos(clock::boot_nanos()),
        }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        // A panic inside a rule leaves at worst one odd container; tests then see that.
        let mut model = self.inner.model.lock().unwrap_or_else(PoisonError::into_inner);
        model.look();
        model
    }

    fn faults(&self) -> MutexGuard<'_, faults::Faults> {
        self.inner.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out one call, or the fault ordered for it.
    async fn call<T>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut Model, Duration) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let lost = Error::Timeout { call, after: PRETENDED_DEADLINE };
        let fault = self.check_reachable(|faults| faults.take(call))?;
        match fault {
            None => effect(&mut self.model(), self.now()),
            Some(Fault::Refused(error)) => Err(error),
            Some(Fault::LostBefore) => Err(lost),
            Some(Fault::LostAfter) => effect(&mut self.model(), self.now()).and(Err(lost)),
            Some(Fault::Hangs) => pending().await,
        }
    }

    fn check_reachable<T>(&self, then: impl FnOnce(&mut faults::Faults) -> T) -> Result<T, Error> {
        let mut faults = self.faults();
        if faults.unreachable {
            let reason = "the fake daemon was switched off".to_owned();
            return Err(Error::Unreachable { socket: "fake".to_owned(), reason });
        }
        Ok(then(&mut faults))
    }

    /// Waits until the container may have changed: its program goes on, or somebody did something to it.
    async fn changed(&self, wake: Option<Duration>, mut changed: watch::Receiver<()>) {
        let woken = async {
            match wake {
                Some(wake) => tokio::time::sleep(wake.saturating_sub(self.now())).await,
                None => pending().await,
            }
        };
        tokio::select! {
            // The program's own sleep is over.
            () = woken => {}
            // A start, a signal or the removal.
            _removed_or_touched = changed.changed() => {}
        }
    }

    /// Output from piece `next` on, until the container has ended or is gone. One that never started is waited for only
    /// when `live`.
    fn output(
        &self,
        id: Id,
        next: usize,
        live: bool,
    ) -> impl stream::Stream<Item = (Stream, Bytes)> + Send + use<> {
        let at = (self.clone(), id, next);
        stream::unfold(at, move |(fake, id, next)| async move {
            loop {
                let (wake, changed) = {
                    let mut model = fake.model();
                    let container = model.daemon.get(id, fake.now())?;
                    if let Some(piece) = container.output().get(next).cloned() {
                        drop(model);
                        return Some((piece, (fake, id, next + 1)));
                    }
                    let may_write = container.is_running() || (live && container.is_created());
                    if !may_write {
                        return None;
                    }
                    (container.wake(), model.changes_of(id))
                };
                fake.changed(wake, changed).await;
            }
        })
    }
}

impl Runtime for Fake {
    async fn info(&self) -> Result<DaemonInfo, Error> {
        self.call(Call::Info, |model, _now| {
            Ok(DaemonInfo {
                daemon_id: format!("fake-{}", model.daemon.wall_zero()),
                instance: None,
                version: "fake".to_owned(),
                api_version: "1.41".to_owned(),
                cpus: self.inner.cpus,
                memory_bytes: self.inner.memory_bytes,
                docker_root: std::env::temp_dir().display().to_string(),
                storage_driver: "memory".to_owned(),
                cgroup_version: "2".to_owned(),
                live_restore: true,
                os: "linux".to_owned(),
                architecture: std::env::consts::ARCH.to_owned(),
                images: u32::try_from(model.daemon.images().len()).unwrap_or(u32::MAX),
                runtimes: vec!["fake".to_owned()],
            })
        })
        .await
    }

    async fn pull(
        &self,
        image: &str,
        _auth: Option<&RegistryAuth>,
        progress: &watch::Sender<PullProgress>,
    ) -> Result<ImageInfo, Error> {
        let broken = self.faults().images.get(image).copied();
        // A reserved domain that exists nowhere.
        let broken = broken.or(image.contains(".invalid/").then_some(ImageFailure::NotFound));
        self.call(Call::Pull, |model, now| {
            if let Some(failure) = broken {
                let message = format!("the fake registry says: {failure}");
                return Err(Error::Image { image: image.to_owned(), failure, message });
            }
            progress.send_replace(PullProgress { current: 1, total: 1, status: "Pull complete".to_owned() });
            model.add_image(image, now)
        })
        .await
    }

    async fn inspect_image(&self, image: &str) -> Result<Option<ImageInfo>, Error> {
        self.call(Call::InspectImage, |model, _now| Ok(model.inspect_image(image))).await
    }

    async fn remove_image(&self, image: &str) -> Result<bool, Error> {
        self.call(Call::RemoveImage, |model, now| model.remove_image(image, now)).await
    }

    async fn list_images(&self) -> Result<Vec<ImageInfo>, Error> {
        self.call(Call::ListImages, |model, _now| Ok(model.list_images())).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, Error> {
        self.call(Call::Create, |model, now| model.create(spec, now)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<Started, Error> {
        self.call(Call::Start, |model, now| model.start(id, now)).await
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Option<ContainerState>, Error> {
        self.call(Call::Inspect, |model, now| Ok(model.inspect(id_or_name, now))).await
    }

    async fn wait_hint(&self, id: &ContainerId, run: Option<WallTime>) -> Result<(), Error> {
        loop {
            let waiting = self
                .call(Call::Wait, |model, now| {
                    let began = model.inspect(id.as_str(), now).and_then(|seen| seen.started_at);
                    let Some(id) =
                        model.daemon.resolve(id.as_str()).filter(|_| run.is_none() || began == run)
                    else {
                        return Ok(None);
                    };
                    let running = model.daemon.get(id, now).filter(|container| container.is_running());
                    let wake = running.map(|container| container.wake());
                    Ok(wake.map(|wake| (wake, model.changes_of(id))))
                })
                .await?;
            match waiting {
                Some((wake, changed)) => self.changed(wake, changed).await,
                None => return Ok(()),
            }
        }
    }

    async fn signal(&self, id: &ContainerId, signal: &str) -> Result<bool, Error> {
        self.call(Call::Signal, |model, now| model.signal(id, signal, now)).await
    }

    async fn remove(&self, id: &ContainerId, force: bool) -> Result<(), Error> {
        self.call(Call::Remove, |model, now| model.remove(id, force, now)).await
    }

    async fn list(&self, labels: &BTreeMap<String, String>) -> Result<Vec<ContainerSummary>, Error> {
        self.call(Call::List, |model, now| Ok(model.list(labels, now))).await
    }

    async fn attach(&self, id: &ContainerId) -> Result<Attached, Error> {
        use futures_util::StreamExt;
        let (id, next) = self
            .call(Call::Attach, |model, now| {
                let (id, container) = model.get(id, now).ok_or_else(|| not_found(id))?;
                Ok((id, container.output().len()))
            })
            .await?;
        Ok(Attached::new(self.output(id, next, true).map(Ok)))
    }

    async fn recover_log(&self, id: &ContainerId) -> Result<RecoveredLog, Error> {
        use futures_util::StreamExt;
        let id = self
            .call(Call::RecoverLog, |model, now| {
                model.get(id, now).map(|(id, _)| id).ok_or_else(|| not_found(id))
            })
            .await?;
        let pieces = self.output(id, 0, false).map(|(stream, bytes)| Ok(Recovered::Bytes(stream, bytes)));
        let end = stream::once(async { Ok(Recovered::End { exact: true }) });
        Ok(RecoveredLog::new(pieces.chain(end)))
    }

    async fn usage(&self, id: &ContainerId) -> Result<Option<Usage>, Error> {
        self.call(Call::Usage, |model, now| {
            let running = model.get(id, now).filter(|(_, container)| container.is_running());
            Ok(running.map(|(_, container)| Usage {
                // A program of the fake is mostly asleep: one percent of a core.
                cpu_nanos: u64::try_from(container.running_for(now).as_nanos() / 100).unwrap_or(u64::MAX),
                memory_bytes: PRETENDED_MEMORY,
                memory_peak_bytes: Some(PRETENDED_MEMORY),
                oom_kills: Some(0),
            }))
        })
        .await
    }
}
