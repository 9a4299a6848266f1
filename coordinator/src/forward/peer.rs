//! The way to the leader: connections that are shared by many calls and never by too many.
//!
//! Output travels on connections of its own, so that stalled readers of it hold up no session and no ordinary call. A
//! connection carries at most [`STREAMS`] calls and its window is larger than theirs together: calls that are not read
//! cannot starve the others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockmgr_core::ids::Epoch;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::config::Tls;
use crate::store::Leader;

/// Calls on one connection at a time: well below what a coordinator allows.
const STREAMS: usize = 96;
/// Connections of one kind: beyond them calls are refused, so that a flood on a follower stays the follower's.
const CONNECTIONS: usize = 16;
/// Window of one call.
const STREAM_WINDOW: u32 = 64 << 10;
/// Window of a connection: one for each of its calls and some more.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// TCP and TLS set-up between two coordinators: a leader that does not answer is gone, and the caller tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an idle connection is probed: a leader whose machine vanished must be noticed in time for its callers.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// How long a probe may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a coordinator shows to the leader and believes of it: its own certificate, and the authority of the API's clients,
/// else the machine's authorities and whoever signed its own certificate.
pub(crate) fn tls(own: &Tls) -> ClientTlsConfig {
    dockmgr_support::crypto::install();
    let identity = Identity::from_pem(&own.cert, &own.key);
    let tls = ClientTlsConfig::new().identity(identity);
    match &own.client_ca {
        Some(ca) => tls.ca_certificate(Certificate::from_pem(ca)),
        None => tls.with_enabled_roots().ca_certificate(Certificate::from_pem(&own.cert)),
    }
}

/// Why a call did not reach the leader, or its answer did not come back.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    /// The leader key names no address.
    #[error("the leader gave no address to reach it")]
    NoAddress,
    /// What it names is no address.
    #[error("the leader's address cannot be used: {0}")]
    BadAddress(#[source] tonic::transport::Error),
    /// Too many calls are forwarded already.
    #[error("too many calls are being forwarded")]
    Full,
    /// The connection failed.
    #[error("the connection to the leader failed: {0}")]
    Broken(#[from] tonic::transport::Error),
    /// Its term ended first.
    #[error("the leader changed during the call")]
    Over,
}

impl Unreachable {
    /// Whether the leader is gone or about to be called so; the others stay as they are with the next one.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Broken(_) | Self::Over => true,
            Self::NoAddress | Self::BadAddress(_) | Self::Full => false,
        }
    }
}

/// Counts the calls on a connection: one clone each.
pub(super) type Ticket = Arc<()>;

/// The connections to the present leader.
#[derive(Debug)]
pub(super) struct Peers {
    tls: Option<ClientTlsConfig>,
    current: Mutex<Option<Peer>>,
}

#[derive(Debug)]
struct Peer {
    epoch: Epoch,
    endpoint: Endpoint,
    ordinary: Vec<Line>,
    output: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    channel: Channel,
    ticket: Ticket,
}

impl Peers {
    pub(super) fn new(tls: Option<ClientTlsConfig>) -> Self {
        Self { tls, current: Mutex::new(None) }
    }

    /// A connection to `leader` for the call of `path`; the ticket is to be kept as long as the call lasts.
    pub(super) fn channel(&self, leader: &Leader, path: &str) -> Result<(Channel, Ticket), Unreachable> {
        // Nothing under the lock can fail half way, so a panic elsewhere cannot have broken it.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = match current.take() {
            Some(peer) if peer.epoch == leader.epoch => peer,
            // The calls to an older leader keep their connections for as long as they last.
            Some(_) | None => self.peer(leader)?,
        };
        current.insert(peer).line(path)
    }

    fn peer(&self, leader: &Leader) -> Result<Peer, Unreachable> {
        let address = leader.address.clone().ok_or(Unreachable::NoAddress)?;
        let endpoint = Endpoint::from_shared(address)
            .map_err(Unreachable::BadAddress)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .tcp_nodelay(true);
        let secure = endpoint.uri().scheme_str() == Some("https");
        let endpoint = match &self.tls {
            Some(tls) if secure => endpoint.tls_config(tls.clone()).map_err(Unreachable::BadAddress)?,
            Some(_) | None => endpoint,
        };
        Ok(Peer { epoch: leader.epoch, endpoint, ordinary: Vec::new(), output: Vec::new() })
    }
}

impl Peer {
    fn line(&mut self, path: &str) -> Result<(Channel, Ticket), Unreachable> {
        let lines = if carries_output(path) { &mut self.output } else { &mut self.ordinary };
        let free = lines.iter().position(|line| Arc::strong_count(&line.ticket) <= STREAMS);
        let at = match free {
            Some(at) => at,
            None if lines.len() >= CONNECTIONS => return Err(Unreachable::Full),
            None => {
                lines.push(Line { channel: self.endpoint.connect_lazy(), ticket: Arc::default() });
                lines.len() - 1
            }
        };
        Ok((lines[at].channel.clone(), Arc::clone(&lines[at].ticket)))
    }
}

/// Whether a call carries output of jobs.
fn carries_output(path: &str) -> bool {
    path.starts_with("/dockmgr.v1.LogService/") || path.ends_with("/UploadLogs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(epoch: u64) -> Leader {
        Leader { epoch: Epoch(epoch), name: "a".to_owned(), address: Some("http://127.0.0.1:1".to_owned()) }
    }

    #[tokio::test]
    async fn calls_share_connections_up_to_their_bound_and_are_refused_beyond_the_last() {
        let peers = Peers::new(None);
        let mut tickets = Vec::new();
        for _ in 0..STREAMS * CONNECTIONS {
            tickets.push(peers.channel(&leader(1), "/dockmgr.v1.JobService/GetJob").expect("room").1);
        }
        assert!(matches!(peers.channel(&leader(1), "/dockmgr.v1.JobService/GetJob"), Err(Unreachable::Full)));
        assert!(peers.channel(&leader(1), "/dockmgr.v1.LogService/FollowLogs").is_ok(), "output has its own");
        tickets.pop();
        assert!(peers.channel(&leader(1), "/dockmgr.v1.JobService/GetJob").is_ok(), "one ended");
        assert!(
            peers.channel(&leader(2), "/dockmgr.v1.JobService/GetJob").is_ok(),
            "a new leader, new connections"
        );
    }

    #[tokio::test]
    async fn a_leader_without_a_usable_address_is_named_so() {
        let peers = Peers::new(None);
        let nameless = Leader { address: None, ..leader(1) };
        assert!(matches!(peers.channel(&nameless, "/x"), Err(Unreachable::NoAddress)));
        let foreign = Leader { address: Some("not a url at all".to_owned()), ..leader(1) };
        assert!(matches!(peers.channel(&foreign, "/x"), Err(Unreachable::BadAddress(_))));
    }
}
