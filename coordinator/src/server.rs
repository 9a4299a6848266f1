//! The listening side: address, TLS, limits, services, health and reflection.
//!
//! Owns every transport limit. What the services do is theirs.

use std::net::SocketAddr;
use std::time::Duration;

use dockmgr_proto::DESCRIPTOR_SET;
use dockmgr_proto::v1::event_service_server::EventServiceServer;
use dockmgr_proto::v1::job_service_server::JobServiceServer;
use dockmgr_proto::v1::log_service_server::LogServiceServer;
use dockmgr_proto::v1::node_service_server::NodeServiceServer;
use dockmgr_proto::v1::worker_service_server::WorkerServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Certificate, Server, ServerTlsConfig};
use tonic_health::server::HealthReporter;
use tower::layer::util::{Identity, Stack};
use tower::util::MapResponseLayer;

use crate::config::Tls;
use crate::forward::ForwardLayer;
use crate::rpc::{Events, Gate, Jobs, Logs, Nodes, Workers};

/// Largest message taken in: a spec is at most half of it, a piece of output a quarter.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Largest message of a worker: a Hello names every attempt in its journal, ten thousand results after a long outage.
const MAX_HELLO_BYTES: usize = 16 << 20;
/// Largest message sent: a page of 1000 jobs with large specs.
const MAX_REPLY_BYTES: usize = 64 << 20;
/// Streams of one connection at a time.
const MAX_STREAMS: u32 = 256;
/// Window of one stream: far below the connection's, so that one stalled stream cannot starve the others.
const STREAM_WINDOW: u32 = 256 << 10;
/// Window of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Most header bytes of a call.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// How often an idle connection is probed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a probe may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The services of the API.
pub(crate) struct Services {
    pub(crate) jobs: Jobs,
    pub(crate) logs: Logs,
    pub(crate) nodes: Nodes,
    pub(crate) events: Events,
    pub(crate) workers: Workers,
    pub(crate) gate: Gate,
    /// Answers calls at the leader, wherever that is.
    pub(crate) forward: ForwardLayer,
}

/// Names of the public services, for health.
const SERVICES: [&str; 6] = [
    "",
    "dockmgr.v1.JobService",
    "dockmgr.v1.LogService",
    "dockmgr.v1.NodeService",
    "dockmgr.v1.EventService",
    "dockmgr.v1.WorkerService",
];

/// What every answer passes through.
type Layers =
    Stack<ForwardLayer, Stack<MapResponseLayer<fn(http::Response<Body>) -> http::Response<Body>>, Identity>>;

/// A server that is bound and can be run.
pub(crate) struct Bound {
    router: Router<Layers>,
    incoming: TcpIncoming,
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

/// Tells health checks whether this coordinator leads.
#[derive(Debug, Clone)]
pub(crate) struct Health(HealthReporter);

impl Health {
    /// Sets the answer of all services.
    pub(crate) async fn set(&self, serves: bool) {
        let status = if serves {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        for service in SERVICES {
            self.0.set_service_status(service, status).await;
        }
    }
}

/// Binds the address and prepares the services; nothing is served yet.
pub(crate) async fn bind(listen: SocketAddr, tls: Option<&Tls>, services: Services) -> Result<Bound, Error> {
    let failed = |source| Error::Bind { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    // The server's own setting is ignored for connections that are accepted elsewhere.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let health = Health(reporter);
    health.set(false).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(Error::Reflection)?;
    let mut server = builder(services.forward);
    if let Some(tls) = tls {
        server = server.tls_config(tls_config(tls)).map_err(Error::Tls)?;
    }
    let gate = services.gate;
    let router = server.add_service(health_service);
    let router = router.add_service(InterceptedService::new(reflection, gate.clone()));
    let router = add(router, services.jobs, services.logs, &gate);
    let nodes = NodeServiceServer::new(services.nodes).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let events = EventServiceServer::new(services.events).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let workers = WorkerServiceServer::new(services.workers)
        .max_decoding_message_size(MAX_HELLO_BYTES)
        .max_encoding_message_size(MAX_REPLY_BYTES);
    let router = router
        .add_service(InterceptedService::new(nodes, gate.clone()))
        .add_service(InterceptedService::new(events, gate.clone()))
        .add_service(InterceptedService::new(workers, gate));
    Ok(Bound { router, incoming, address, health })
}

impl Bound {
    /// Serves until `stop` is cancelled; open calls are then given the time their owner allows.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let stopped = stop.cancelled_owned();
        self.router.serve_with_incoming_shutdown(self.incoming, stopped).await.map_err(Error::Serve)
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

fn builder(forward: ForwardLayer) -> Server<Layers> {
    Server::builder()
        .layer(MapResponseLayer::new(too_large_is_exhausted as fn(_) -> _))
        .layer(forward)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// A message over the limit is refused by the library with `OUT_OF_RANGE`, which in this API means a place in a stream that
/// is not kept any more; what it is, is a limit of ours.
fn too_large_is_exhausted(mut response: http::Response<Body>) -> http::Response<Body> {
    const OUT_OF_RANGE: &str = "11";
    const RESOURCE_EXHAUSTED: &str = "8";
    let headers = response.headers_mut();
    let about_size = |text: &http::HeaderValue| {
        String::from_utf8_lossy(text.as_bytes()).replace("%20", " ").contains("message length too large")
    };
    if headers.get("grpc-status").is_some_and(|code| code == OUT_OF_RANGE)
        && headers.get("grpc-message").is_some_and(about_size)
    {
        headers.insert("grpc-status", http::HeaderValue::from_static(RESOURCE_EXHAUSTED));
    }
    response
}

fn tls_config(tls: &Tls) -> ServerTlsConfig {
    let config = ServerTlsConfig::new().identity(tonic::transport::Identity::from_pem(&tls.cert, &tls.key));
    match &tls.client_ca {
        Some(ca) => config.client_ca_root(Certificate::from_pem(ca)),
        None => config,
    }
}
