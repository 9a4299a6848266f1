//! The runtime chosen at start-up, as one type.
//!
//! Owns the choice and forwards every call; nothing else. The worker's `main` makes it.

use std::collections::BTreeMap;

use dockmgr_core::agent::DaemonRun;
use dockmgr_core::time::WallTime;
use tokio::sync::watch;

use super::docker::Docker;
use super::fake::Fake;
use super::{
    Attached, ContainerId, ContainerSpec, ContainerState, ContainerSummary, DaemonInfo, Error, ImageInfo,
    PullProgress, RecoveredLog, RegistryAuth, Runtime, Started, Usage,
};

/// Docker or the fake.
#[derive(Debug, Clone)]
pub enum AnyRuntime {
    /// A Docker daemon.
    Docker(Docker),
    /// The in-memory model of one.
    Fake(Fake),
}

impl AnyRuntime {
    /// When the daemon came up, in milliseconds since 1970; another number after each restart. `None` where it cannot be told.
    pub fn up_since(&self) -> Option<i64> {
        match self {
            Self::Docker(docker) => docker.up_since(),
            Self::Fake(_) => None,
        }
    }

    /// Which daemon answers now, and which run of it.
    pub async fn daemon_run(&self) -> Result<DaemonRun, Error> {
        match self {
            Self::Docker(docker) => docker.daemon_run().await,
            // It is the worker's own, whichever it is.
            Self::Fake(_) => Ok(DaemonRun { id: String::new(), instance: None, live_restore: true }),
        }
    }

    /// Whether the process that held a container died before the container, so that its code is nobody's word. Told once.
    pub fn take_orphan(&self, id: &ContainerId) -> bool {
        match self {
            Self::Docker(docker) => docker.take_orphan(id),
            Self::Fake(_) => false,
        }
    }

    /// How often the daemon was found restarted or replaced.
    pub fn restarts(&self) -> u64 {
        match self {
            Self::Docker(docker) => docker.restarts(),
            Self::Fake(_) => 0,
        }
    }
}

/// Forwards a call to whichever runtime is inside.
macro_rules! forward {
    ($self:ident . $method:ident ( $($argument:expr),* )) => {
        match $self {
            Self::Docker(docker) => docker.$method($($argument),*).await,
            Self::Fake(fake) => fake.$method($($argument),*).await,
        }
    };
}

impl Runtime for AnyRuntime {
    async fn info(&self) -> Result<DaemonInfo, Error> {
        forward!(self.info())
    }

    async fn pull(
        &self,
        image: &str,
        auth: Option<&RegistryAuth>,
        progress: &watch::Sender<PullProgress>,
    ) -> Result<ImageInfo, Error> {
        forward!(self.pull(image, auth, progress))
    }

    async fn inspect_image(&self, image: &str) -> Result<Option<ImageInfo>, Error> {
        forward!(self.inspect_image(image))
    }

    async fn remove_image(&self, image: &str) -> Result<bool, Error> {
        forward!(self.remove_image(image))
    }

    async fn list_images(&self) -> Result<Vec<ImageInfo>, Error> {
        forward!(self.list_images())
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, Error> {
        forward!(self.create(spec))
    }

    async fn start(&self, id: &ContainerId) -> Result<Started, Error> {
        forward!(self.start(id))
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Option<ContainerState>, Error> {
        forward!(self.inspect(id_or_name))
    }

    async fn wait_hint(&self, id: &ContainerId, run: Option<WallTime>) -> Result<(), Error> {
        forward!(self.wait_hint(id, run))
    }

    async fn signal(&self, id: &ContainerId, signal: &str) -> Result<bool, Error> {
        forward!(self.signal(id, signal))
    }

    async fn remove(&self, id: &ContainerId, force: bool) -> Result<(), Error> {
        forward!(self.remove(id, force))
    }

    async fn list(&self, labels: &BTreeMap<String, String>) -> Result<Vec<ContainerSummary>, Error> {
        forward!(self.list(labels))
    }

    async fn attach(&self, id: &ContainerId) -> Result<Attached, Error> {
        forward!(self.attach(id))
    }

    async fn recover_log(&self, id: &ContainerId) -> Result<RecoveredLog, Error> {
        forward!(self.recover_log(id))
    }

    async fn usage(&self, id: &ContainerId) -> Result<Option<Usage>, Error> {
        forward!(self.usage(id))
    }
}
