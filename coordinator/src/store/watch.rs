//! A running watch, whatever the backend.

use std::sync::Arc;

use tokio::sync::watch as signal;

use super::history::{History, Next};
use super::{ChangeBatch, Error, Prefix, Revision, etcd};

/// Follows changes; made by [`Store::watch`](super::Store::watch).
#[derive(Debug)]
pub struct Watch {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Embedded(Embedded),
    Etcd(Box<etcd::Watch>),
}

impl Watch {
    pub(super) fn embedded(history: Arc<History>, prefix: Prefix, after: Revision) -> Self {
        let head = history.subscribe();
        Self { source: Source::Embedded(Embedded { history, head, prefix, position: after }) }
    }

    pub(super) fn etcd(watch: etcd::Watch) -> Self {
        Self { source: Source::Etcd(Box::new(watch)) }
    }

    /// Waits for the next commit that touched the prefix. Outages of etcd are waited out. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Compacted`] when the changes after [`position`](Self::position) are no longer kept; the watch is then
    /// at its end.
    pub async fn next(&mut self) -> Result<ChangeBatch, Error> {
        match &mut self.source {
            Source::Embedded(embedded) => embedded.next().await,
            Source::Etcd(etcd) => Box::pin(etcd.next()).await,
        }
    }

    /// Everything up to and including this revision was returned or did not touch the prefix: a new watch after it
    /// misses nothing. It advances with the store even when the prefix is quiet.
    pub fn position(&self) -> Revision {
        match &self.source {
            Source::Embedded(embedded) => embedded.position,
            Source::Etcd(etcd) => etcd.position(),
        }
    }
}

#[derive(Debug)]
struct Embedded {
    history: Arc<History>,
    head: signal::Receiver<Revision>,
    prefix: Prefix,
    position: Revision,
}

impl Embedded {
    async fn next(&mut self) -> Result<ChangeBatch, Error> {
        loop {
            // Marked as seen before the ring is read, so that a commit between the two wakes the wait below.
            self.head.borrow_and_update();
            match self.history.next(&self.prefix, self.position)? {
                Next::Batch(batch) => {
                    self.position = batch.revision;
                    return Ok(batch);
                }
                Next::Idle(revision) => self.position = revision,
            }
            self.head.changed().await.expect("the history that is held here owns the sender");
        }
    }
}
