//! The container runtime: what a worker can do to containers and images, and nothing about when or why.
//!
//! Owns the [`Runtime`] trait, its plain types and its two implementations: [`docker::Docker`] drives a real daemon,
//! [`fake::Fake`] models one in memory with the same quirks. Both pass the same list of behaviours, `conformance`.
//! It is mechanism only. It never retries, keeps no journal and knows nothing of attempts: the attempt driver, its only
//! caller, carries out what the worker's state machine decided. Every call has its own deadline and ends in an
//! [`Error`] that says whether the effect may have happened anyway.

use std::collections::BTreeMap;
use std::future::Future;

use dockmgr_core::time::WallTime;
use tokio::sync::watch;

pub mod any;
#[cfg(test)]
mod conformance;
pub mod docker;
pub mod error;
pub mod fake;
pub mod image;
pub mod output;
pub mod spec;
pub mod state;

pub use any::AnyRuntime;
pub use error::{Call, Error, ImageFailure};
pub use image::{ImageInfo, PullProgress, RegistryAuth};
pub use output::{Attached, Recovered, RecoveredLog};
pub use spec::{Command, ContainerSpec, Mount, Network};
pub use state::{ContainerId, ContainerState, ContainerStatus, ContainerSummary, DaemonInfo, Started, Usage};

/// A daemon that runs containers. Cheap to clone; all clones share one connection set-up.
///
/// Dropping any of the futures gives up waiting for the answer, not the effect: the daemon carries out what it received.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// Describes the daemon; also the health probe.
    fn info(&self) -> impl Future<Output = Result<DaemonInfo, Error>> + Send;

    /// Pulls `image` and proves by inspection that it is there. Progress is overwritten, never queued.
    ///
    /// Fails with [`Error::Timeout`] after a minute without a byte or half an hour in all. Dropping the future closes
    /// the daemon's stream, which cancels the pull; layers that are complete stay in the daemon's cache.
    fn pull(
        &self,
        image: &str,
        auth: Option<&RegistryAuth>,
        progress: &watch::Sender<PullProgress>,
    ) -> impl Future<Output = Result<ImageInfo, Error>> + Send;

    /// Looks an image up by reference, digest or id; `None` if the daemon does not have it.
    fn inspect_image(&self, image: &str) -> impl Future<Output = Result<Option<ImageInfo>, Error>> + Send;

    /// Removes an image by reference or id, never by force. `false` if it was not there.
    ///
    /// An image a container uses fails with [`Error::Conflict`].
    fn remove_image(&self, image: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Lists all images that carry a name, a digest or nothing at all; intermediate layers are left out.
    fn list_images(&self) -> impl Future<Output = Result<Vec<ImageInfo>, Error>> + Send;

    /// Creates a container without starting it.
    fn create(&self, spec: &ContainerSpec) -> impl Future<Output = Result<ContainerId, Error>> + Send;

    /// Sends exactly one start request.
    ///
    /// The daemon runs an exited container *again* when it is started again. Never call this twice for a container: after
    /// an ambiguous error only [`Runtime::inspect`] may tell what happened.
    fn start(&self, id: &ContainerId) -> impl Future<Output = Result<Started, Error>> + Send;

    /// Reads the state of a container, the only truth about how it ended; `None` if there is no such container.
    fn inspect(&self, id_or_name: &str)
    -> impl Future<Output = Result<Option<ContainerState>, Error>> + Send;

    /// Resolves when the container has probably ended or is gone. A hint: inspect afterwards.
    ///
    /// Call it only once a start is confirmed: waiting for a created container returns at once. It has no deadline of its
    /// own and fails when the daemon goes away. Cancel safe.
    ///
    /// `run` is when the run that is waited for began, as inspected: somebody may have started the container again since,
    /// and a wait for a run that is over returns at once. `None` waits for whichever run is found.
    fn wait_hint(
        &self,
        id: &ContainerId,
        run: Option<WallTime>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends a signal by name (`SIGTERM`) or number to the container's first process.
    ///
    /// `false` if nothing was running that could receive it.
    fn signal(&self, id: &ContainerId, signal: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Removes a container with its anonymous volumes; with `force` a running one is killed first.
    ///
    /// `Ok` means it is gone or going (absent and "removal in progress" count): inspect to be sure.
    fn remove(&self, id: &ContainerId, force: bool) -> impl Future<Output = Result<(), Error>> + Send;

    /// Lists containers in every state that carry all of `labels`.
    fn list(
        &self,
        labels: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<Vec<ContainerSummary>, Error>> + Send;

    /// Attaches to the output of a container; established when this returns, so nothing is lost if start comes after.
    ///
    /// Whoever holds it must read it all the time: a stalled reader blocks the container.
    fn attach(&self, id: &ContainerId) -> impl Future<Output = Result<Attached, Error>> + Send;

    /// Opens the output the daemon kept, from its first byte; follows a running container and ends after its end.
    fn recover_log(&self, id: &ContainerId) -> impl Future<Output = Result<RecoveredLog, Error>> + Send;

    /// Samples the resource usage of a container; `None` when it is not running.
    fn usage(&self, id: &ContainerId) -> impl Future<Output = Result<Option<Usage>, Error>> + Send;
}
