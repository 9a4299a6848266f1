//! What arrives in the controller's inbox.

use dockmgr_core::cluster::{Cluster, Hello, Refusal, Reply, Request, WorkerNews};
use dockmgr_core::ids::{Incarnation, NodeId};
use dockmgr_core::time::Now;
use tokio::sync::oneshot;

use super::Error;
use crate::sessions::Outgoing;

/// Looks at the cluster and returns what hands the finding over once everything it saw is durable.
pub(super) type Read = Box<dyn FnOnce(&Cluster, Now) -> Release + Send>;
/// Hands a finding over.
pub(super) type Release = Box<dyn FnOnce() + Send>;

/// Waits for what becomes of a request.
pub(super) type Waiting = oneshot::Sender<Result<Result<Reply, Refusal>, Error>>;

/// Names one session stream while the process lives, so that the end of an old one is not taken for the end of a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Who speaks on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// The node.
    pub node: NodeId,
    /// The start of the worker process.
    pub incarnation: Incarnation,
    /// The stream.
    pub session: SessionId,
}

/// One message to the controller.
pub(super) enum Input {
    /// A client asks for a change.
    Request { request: Request, answer: Waiting },
    /// A client looks.
    Read(Read),
    /// A worker's session began.
    SessionOpened { speaker: Speaker, hello: Box<Hello>, outgoing: Outgoing },
    /// A worker said something.
    Worker { speaker: Speaker, news: WorkerNews },
}
