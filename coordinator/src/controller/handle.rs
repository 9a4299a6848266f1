//! Talking to the controller: cheap to clone, safe to hold while leadership comes and goes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::cluster::{Cluster, Refusal, Reply, Request, WorkerNews};
use dockmgr_core::ids::{Epoch, Incarnation, NodeId};
use dockmgr_core::time::Now;
use tokio::sync::{mpsc, oneshot, watch};

use super::Feed;
use super::input::{Input, Read, Release, SessionId, Speaker};
use crate::sessions::Outgoing;
use crate::store::Lease;

/// How long a caller waits for room in the controller's inbox: longer means that the leader is overwhelmed or its store
/// hangs, and the caller should hear so.
const INBOX_PATIENCE: Duration = Duration::from_secs(10);

/// Why the controller gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// This coordinator does not lead: it is starting, waits for the leader's lease or has just lost it.
    #[error("this coordinator does not lead yet")]
    NotLeader,
    /// The leader has more to do than it can take in.
    #[error("the coordinator is overloaded")]
    Overloaded,
    /// The leader's store takes no writes, so nothing was changed; the text says what to do.
    #[error("nothing can be changed at present: {0}")]
    ReadOnly(Arc<str>),
    /// The store stopped to take writes during the call: whether it happened is open.
    #[error("whether this happened is open: {0}")]
    Open(Arc<str>),
}

/// One term of leadership as seen from outside.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) lease: Lease,
    pub(super) inbox: mpsc::Sender<Input>,
    pub(super) feed: Feed,
    /// Why nothing can be changed, while that is so.
    pub(super) read_only: Option<Arc<str>>,
}

/// A handle on whichever controller leads now.
#[derive(Debug, Clone)]
pub struct Handle {
    term: watch::Receiver<Option<Term>>,
}

impl Handle {
    pub(super) fn new(term: watch::Receiver<Option<Term>>) -> Self {
        Self { term }
    }

    /// Waits until this coordinator leads. Cancel safe.
    pub async fn leads(&self) -> Result<Epoch, Error> {
        let mut term = self.term.clone();
        let led = term.wait_for(Option::is_some).await.map_err(|_| Error::NotLeader)?;
        led.as_ref().map(|term| term.lease.epoch()).ok_or(Error::NotLeader)
    }

    /// The epoch this coordinator leads in, if by its own clock it does at this moment.
    pub fn leads_now(&self) -> Result<Epoch, Error> {
        let term = self.term.borrow();
        let lease = term.as_ref().map(|term| &term.lease).filter(|lease| lease.is_current());
        lease.map(Lease::epoch).ok_or(Error::NotLeader)
    }

    /// Carries out a request; the answer is durable when this returns. Dropping the future leaves open whether it happens.
    ///
    /// # Errors
    /// The outer one if the controller gave no answer, the inner one if it refused.
    pub async fn request(&self, request: Request) -> Result<Result<Reply, Refusal>, Error> {
        if let Some(notice) = self.read_only() {
            return Err(Error::ReadOnly(notice));
        }
        let (answer, answered) = oneshot::channel();
        self.send(Input::Request { request, answer }).await?;
        answered.await.unwrap_or_else(|_| Err(self.read_only().map_or(Error::NotLeader, Error::Open)))
    }

    /// Why nothing can be changed, if this coordinator leads and its store takes no writes.
    pub fn read_only(&self) -> Option<Arc<str>> {
        self.term.borrow().as_ref().and_then(|term| term.read_only.clone())
    }

    /// Waits until this coordinator can, or cannot, change anything, other than `can` says. Cancel safe.
    pub async fn ability_turned(&self, can: bool) {
        let mut term = self.term.clone();
        let able = |term: &Option<Term>| term.as_ref().is_some_and(|term| term.read_only.is_none());
        // An error means that the program ends.
        if term.wait_for(|term| able(term) != can).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Looks at the cluster; what it shows is durable when this returns. Cancel safe.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Cluster, Now) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |cluster, now| {
            let seen = look(cluster, now);
            let release: Release = Box::new(move || {
                // An error means that the reader has gone away.
                let _gone = answer.send(seen);
            });
            release
        });
        self.send(Input::Read(read)).await?;
        answered.await.map_err(|_| Error::NotLeader)
    }

    /// Registers a worker's session and its way out; ends an older session of the same node.
    pub async fn open_session(
        &self,
        speaker: Speaker,
        hello: Box<dockmgr_core::cluster::Hello>,
        outgoing: Outgoing,
    ) -> Result<(), Error> {
        self.send(Input::SessionOpened { speaker, hello, outgoing }).await
    }

    /// Passes on what a worker said.
    pub async fn worker_said(&self, speaker: Speaker, news: WorkerNews) -> Result<(), Error> {
        self.send(Input::Worker { speaker, news }).await
    }

    /// The feeds of changes and events of the term that leads now.
    pub fn feed(&self) -> Result<Feed, Error> {
        self.term.borrow().as_ref().map(|term| term.feed.clone()).ok_or(Error::NotLeader)
    }

    /// Waits until the leadership `epoch` is over. Cancel safe.
    pub fn over(&self, epoch: Epoch) -> impl Future<Output = ()> + Send + use<> {
        let mut term = self.term.clone();
        async move {
            // An error means that the program ends, and the term with it.
            let _ended =
                term.wait_for(|term| term.as_ref().is_none_or(|term| term.lease.epoch() != epoch)).await;
        }
    }

    async fn send(&self, input: Input) -> Result<(), Error> {
        let inbox = self.term.borrow().as_ref().map(|term| term.inbox.clone()).ok_or(Error::NotLeader)?;
        match inbox.send_timeout(input, INBOX_PATIENCE).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(Error::Overloaded),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(Error::NotLeader),
        }
    }
}

impl Speaker {
    /// Names one session of one start of a worker.
    pub fn new(node: NodeId, incarnation: Incarnation, session: SessionId) -> Self {
        Self { node, incarnation, session }
    }
}
