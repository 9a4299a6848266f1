//! How long each call to the daemon may take, and why.
//!
//! A daemon under load is slow, not dead: 32 parallel starts have been seen to take 7 s each (moby#42096), and a paused
//! one answers everything late. A deadline that passes makes the outcome unknown, so they are generous.

use std::time::Duration;

/// Agreeing on a version and describing the daemon touch no container: a daemon that needs longer is hung.
pub(super) const INFO: Duration = Duration::from_secs(10);
/// Inspect takes one container's lock only; longer means that container is stuck (moby#33870).
pub(super) const INSPECT: Duration = Duration::from_secs(10);
/// Listing 500 containers takes 26 ms; ten thousand foreign ones stay well below this.
pub(super) const LIST: Duration = Duration::from_secs(30);
/// Create takes 6 ms, but waits for the disk when layers are being unpacked.
pub(super) const CREATE: Duration = Duration::from_secs(60);
/// Start takes 0.2 s alone and up to 15 s on a crowded host with the bridge network.
pub(super) const START: Duration = Duration::from_secs(120);
/// A signal is one system call of the runtime, 50 ms; a container that is just starting holds its lock longer.
pub(super) const SIGNAL: Duration = Duration::from_secs(15);
/// Removal unmounts and deletes the writable layer, which may be large.
pub(super) const REMOVE: Duration = Duration::from_secs(60);
/// Attach answers as soon as the container's lock is free.
pub(super) const ATTACH: Duration = Duration::from_secs(15);
/// Opening the kept log is as cheap as attach; reading it has no deadline.
pub(super) const LOGS_OPEN: Duration = Duration::from_secs(15);
/// One sample, taken at once when asked for a single shot.
pub(super) const USAGE: Duration = Duration::from_secs(10);
/// Image metadata.
pub(super) const IMAGE_INSPECT: Duration = Duration::from_secs(10);
/// Image lists compute sizes on some storage drivers.
pub(super) const IMAGE_LIST: Duration = Duration::from_secs(60);
/// Deleting layers is limited by the disk.
pub(super) const IMAGE_REMOVE: Duration = Duration::from_secs(120);
/// A pull without a byte for this long is stuck (moby#10378); registries keep silent for seconds, not for a minute.
pub(super) const PULL_IDLE: Duration = Duration::from_secs(60);
/// A pull in all: 10 GiB at 6 MB/s.
pub(super) const PULL_TOTAL: Duration = Duration::from_secs(1800);
/// Back-up for a wait that the daemon forgot: look at the container this often.
pub(super) const WAIT_POLL: Duration = Duration::from_secs(5);
