//! Sends spooled output to the coordinator, on a connection of its own.
//!
//! Owns dialling and sending again; what is there to send is the spool's, what is durable the coordinator says. Every
//! attempt in the spool is sent; the attempt driver hears when its end is durable and removes the spool.
//!
//! ```text
//!   dial -> hello -> live --credit, acks--> chunks of every attempt in turn
//!     ^                 \--cut--> back-off --+
//!     +--------------------------------------+        each attempt goes on from what its first ack says is durable
//! ```

mod live;
mod sending;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::ids::{AttemptId, Incarnation, NodeId};
use dockmgr_support::backoff::Backoff;
use dockmgr_support::channel::{self, Address, Credentials};
use dockmgr_support::error_chain::Chain;
use dockmgr_support::route::Routes;
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;

use crate::spool::{self, Spool};

/// First pause before the next coordinator is tried.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause: output waits safely in the spool, but someone may be looking at it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Everything the upload needs.
pub struct Upload {
    /// What to send.
    pub spool: Spool,
    /// Who we are.
    pub node: NodeId,
    /// This start of the worker.
    pub incarnation: Incarnation,
    /// The coordinators, tried in turn.
    pub coordinators: Vec<Address>,
    /// TLS material and token.
    pub credentials: Credentials,
    /// Counts the bytes that are sent.
    pub sent: Counter,
    /// Called when the end of an attempt's output is durable, or nobody wants it; more than once perhaps. Must not block.
    pub delivered: Arc<dyn Fn(AttemptId) + Send + Sync>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Why an upload ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection cannot be prepared.
    #[error("prepare the connection")]
    Channel(#[source] channel::Error),
    /// The coordinator cannot be reached or ended the upload.
    #[error("upload to the coordinator: {}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),
    /// The coordinator ended the upload in an orderly way.
    #[error("the coordinator ended the upload")]
    Ended,
    /// What it said makes no sense.
    #[error("understand the coordinator")]
    Convert(#[source] dockmgr_proto::convert::Error),
    /// The spool cannot be read.
    #[error("read the spool")]
    Spool(#[source] spool::Error),
}

impl Upload {
    /// Uploads until cancelled.
    pub async fn run(self, token: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut last_words = String::new();
        let mut routes = Routes::new(self.coordinators.clone(), self.credentials.clone());
        loop {
            let Some(address) = token.run_until_cancelled(routes.next()).await else { return };
            let mut got_on = false;
            let held = token.run_until_cancelled(self.hold(&address, &mut got_on)).await;
            let Some(Err(error)) = held else { return };
            if got_on {
                backoff.reset();
                last_words.clear();
            }
            let words = Chain(&error).to_string();
            // A coordinator that is away for an hour is one line, not a thousand.
            if words != last_words {
                tracing::warn!(coordinator = %address, error = words, "no log upload");
                last_words = words;
            }
            if token.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await.is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
