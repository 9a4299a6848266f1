//! The runtime on a real Docker daemon, API 1.41 (Docker 20.10) and newer, over its local socket.
//!
//! Owns the connection, the deadlines and the mapping of answers to [`runtime::Error`](super::Error) classes. Ordinary calls go
//! through bollard. Four go through `raw`, a minimal exchange of our own, because their details decide correctness:
//! start (one request, nothing in between that might repeat it, and "already running" told apart), inspect (an unknown
//! word or a missing field must not hide the rest), attach and logs (exact frames, a cut frame is an error and not text).

use std::collections::BTreeMap;

use dockmgr_core::time::WallTime;
use tokio::sync::watch;

use super::{
    Attached, ContainerId, ContainerSpec, ContainerState, ContainerSummary, DaemonInfo, Error, ImageInfo,
    PullProgress, RecoveredLog, RegistryAuth, Runtime, Started, Usage,
};

mod attach;
pub mod auth;
mod cgroup;
mod classify;
mod connection;
mod containers;
mod create_body;
mod deadline;
mod demux;
mod image_calls;
mod info;
mod inspect;
mod log_api;
mod log_entry;
mod log_file;
mod peer;
mod pull;
mod raw;
mod recover;
mod shim;
mod start;
mod usage;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use connection::Docker;

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

impl Runtime for Docker {
    async fn info(&self) -> Result<DaemonInfo, Error> {
        info::info(self).await
    }

    async fn pull(
        &self,
        image: &str,
        auth: Option<&RegistryAuth>,
        progress: &watch::Sender<PullProgress>,
    ) -> Result<ImageInfo, Error> {
        pull::pull(self, image, auth, progress).await
    }

    async fn inspect_image(&self, image: &str) -> Result<Option<ImageInfo>, Error> {
        image_calls::inspect(self, image).await
    }

    async fn remove_image(&self, image: &str) -> Result<bool, Error> {
        image_calls::remove(self, image).await
    }

    async fn list_images(&self) -> Result<Vec<ImageInfo>, Error> {
        image_calls::list(self).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, Error> {
        containers::create(self, spec).await
    }

    async fn start(&self, id: &ContainerId) -> Result<Started, Error> {
        start::start(self, id).await
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Option<ContainerState>, Error> {
        inspect::inspect(self, id_or_name).await
    }

    async fn wait_hint(&self, id: &ContainerId, run: Option<WallTime>) -> Result<(), Error> {
        containers::wait_hint(self, id, run).await
    }

    async fn signal(&self, id: &ContainerId, signal: &str) -> Result<bool, Error> {
        containers::signal(self, id, signal).await
    }

    async fn remove(&self, id: &ContainerId, force: bool) -> Result<(), Error> {
        containers::remove(self, id, force).await
    }

    async fn list(&self, labels: &BTreeMap<String, String>) -> Result<Vec<ContainerSummary>, Error> {
        containers::list(self, labels).await
    }

    async fn attach(&self, id: &ContainerId) -> Result<Attached, Error> {
        attach::attach(self, id).await
    }

    async fn recover_log(&self, id: &ContainerId) -> Result<RecoveredLog, Error> {
        recover::recover_log(self, id).await
    }

    async fn usage(&self, id: &ContainerId) -> Result<Option<Usage>, Error> {
        usage::usage(self, id).await
    }
}
