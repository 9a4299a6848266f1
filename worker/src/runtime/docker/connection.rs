//! The way to the daemon: connect, agree on a version, call with a deadline, forget the connection when it breaks.
//!
//! Owns the agreed version. It is agreed again after each failure to reach the daemon, because what answers next may be
//! an upgraded daemon or another one.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::{Call, Error};
use super::{classify, deadline};

/// Seconds bollard itself may wait for response headers: beyond all our own deadlines, which are the ones that count.
const CLIENT_TIMEOUT_SECS: u64 = 3600;

/// A Docker daemon behind a Unix socket. Cheap to clone.
#[derive(Clone)]
pub struct Docker {
    inner: Arc<Inner>,
}

struct Inner {
    socket: String,
    /// The client with its agreed version; `None` until the daemon has answered, and after it went away.
    client: Mutex<Option<bollard::Docker>>,
    /// Whether kept logs are read through the API only, as a worker without rights on the daemon's folder must.
    api_logs_only: bool,
}

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docker").field("socket", &self.inner.socket).finish_non_exhaustive()
    }
}

impl Docker {
    /// A daemon at `socket` (a path, with or without `unix://`). Connects at the first call, so this cannot fail.
    pub fn new(socket: &str) -> Self {
        Self::build(socket, false)
    }

    /// Like [`Docker::new`], but never reads the daemon's log files directly.
    pub fn with_api_logs_only(socket: &str) -> Self {
        Self::build(socket, true)
    }

    fn build(socket: &str, api_logs_only: bool) -> Self {
        let socket = socket.strip_prefix("unix://").unwrap_or(socket).to_owned();
        Self { inner: Arc::new(Inner { socket, client: Mutex::new(None), api_logs_only }) }
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
        let client = self.client().await?;
        match tokio::time::timeout(limit, request(client)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.note(classify::client_error(call, self.socket(), limit, &error))),
            Err(_elapsed) => Err(self.note(Error::Timeout { call, after: limit })),
        }
    }

    /// The connected client with an agreed version.
    pub(super) async fn client(&self) -> Result<bollard::Docker, Error> {
        if let Some(client) = self.slot().as_ref() {
            return Ok(client.clone());
        }
        let fail = |error: &bollard::errors::Error| {
            classify::client_error(Call::Negotiate, self.socket(), deadline::INFO, error)
        };
        let fresh = bollard::Docker::connect_with_unix(
            self.socket(),
            CLIENT_TIMEOUT_SECS,
            bollard::API_DEFAULT_VERSION,
        )
        .map_err(|error| fail(&error))?;
        let agreed = tokio::time::timeout(deadline::INFO, fresh.negotiate_version())
            .await
            .map_err(|_elapsed| Error::Timeout { call: Call::Negotiate, after: deadline::INFO })?
            .map_err(|error| fail(&error))?;
        *self.slot() = Some(agreed.clone());
        Ok(agreed)
    }

    /// The agreed API version, as paths spell it: `1.41`.
    pub(super) async fn api_version(&self) -> Result<String, Error> {
        Ok(self.client().await?.client_version().to_string())
    }

    /// Forgets the connection if `error` says that the daemon is not what it was; passes the error on.
    pub(super) fn note(&self, error: Error) -> Error {
        if error.is_daemon_trouble() {
            *self.slot() = None;
        }
        error
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<bollard::Docker>> {
        // The guarded value is replaced whole, so a poisoned lock still holds a sound one.
        self.inner.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
