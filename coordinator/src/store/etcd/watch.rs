//! Watching etcd, through its outages.
//!
//! ```text
//! open at seen+1 -> receive -> group by revision -> return batches
//!      ^               |stream broken, or silent after a question
//!      +---------------+            compacted -> Error, the end
//! ```
//! The whole cluster's keys are watched and filtered here: every commit writes the commit id, so the position advances
//! with the store even when the wanted prefix is quiet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_support::error_chain;
use etcd_client::{KeyValue, WatchOptions, WatchResponse, WatchStream};
use tonic::Code;

use super::super::{Change, ChangeBatch};
use super::connect::Link;
use super::failure::{classify, has_code};
use super::layout::Layout;
use super::{Error, Prefix, Revision};

/// Silence after which etcd is asked for a sign of life. A watch can hang for ever after its server died
/// (etcd-client#48).
const ASK_AFTER: Duration = Duration::from_secs(10);
/// Pause before a broken stream is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(250);

/// One watch.
pub(in super::super) struct Watch {
    link: Link,
    layout: Arc<Layout>,
    prefix: Prefix,
    stream: Option<WatchStream>,
    /// Received, not yet returned.
    ready: VecDeque<ChangeBatch>,
    /// Everything up to here was received.
    seen: Revision,
    /// Everything up to here was returned.
    position: Revision,
    /// The history it needs is gone.
    compacted: Option<Revision>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("prefix", &self.prefix)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Watch {
    pub(super) fn new(link: Link, layout: Arc<Layout>, prefix: Prefix, after: Revision) -> Self {
        let ready = VecDeque::new();
        Self { link, layout, prefix, stream: None, ready, seen: after, position: after, compacted: None }
    }

    pub(in super::super) fn position(&self) -> Revision {
        self.position
    }

    pub(in super::super) async fn next(&mut self) -> Result<ChangeBatch, Error> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.position = batch.revision;
                return Ok(batch);
            }
            self.position = self.seen;
            if let Some(oldest) = self.compacted {
                return Err(Error::Compacted { oldest });
            }
            match self.receive().await {
                Ok(()) => {}
                Err(error) if error.is_retryable() => {
                    tracing::debug!(error = %error_chain::Chain(&error), seen = self.seen.0, "watch interrupted");
                    self.stream = None;
                    tokio::time::sleep(REOPEN_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes one message in, opening the stream first if needed. Cancel safe: nothing received is lost.
    async fn receive(&mut self) -> Result<(), Error> {
        let limit = self.link.call_timeout();
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(open(&self.link, &self.layout, self.seen).await?),
        };
        let message = match tokio::time::timeout(ASK_AFTER, stream.message()).await {
            Ok(message) => message,
            Err(_silence) => {
                let ask = async {
                    // The answer only proves that the stream lives. Its revision is not used: before 3.4.25 etcd can
                    // name a revision whose events it has not sent yet (etcd#15220).
                    stream.request_progress().await?;
                    stream.message().await
                };
                tokio::time::timeout(limit, ask)
                    .await
                    .map_err(|elapsed| Error::Unavailable { action: "watch", source: Box::new(elapsed) })?
            }
        };
        match message.map_err(|error| classify("watch", error)) {
            Ok(Some(response)) => self.take(&response),
            Ok(None) => Err(Error::Unavailable { action: "watch", source: "the stream ended".into() }),
            // More changes than one message may hold: reading the state anew is cheaper than all of them.
            Err(error) if has_code(&error, Code::OutOfRange) => {
                self.compacted = Some(self.seen.next());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, response: &WatchResponse) -> Result<(), Error> {
        if response.compact_revision() > 0 {
            // etcd still serves a watch that begins at the compaction's revision.
            let first = super::read::revision(response.compact_revision()).0;
            self.compacted = Some(Revision(first.saturating_sub(1)));
            return Ok(());
        }
        if response.canceled() {
            let reason = response.cancel_reason().to_owned();
            return Err(Error::Unavailable { action: "watch", source: reason.into() });
        }
        for stored in response.events().iter().filter_map(etcd_client::Event::kv) {
            let revision = super::read::revision(stored.mod_revision());
            self.seen = self.seen.max(revision);
            let Some(key) = self.layout.parse(stored.key()) else { continue };
            let key = key?;
            if self.prefix.contains(&key) {
                self.push(revision, change(key, stored));
            }
        }
        Ok(())
    }

    /// Adds a change to its commit's batch; etcd sends a commit's events together and commits in order.
    fn push(&mut self, revision: Revision, change: Change) {
        match self.ready.back_mut() {
            Some(batch) if batch.revision == revision => batch.changes.push(change),
            Some(_) | None => self.ready.push_back(ChangeBatch { revision, changes: vec![change] }),
        }
    }
}

async fn open(link: &Link, layout: &Layout, seen: Revision) -> Result<WatchStream, Error> {
    let start = i64::try_from(seen.next().0).unwrap_or(i64::MAX);
    let options = WatchOptions::new().with_prefix().with_start_revision(start);
    let watches = link.watches();
    let watch = || {
        let (mut watches, options) = (watches.clone(), options.clone());
        async move { watches.watch(layout.root(), Some(options)).await }
    };
    link.call("open a watch", watch).await
}

fn change(key: super::Key, stored: &KeyValue) -> Change {
    // A deletion resets the version to zero; every put raises it.
    if stored.version() == 0 {
        Change::Delete { key }
    } else {
        Change::Put { key, value: Bytes::copy_from_slice(stored.value()) }
    }
}
