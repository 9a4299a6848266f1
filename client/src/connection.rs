//! The connection: which coordinators there are, and which of them is spoken to.
//!
//! Owns the channels. Every clone of a [`Client`] shares them; they reconnect by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dockmgr_core::trace::TraceParent;
use dockmgr_support::channel::{self, Address, CONNECT_TIMEOUT, Credentials};
use tokio::time::Instant;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::banner;
use crate::call::backoff;
use crate::error::Error;
use crate::headers::Headers;
use crate::outage::{Outage, Told};

/// Deadline of an ordinary call: a coordinator that is alive answers within milliseconds, a busy one within seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a coordinator that refuses connections is asked again: one that was killed is back within a second, and a
/// person who started none should not wait long to hear so.
const RESTART_PATIENCE: Duration = Duration::from_secs(2);

/// A channel that adds the headers to every call.
pub(crate) type Link = InterceptedService<Channel, Headers>;

/// Where the coordinators are and how to speak to them.
#[derive(Debug, Clone)]
pub struct Options {
    /// The coordinators, in the order in which they are tried; at least one.
    pub servers: Vec<Address>,
    /// TLS material and token.
    pub credentials: Credentials,
    /// Deadline of one ordinary call, its retries included.
    pub call_timeout: Duration,
    /// The caller's span: the spans of jobs it submits hang below it.
    pub trace_parent: Option<TraceParent>,
    /// Called once in an outage that lasts: a person who waits should know what for.
    pub told: Told,
}

impl Options {
    /// One coordinator without TLS material and token.
    pub fn for_server(server: &str) -> Result<Self, Error> {
        let address = Address::parse(server).map_err(Error::Prepare)?;
        Ok(Self::new(vec![address], Credentials::default()))
    }

    /// Several coordinators of one cluster.
    pub fn new(servers: Vec<Address>, credentials: Credentials) -> Self {
        Self { servers, credentials, call_timeout: CALL_TIMEOUT, trace_parent: None, told: Told::default() }
    }
}

/// A client of one cluster; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    servers: Vec<Server>,
    /// Index of the coordinator that answered last.
    current: AtomicUsize,
    headers: Headers,
    call_timeout: Duration,
    outage: Outage,
}

#[derive(Debug)]
struct Server {
    address: Address,
    channel: Channel,
    /// It has answered as one of ours: what breaks later is a broken connection and no foreign program.
    proven: AtomicBool,
}

impl Client {
    /// Finds the first coordinator that answers, within 5 s each. One that refuses connections is asked again for 2 s.
    ///
    /// Must be called inside a tokio runtime. Dropping the future leaves nothing behind.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let client = Self::prepare(options)?;
        let give_up = Instant::now() + RESTART_PATIENCE;
        let mut delays = backoff();
        loop {
            let error = match client.first_that_answers().await {
                Ok(at) => {
                    client.inner.current.store(at, Ordering::Relaxed);
                    return Ok(client);
                }
                Err(error) => error,
            };
            let delay = delays.next_delay();
            if !matches!(error, Error::Unreachable { .. }) || Instant::now() + delay >= give_up {
                return Err(error);
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// Asks each coordinator once; the last error if none answers.
    async fn first_that_answers(&self) -> Result<usize, Error> {
        let mut refused = None;
        for at in 0..self.inner.servers.len() {
            match self.probe(at).await {
                Ok(_) => return Ok(at),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or(Error::NoServer))
    }

    /// Whether the coordinator that is spoken to says it serves. A coordinator that is starting or following says no.
    pub async fn is_serving(&self) -> Result<bool, Error> {
        self.probe(self.at()).await
    }

    /// The address of the coordinator that is spoken to.
    pub fn server(&self) -> &Address {
        &self.inner.servers[self.at()].address
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        self.inner.call_timeout
    }

    /// The way to the current coordinator.
    pub(crate) fn link(&self) -> Link {
        let channel = self.inner.servers[self.at()].channel.clone();
        InterceptedService::new(channel, self.inner.headers.clone())
    }

    /// What a status means, coming from the current coordinator.
    pub(crate) fn meaning(&self, status: &tonic::Status) -> Error {
        let server = &self.inner.servers[self.at()];
        let error = Error::from_status(&server.address, status);
        match error {
            Error::NotGrpc { server: name, cause } if server.proven.load(Ordering::Relaxed) => {
                Error::Unreachable { server: name, cause }
            }
            other => other,
        }
    }

    /// Tells that the current coordinator has answered.
    pub(crate) fn answered(&self) {
        self.inner.servers[self.at()].proven.store(true, Ordering::Relaxed);
        self.inner.outage.over();
    }

    /// Turns to the next coordinator after the current one failed.
    pub(crate) fn turn(&self, error: &Error) {
        self.inner.outage.goes_on(error);
        let next = (self.at() + 1) % self.inner.servers.len();
        self.inner.current.store(next, Ordering::Relaxed);
    }

    fn at(&self) -> usize {
        self.inner.current.load(Ordering::Relaxed)
    }

    fn prepare(options: Options) -> Result<Self, Error> {
        let call_timeout = options.call_timeout;
        let mut servers = Vec::with_capacity(options.servers.len());
        for address in options.servers {
            let endpoint = channel::endpoint(&address, &options.credentials).map_err(Error::Prepare)?;
            servers.push(Server {
                address,
                channel: endpoint.connect_lazy(),
                proven: AtomicBool::new(false),
            });
        }
        if servers.is_empty() {
            return Err(Error::NoServer);
        }
        let headers = Headers::new(options.credentials.token.as_ref(), options.trace_parent);
        let inner = Inner {
            servers,
            current: AtomicUsize::new(0),
            headers,
            call_timeout,
            outage: Outage::new(options.told),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Asks one server for its health. Whatever it answers by gRPC shows that it is one of ours.
    async fn probe(&self, at: usize) -> Result<bool, Error> {
        let server = &self.inner.servers[at];
        let mut health = HealthClient::new(server.channel.clone());
        let check = health.check(HealthCheckRequest { service: String::new() });
        match tokio::time::timeout(CONNECT_TIMEOUT, check).await {
            Ok(Ok(answer)) => {
                server.proven.store(true, Ordering::Relaxed);
                Ok(answer.into_inner().status() == ServingStatus::Serving)
            }
            Ok(Err(status)) if Error::is_from_server(&status) => Ok(false),
            Ok(Err(status)) => Err(unanswered(&server.address, &status).await),
            Err(_elapsed) => {
                Err(Error::Silent { server: server.address.to_string(), seconds: CONNECT_TIMEOUT.as_secs() })
            }
        }
    }
}

/// Why a server did not answer by gRPC: it may speak something else.
async fn unanswered(address: &Address, status: &tonic::Status) -> Error {
    let error = Error::from_status(address, status);
    let Error::Unreachable { server, cause } = &error else { return error };
    if cause.contains("Connection refused") {
        return error;
    }
    match banner::foreign(address).await {
        Some(words) => Error::NotGrpc { server: server.clone(), cause: format!("it says '{words}'") },
        None => error,
    }
}
