//! The listening side: address, TLS, limits, services, health and reflection.
//!
//! Owns every transport limit. What the services do is theirs.
//!
//! ```text
//! accept -> admission (a place, or refused) -> connection (patience, cut) -> web -> calls (counted) -> entrance (deadline)
//!        -> forward -> gate -> services
//! ```

mod accept;
mod admission;
mod complaints;
mod connection;
mod entrance;
mod frame_watch;
mod limits;

use std::net::SocketAddr;

use dockmgr_proto::DESCRIPTOR_SET;
use dockmgr_proto::v1::cluster_service_server::ClusterServiceServer;
use dockmgr_proto::v1::event_service_server::EventServiceServer;
use dockmgr_proto::v1::job_service_server::JobServiceServer;
use dockmgr_proto::v1::log_service_server::LogServiceServer;
use dockmgr_proto::v1::node_service_server::NodeServiceServer;
use dockmgr_proto::v1::worker_service_server::WorkerServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::Router;
use tonic::transport::{Certificate, ServerTlsConfig};
use tonic_health::server::HealthReporter;
use tower::layer::util::{Identity, Stack};

use crate::config::{Allowed, Tls};
use crate::forward::ForwardLayer;
use crate::metrics::calls::Calls;
use crate::rpc::{Events, Gate, Jobs, Logs, Nodes, Overview, Workers};
use crate::web::WebLayer;

use admission::Admission;
use entrance::EntranceLayer;
use limits::{MAX_HELLO_BYTES, MAX_MESSAGE_BYTES, MAX_REPLY_BYTES};

/// The services of the API.
pub(crate) struct Services {
    pub(crate) jobs: Jobs,
    pub(crate) logs: Logs,
    pub(crate) nodes: Nodes,
    pub(crate) events: Events,
    pub(crate) overview: Overview,
    pub(crate) workers: Workers,
    pub(crate) gate: Gate,
    /// Answers calls at the leader, wherever that is.
    pub(crate) forward: ForwardLayer,
    /// Counts every call.
    pub(crate) calls: Calls,
    /// Names by which browsers may call this coordinator.
    pub(crate) web_hosts: Vec<String>,
}

/// Names of the public services, for health.
const SERVICES: [&str; 7] = [
    "",
    "dockmgr.v1.JobService",
    "dockmgr.v1.LogService",
    "dockmgr.v1.NodeService",
    "dockmgr.v1.EventService",
    "dockmgr.v1.ClusterService",
    "dockmgr.v1.WorkerService",
];

/// What every call passes through.
type Layers = Stack<ForwardLayer, Outer>;

/// What every call passes through before it is known where it is answered.
type Outer = Stack<EntranceLayer, Stack<Calls, Stack<Web, Identity>>>;

/// JSON over HTTP and the page; tells the connection of requests that it answers itself.
type Web = WebLayer<fn(&http::Extensions)>;

/// A server that is bound and can be run.
pub(crate) struct Bound {
    router: Router<Layers>,
    listener: TcpListener,
    admission: Admission,
    /// Whether there is no TLS.
    plain: bool,
    /// The address it listens on; the port is known even if 0 was asked for.
    pub(crate) address: SocketAddr,
    /// Tells whether this coordinator serves.
    pub(crate) health: Health,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The TLS material cannot be used.
    #[error("use the TLS certificate and key")]
    Tls(#[source] tonic::transport::Error),
    /// The reflection service cannot be built from the descriptors.
    #[error("build the reflection service")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// Serving failed.
    #[error("serve the API")]
    Serve(#[source] tonic::transport::Error),
}

/// What health checks ask for to hear whether this coordinator itself leads and its store takes writes.
const CHANGES: &str = "dockmgr.changes";

/// Tells health checks whether this coordinator leads.
#[derive(Debug, Clone)]
pub(crate) struct Health(HealthReporter);

impl Health {
    /// Sets the answer of all services.
    pub(crate) async fn set(&self, serves: bool) {
        for service in SERVICES {
            self.0.set_service_status(service, status(serves)).await;
        }
    }

    /// Sets the answer for [`CHANGES`].
    pub(crate) async fn set_changes(&self, can: bool) {
        self.0.set_service_status(CHANGES, status(can)).await;
    }
}

fn status(serves: bool) -> tonic_health::ServingStatus {
    if serves { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing }
}

/// Binds the address and prepares the services; nothing is served yet.
pub(crate) async fn bind(
    listen: SocketAddr,
    tls: Option<&Tls>,
    connections: Allowed,
    services: Services,
) -> Result<Bound, Error> {
    let failed = |source| Error::Bind { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let health = Health(reporter);
    health.set(false).await;
    health.set_changes(false).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(Error::Reflection)?;
    let mut server =
        limits::builder(Web::new(services.web_hosts, entrance::note), services.calls).layer(services.forward);
    if let Some(tls) = tls {
        server = server.tls_config(tls_config(tls)).map_err(Error::Tls)?;
    }
    let gate = services.gate;
    let router = server.add_service(health_service);
    let router = router.add_service(InterceptedService::new(reflection, gate.clone()));
    let router = add(router, services.jobs, services.logs, &gate);
    let nodes = NodeServiceServer::new(services.nodes).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let events = EventServiceServer::new(services.events).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let overview = ClusterServiceServer::new(services.overview).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let workers = WorkerServiceServer::new(services.workers)
        .max_decoding_message_size(MAX_HELLO_BYTES)
        .max_encoding_message_size(MAX_REPLY_BYTES);
    let router = router
        .add_service(InterceptedService::new(nodes, gate.clone()))
        .add_service(InterceptedService::new(events, gate.clone()))
        .add_service(InterceptedService::new(overview, gate.clone()))
        .add_service(InterceptedService::new(workers, gate));
    let admission = Admission::new(limits::fit_to_files(connections));
    Ok(Bound { router, listener, admission, plain: tls.is_none(), address, health })
}

impl Bound {
    /// Serves until `stop` is cancelled; open calls are then given the time their owner allows.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let stopped = stop.cancelled_owned();
        let incoming = accept::incoming(self.listener, self.admission, self.plain);
        self.router.serve_with_incoming_shutdown(incoming, stopped).await.map_err(Error::Serve)
    }
}

fn add(router: Router<Layers>, jobs: Jobs, logs: Logs, gate: &Gate) -> Router<Layers> {
    let jobs = JobServiceServer::new(jobs)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_REPLY_BYTES)
        .accept_compressed(CompressionEncoding::Zstd);
    let logs = LogServiceServer::new(logs)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_REPLY_BYTES);
    router
        .add_service(InterceptedService::new(jobs, gate.clone()))
        .add_service(InterceptedService::new(logs, gate.clone()))
}

fn tls_config(tls: &Tls) -> ServerTlsConfig {
    let identity = tonic::transport::Identity::from_pem(&tls.cert, &tls.key);
    let config = ServerTlsConfig::new().identity(identity).timeout(limits::TLS_HANDSHAKE);
    match &tls.client_ca {
        Some(ca) => config.client_ca_root(Certificate::from_pem(ca)),
        None => config,
    }
}
