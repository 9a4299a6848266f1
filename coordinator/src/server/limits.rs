//! Every limit of the transport, and the library's server with them set.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tonic::transport::Server;

use super::entrance::EntranceLayer;
use super::{Outer, Web};
use crate::config::Allowed;
use crate::metrics::calls::Calls;

/// Largest message taken in: a spec is at most half of it, a piece of output a quarter.
pub(super) const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Largest message of a worker: a Hello names every attempt in its journal, ten thousand results after a long outage.
pub(super) const MAX_HELLO_BYTES: usize = 16 << 20;
/// Largest message sent: a page of 1000 jobs with large specs.
pub(super) const MAX_REPLY_BYTES: usize = 64 << 20;
/// How long the TLS handshake may take: it is two round trips.
pub(super) const TLS_HANDSHAKE: Duration = Duration::from_secs(5);

/// Streams of one connection at a time. A program that needs more opens more connections.
const MAX_STREAMS: u32 = 128;
/// Window of one stream: far below the connection's, so that one stalled stream cannot starve the others.
const STREAM_WINDOW: u32 = 256 << 10;
/// Window of a connection. Workers use one connection for their session and another one for output.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Most header bytes of a call.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// Largest frame taken in, which is the protocol's least: a larger one would only be buffered.
const MAX_FRAME_BYTES: u32 = 16 << 10;
/// Streams a peer may have reset before they were looked at; one more ends the connection.
const MAX_PENDING_RESETS: usize = 20;
/// Streams of a connection that we reset for its mistakes; one more ends the connection.
const MAX_ERROR_RESETS: usize = 256;
/// How often an idle connection is probed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a probe may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// After this a connection takes no new calls and the peer dials again, perhaps to another coordinator. Streams that are
/// open go on to their end.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// The server before it has services.
pub(super) fn builder(web: Web, calls: Calls) -> Server<Outer> {
    Server::builder()
        .accept_http1(true)
        .layer(web)
        .layer(calls)
        .layer(EntranceLayer)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_frame_size(MAX_FRAME_BYTES)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_connection_age(MAX_AGE)
}

/// Asks the system for all the files this process may have, and keeps half of them for the store and the logs.
pub(super) fn fit_to_files(wanted: Allowed) -> Allowed {
    let now = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, ..now }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let files = getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let total = wanted.total.min(files / 2);
    if total < wanted.total {
        tracing::warn!(
            open_files = files,
            connections = total,
            wanted = wanted.total,
            "the limit of open files allows fewer connections than set: raise it (ulimit -n, LimitNOFILE)"
        );
    }
    Allowed { total, ..wanted }
}
