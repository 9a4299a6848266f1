//! `SearchLogs`: lines found in the output of all jobs, in order, with counts.
//!
//! ```text
//!   candidates (attempts the query leaves) -> feed (by where they are) -> work, a little at a time, in slices on blocking
//!        threads: plain files record by record, segments frame by frame, those left out that cannot have a hit
//!        -> found (the best hits and the counts) -> when all was done: hits with their context, one by one -> done
//! ```
//!
//! Owns the plan and the bounds of a search; the language is `core::search`'s, the bytes are `logs`'. The output of running
//! jobs is searched as it stands when its turn comes.
//!
//! Invariant: what a search holds in memory does not depend on what is kept: a window of attempts, a piece of each that
//! is looked through, and as many hits as fit [`wanted::HITS_BYTES`].
//!
//! Invariant: nothing is scanned for a reader who does not read: the response stream itself drives the search.

mod candidates;
mod context;
mod feed;
mod found;
mod histogram;
mod place;
mod running;
mod scan;
mod segment;
mod shared;
mod source;
mod wanted;
mod work;

use std::pin::Pin;
use std::sync::Arc;

use dockmgr_proto::v1;
use futures_util::Stream;
use tokio::sync::Semaphore;
use tonic::Status;

use super::status;
use crate::controller::Handle;
use crate::logs::LogStore;

use running::Running;
use wanted::Wanted;

/// Most searches at a time: each may hold some tens of MiB.
const SEARCHES: usize = 8;
/// Most threads that scan for all searches together, however many processors there are.
const MOST_SCANS: usize = 16;

/// Threads that scan for all searches together: more than processors would only take turns on them.
fn scans() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_SCANS)
}

/// What the client gets.
pub(super) type Steps = Pin<Box<dyn Stream<Item = Result<v1::SearchLogsResponse, Status>> + Send>>;

/// Where searches begin, and what they share.
#[derive(Debug)]
pub(super) struct SearchDesk {
    handle: Handle,
    store: LogStore,
    searches: Arc<Semaphore>,
    scans: Arc<Semaphore>,
}

impl SearchDesk {
    pub(super) fn new(handle: Handle, store: LogStore) -> Self {
        let (searches, scans) = (Arc::new(Semaphore::new(SEARCHES)), Arc::new(Semaphore::new(scans())));
        Self { handle, store, searches, scans }
    }

    /// Starts a search; dropping the stream ends it.
    pub(super) async fn open(&self, request: &v1::SearchLogsRequest) -> Result<Steps, Status> {
        let wanted = Arc::new(Wanted::read(request)?);
        let busy =
            || status::exhausted("TOO_MANY_SEARCHES", "too many searches at a time: try again in a moment");
        let seat = Arc::clone(&self.searches).try_acquire_owned().map_err(|_| busy())?;
        let scans = Arc::clone(&self.scans);
        let running = Running::begin(self.handle.clone(), self.store.clone(), wanted, scans).await?;
        let steps = futures_util::stream::try_unfold((running, seat), |(mut running, seat)| async move {
            let step = running.next().await?;
            Ok(step.map(|event| (v1::SearchLogsResponse { event: Some(event) }, (running, seat))))
        });
        Ok(Box::pin(steps))
    }
}

#[cfg(test)]
mod tests;
