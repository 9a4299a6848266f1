//! The session with the leader: who we are goes up, then signs of life and reports; commands come down.
//!
//! Owns dialling the coordinators in turn, the first Hello, heartbeats, and noticing a dead connection. Commands go to
//! [`Attempts`] at once; reports come from the outbox, so nothing here is lost with a connection. Output has a
//! connection of its own.
//!
//! ```text
//!   dial -> Hello -> wait for Welcome -> live: heartbeats, reports, commands -> broken or silent -> pause -> dial next
//! ```
//!
//! Invariant: a command is carried out only if its epoch is not older than the highest ever seen (G4).

mod commands;
mod connection;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockmgr_core::cluster::Hello;
use dockmgr_core::ids::{AttemptId, Incarnation};
use dockmgr_core::spec::{LabelKey, LabelValue, Resources};
use dockmgr_support::backoff::Backoff;
use dockmgr_support::channel::{Address, Credentials};
use dockmgr_support::error_chain::Chain;
use dockmgr_support::route::Routes;
use tokio_util::sync::CancellationToken;

use crate::attempt::Attempts;
use crate::data_dir::{self, DataDir};
use crate::images::ImageNames;

/// Pause before the next coordinator is tried, and the first one after all were: workers that lost one together must not
/// come to the next together.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause after all coordinators were tried: the next leader must have its workers within seconds. Those that live
/// hold a call for longer while nobody leads, and to be refused costs a coordinator nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A session that lived this long was a good one: the next pause is the first again. Longer than a coordinator takes that
/// welcomes and cannot lead; shorter than the time between two changes of leaders in a rolling restart.
const GOOD_SESSION: Duration = Duration::from_secs(3);

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection cannot be prepared.
    #[error("prepare the connection")]
    Channel(#[source] dockmgr_support::channel::Error),
    /// The coordinator cannot be reached or ended the session.
    #[error("talk to the coordinator: {}", status_words(.0))]
    Status(Box<tonic::Status>),
    /// Nothing came for too long.
    #[error("the coordinator was silent for {0:?}")]
    Silent(Duration),
    /// The coordinator ended the session in an orderly way.
    #[error("the coordinator ended the session")]
    Ended,
    /// What it said makes no sense.
    #[error("understand the coordinator")]
    Convert(#[source] dockmgr_proto::convert::Error),
    /// It broke the order: Welcome first.
    #[error("the coordinator's first message was no Welcome")]
    NoWelcome,
    /// It is not our leader, or not our cluster.
    #[error("obey the coordinator")]
    Refused(#[source] data_dir::Error),
}

impl Error {
    /// Whether dialling again would only take the node from the worker that has it now.
    fn is_final(&self) -> bool {
        match self {
            Self::Status(status) => status.code() == tonic::Code::AlreadyExists,
            Self::Channel(_)
            | Self::Silent(_)
            | Self::Ended
            | Self::Convert(_)
            | Self::NoWelcome
            | Self::Refused(_) => false,
        }
    }
}

/// Who this worker is towards the coordinator.
#[derive(Debug)]
pub struct Node {
    /// This start of the worker.
    pub incarnation: Incarnation,
    /// Name for people.
    pub name: String,
    /// Labels for constraints.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// What it has for attempts.
    pub capacity: Resources,
    /// Identity, cluster and epoch on disk.
    pub data: Mutex<DataDir>,
    /// References and digests of its images.
    pub images: ImageNames,
}

/// Everything the session loop needs.
#[derive(Debug)]
pub struct Session {
    /// Who we are.
    pub node: Arc<Node>,
    /// Where commands go.
    pub attempts: Attempts,
    /// The coordinators, tried in turn.
    pub coordinators: Vec<Address>,
    /// TLS material and token.
    pub credentials: Credentials,
}

impl Session {
    /// Keeps a session with the leader until cancelled, then says goodbye.
    pub async fn run(self, token: CancellationToken) {
        let mut rounds = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut turns = Backoff::new(FIRST_PAUSE, FIRST_PAUSE);
        let mut failed = 0;
        let mut last_words = String::new();
        let mut routes = Routes::new(self.coordinators.clone(), self.credentials.clone());
        loop {
            let Some(address) = token.run_until_cancelled(routes.next()).await else { return };
            let began = tokio::time::Instant::now();
            let Err(error) = self.hold(&address, &token).await else { return };
            if began.elapsed() >= GOOD_SESSION {
                rounds.reset();
                failed = 0;
                last_words.clear();
            }
            failed += 1;
            if error.is_final() {
                tracing::error!(
                    coordinator = %address, node_id = %self.node.with_data(|data| data.node()), error = %Chain(&error),
                    "no session any more: one of two workers with one node id must get a data folder of its own"
                );
                // Ending would only make a supervisor start the same again. What runs is fenced in its time.
                return token.cancelled().await;
            }
            let words = Chain(&error).to_string();
            // A coordinator that is away for an hour is one line, not a thousand.
            if words != last_words {
                tracing::warn!(coordinator = %address, error = words, "no session");
                last_words = words;
            }
            let all_failed = failed % self.coordinators.len() == 0;
            let pause = if all_failed { rounds.next_delay() } else { turns.next_delay() };
            if token.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// What the worker says of itself, and the number of each report in it.
    fn hello(&self) -> (Hello, BTreeMap<AttemptId, u64>) {
        let context = self.attempts.context();
        let mut sent = BTreeMap::new();
        let attempts = context.outbox.newer_than(&mut sent, usize::MAX);
        let runtime_version = context.health.daemon().map(|info| info.version).unwrap_or_default();
        let hello = Hello {
            name: self.node.name.clone(),
            labels: self.node.labels.clone(),
            capacity: self.node.capacity,
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
            runtime_version,
            boot_id: context.boot_id.clone(),
            attempts,
            images: self.node.images.now(),
            status: context.health.status(),
            allowed_mounts: context.allowed_mounts.roots(),
        };
        (hello, sent)
    }
}

impl Node {
    /// Looks at or changes the identity on disk.
    fn with_data<T>(&self, work: impl FnOnce(&mut DataDir) -> T) -> T {
        // A change is written whole or refused, so a panic elsewhere cannot have broken it.
        work(&mut self.data.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A status in one line: code and message.
fn status_words(status: &tonic::Status) -> String {
    format!("{}: {}", status.code(), status.message())
}
