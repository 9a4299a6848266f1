//! The way to the daemon: connect, agree on a version, call with a deadline, forget the connection when it breaks.
//!
//! Owns the agreed version. It is agreed again after each failure to reach the daemon, because what answers next may be
//! an upgraded daemon or another one.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::ClientVersion;
use serde::Deserialize;

use super::super::{Call, ContainerId, Error};
use super::peer::Peer;
use super::raw::Json;
use super::{classify, deadline};

/// Seconds bollard itself may wait for response headers: beyond all our own deadlines, which are the ones that count.
const CLIENT_TIMEOUT_SECS: u64 = 3600;

/// Longest description of versions: the daemon's is 1 KiB.
const LONGEST_VERSION: usize = 256 * 1024;

/// A Docker daemon behind a Unix socket. Cheap to clone.
#[derive(Clone)]
pub struct Docker {
    inner: Arc<Inner>,
}

struct Inner {
    socket: String,
    /// The client with its agreed version; `None` until the daemon has answered, and after it went away.
    client: Mutex<Option<bollard::Docker>>,
    /// Who is behind the socket.
    peer: Peer,
    /// Containers whose holder died before them.
    orphans: Mutex<BTreeSet<ContainerId>>,
    /// Divides all deadlines; one except in tests.
    pace: u32,
    /// Whether kept logs are read through the API only, as a worker without rights on the daemon's folder must.
    api_logs_only: bool,
}

/// What the daemon says of its versions; anything else is taken for our own.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Versions {
    api_version: String,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: String,
}

/// Reads `1.41`.
fn version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docker").field("socket", &self.inner.socket).finish_non_exhaustive()
    }
}

impl Docker {
    /// A daemon at `socket` (a path, with or without `unix://`). Connects at the first call, so this cannot fail.
    pub fn new(socket: &str) -> Self {
        Self::build(socket, false, 1)
    }

    /// Like [`Docker::new`], but never reads the daemon's log files directly.
    pub fn with_api_logs_only(socket: &str) -> Self {
        Self::build(socket, true, 1)
    }

    /// Like [`Docker::new`], with all deadlines divided by `pace`: for tests with a daemon that hangs.
    #[cfg(test)]
    pub(crate) fn hurried(socket: &str, pace: u32) -> Self {
        Self::build(socket, true, pace)
    }

    fn build(socket: &str, api_logs_only: bool, pace: u32) -> Self {
        let socket = socket.strip_prefix("unix://").unwrap_or(socket).to_owned();
        let (client, peer) = (Mutex::new(None), Peer::default());
        let orphans = Mutex::default();
        Self { inner: Arc::new(Inner { socket, client, peer, orphans, pace, api_logs_only }) }
    }

    /// A deadline as this daemon is held to it.
    pub(super) fn limit(&self, limit: Duration) -> Duration {
        limit / self.inner.pace
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.inner.peer
    }

    /// Notes that the process that held a container died while the container lived.
    pub(super) fn orphaned(&self, id: &ContainerId) {
        tracing::warn!(container_id = %id, "the shim of a running container died");
        self.orphans().insert(id.clone());
    }

    /// Whether the process that held a container died before it. Told once.
    pub fn take_orphan(&self, id: &ContainerId) -> bool {
        self.orphans().remove(id)
    }

    fn orphans(&self) -> std::sync::MutexGuard<'_, BTreeSet<ContainerId>> {
        // A set is whole after every statement.
        self.inner.orphans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the agreed version: what answers now may be another daemon.
    pub(super) fn forget_client(&self) {
        *self.slot() = None;
    }

    /// When the daemon made its socket, which it does at each start, in milliseconds since 1970. One that the init process holds
    /// for it is older than all of them.
    pub fn up_since(&self) -> Option<i64> {
        let made = std::fs::metadata(self.socket()).and_then(|about| about.modified()).ok()?;
        let since = made.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    }

    /// The socket's path.
    pub fn socket(&self) -> &str {
        &self.inner.socket
    }

    pub(super) fn reads_log_files(&self) -> bool {
        !self.inner.api_logs_only
    }

    /// Runs one request against the daemon within `limit`.
    pub(super) async fn call<T, F, R>(&self, call: Call, limit: Duration, request: F) -> Result<T, Error>
    where
        F: FnOnce(bollard::Docker) -> R,
        R: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let limit = self.limit(limit);
        let client = self.client().await?;
        match tokio::time::timeout(limit, request(client)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.note(classify::client_error(call, self.socket(), limit, &error))),
            Err(_elapsed) => Err(self.note(Error::Timeout { call, after: limit })),
        }
    }

    /// Awaits a request of our own making within `limit`.
    pub(super) async fn within<T>(
        &self,
        call: Call,
        limit: Duration,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let after = self.limit(limit);
        let answer = tokio::time::timeout(after, request).await;
        answer.unwrap_or(Err(Error::Timeout { call, after })).map_err(|error| self.note(error))
    }

    /// The connected client with an agreed version.
    pub(super) async fn client(&self) -> Result<bollard::Docker, Error> {
        if let Some(client) = self.slot().as_ref() {
            return Ok(client.clone());
        }
        let version = self.agree().await?;
        let agreed = bollard::Docker::connect_with_unix(self.socket(), CLIENT_TIMEOUT_SECS, &version)
            .map_err(|error| {
                classify::client_error(Call::Negotiate, self.socket(), deadline::INFO, &error)
            })?;
        *self.slot() = Some(agreed.clone());
        Ok(agreed)
    }

    /// Asks which versions the daemon speaks and takes the newest that both do.
    async fn agree(&self) -> Result<ClientVersion, Error> {
        let request = Json {
            call: Call::Negotiate,
            within: deadline::INFO,
            method: "GET",
            path: "/version",
            body: b"",
            longest: LONGEST_VERSION,
        };
        let said: Versions = request.ask_unversioned(self).await?;
        let ours = bollard::API_DEFAULT_VERSION;
        let newest =
            version(&said.api_version).map_or(*ours, |theirs| if theirs < *ours { theirs } else { *ours });
        match version(&said.min_api_version) {
            Some(least) if least > newest => Err(Error::Unreachable {
                socket: self.socket().to_owned(),
                reason: format!("the daemon speaks API {least} and newer, this worker {ours} and older"),
            }),
            Some(_) | None => Ok(newest),
        }
    }

    /// The agreed API version, as paths spell it: `1.41`.
    pub(super) async fn api_version(&self) -> Result<String, Error> {
        Ok(self.client().await?.client_version().to_string())
    }

    /// Forgets the connection if `error` says that the daemon is not what it was; passes the error on.
    pub(super) fn note(&self, error: Error) -> Error {
        if error.is_daemon_trouble() {
            self.forget_client();
            self.peer().doubt();
        }
        error
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<bollard::Docker>> {
        // The guarded value is replaced whole, so a poisoned lock still holds a sound one.
        self.inner.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
