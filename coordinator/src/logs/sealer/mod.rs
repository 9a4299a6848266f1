//! When output goes from plain files into segments: once it has ended and is durable, while this process leads.
//!
//! ```text
//!   off --a term begins--> looks at what is at the place, and at all plain files --> on
//!   on  --64 MiB have ended, or some 60 s ago--> batch: write, upload, compare --> on
//!   on  --every 5 s--> segments in which everything was deleted, or that were merged a while ago, go;
//!                      what two segments have is compared; some become one: write, upload, compare --> on
//!   on  --the place or the disk fails--> waits, longer each time; plain files stay --> on
//!   on  --the term ends--> off
//! ```
//!
//! Plain files go last: when a segment is durable at the place, was read back from there and has the same bytes, and the
//! catalogue has it. A crash before leaves them, and the next start finds both and looks again. So nothing depends on this
//! process still leading: what a deposed leader uploads has a name of its own and only whole attempts, and what it removes is
//! in a segment that its successor finds. A segment goes only when a newer one has all of it, so of what several leaders
//! merge at once the newest stays.

mod batch;
mod compare;
mod ended;
mod merge;
mod meter;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::ids::Epoch;
use dockmgr_support::backoff::Backoff;
use dockmgr_support::error_chain::Chain;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::error::run as blocking;
use super::store::Shared;
use super::writer::Writer;

pub(super) use ended::Ended;
pub(super) use meter::Meter;
pub(crate) use meter::SealingNow;

/// Wait before the first new try after the place or the disk failed.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Longest wait between two tries: a store of objects that was away for hours is used again within a minute.
const RETRY_MOST: Duration = Duration::from_secs(60);

/// How often segments are removed and merged: a disk that is nearly full waits for it.
const RECLAIM: Duration = Duration::from_secs(5);
/// No more often than this where output is sealed sooner.
const RECLAIM_SOONEST: Duration = Duration::from_millis(20);

/// How long a new leader looks often for what others have sealed: most who lead no more hear so within seconds.
const NEW_TERM: Duration = Duration::from_secs(300);
const LOOK_OFTEN: Duration = Duration::from_secs(5);
/// One that was stopped in the middle of a batch may go on an hour later.
const LOOK_RARELY: Duration = Duration::from_secs(60);

/// How long nothing is written to an object that nobody is writing any more: longer than any upload takes.
const ABANDONED: Duration = Duration::from_secs(3600);

/// When output is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealing {
    /// Bytes of plain files that have ended.
    pub bytes: u64,
    /// Time after which fewer will do; and for which a segment that was merged stays for who began to read there.
    pub after: Duration,
}

impl Default for Sealing {
    /// 64 MiB, or a minute: enough for a segment worth an object, and a disk that soon holds a fraction of the bytes.
    fn default() -> Self {
        Self { bytes: 64 * 1024 * 1024, after: Duration::from_secs(60) }
    }
}

/// Seals until `stop` is cancelled.
pub(super) async fn run(shared: Arc<Shared>, sealing: Sealing, stop: CancellationToken) {
    // A batch that was begun is dropped at its next wait: it leaves plain files, and a segment that the next start takes.
    let _stopped = stop.run_until_cancelled(serve(&shared, sealing)).await;
}

async fn serve(shared: &Arc<Shared>, sealing: Sealing) {
    let mut terms = shared.term.subscribe();
    // Before the catalogue is there nothing is written here.
    sweep(shared).await;
    load(shared).await;
    loop {
        let term = *terms.borrow_and_update();
        let Some(epoch) = term else {
            if terms.changed().await.is_err() {
                return;
            }
            continue;
        };
        shared.sealed.outdate();
        load(shared).await;
        if shared.writer() != Writer::Alone {
            sweep(shared).await;
        }
        shared.ended.look_everywhere();
        tokio::select! {
            // The term ended, or another one began.
            changed = terms.changed() => if changed.is_err() { return },
            // Never ends by itself.
            () = lead(shared, sealing, epoch) => {}
        }
        shared.ended.clear();
    }
}

/// Makes the catalogue anew if another coordinator has sealed something.
async fn look_again(shared: &Arc<Shared>) -> Result<(), Error> {
    if shared.sealed.is_outdated().await? {
        shared.sealed.load().await?;
    }
    Ok(())
}

/// Removes what a crash left of objects that were being written.
async fn sweep(shared: &Arc<Shared>) {
    // Another coordinator may be writing one now.
    let idle = if shared.writer() == Writer::Alone { Duration::ZERO } else { ABANDONED };
    let this = Arc::clone(shared);
    if let Err(error) = blocking(move || this.sealed.sweep(idle)).await {
        tracing::warn!(error = %Chain(&error), "what a crash left of sealed output cannot be removed");
    }
}

/// Makes the catalogue, however long the place does not answer.
async fn load(shared: &Arc<Shared>) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
    while let Err(error) = shared.sealed.load().await {
        shared.meter.failed();
        tracing::warn!(error = %Chain(&error), "sealed output cannot be looked through");
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

async fn lead(shared: &Arc<Shared>, sealing: Sealing, epoch: Epoch) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
    let began = Instant::now();
    let mut look_at = began + LOOK_OFTEN;
    let mut tend_at = began;
    loop {
        let (work, worked) = tokio::select! {
            // There is something to seal.
            () = shared.ended.due(sealing) => ("seal", batch::seal(shared, sealing, epoch).await),
            // Jobs may have been deleted, or small segments may have become many.
            () = tokio::time::sleep_until(tend_at) => {
                tend_at = Instant::now() + RECLAIM.min(sealing.after).max(RECLAIM_SOONEST);
                ("tend", tend(shared, sealing, epoch).await)
            }
            // Another coordinator may not have known that it led no more.
            () = tokio::time::sleep_until(look_at), if shared.writer() != Writer::Alone => {
                let often = if began.elapsed() < NEW_TERM { LOOK_OFTEN } else { LOOK_RARELY };
                look_at = Instant::now() + often;
                ("look", look_again(shared).await)
            }
            // Another coordinator has merged what is read here.
            () = shared.sealed.vanished() => ("look", look_again(shared).await),
        };
        let worked = match worked {
            // Another coordinator has removed it: it is in another segment, or deleted.
            Err(error) if error.is_gone() => look_again(shared).await,
            worked => worked,
        };
        match worked {
            Ok(()) => backoff.reset(),
            Err(error) => {
                shared.meter.failed();
                tracing::warn!(error = %Chain(&error), work, "sealed output is not kept up, what is kept stays as it is");
                tokio::time::sleep(backoff.next_delay()).await;
            }
        }
    }
}

/// Removes what is not needed, compares what is there twice, and merges what is worth it, once.
async fn tend(shared: &Arc<Shared>, sealing: Sealing, epoch: Epoch) -> Result<(), Error> {
    shared.sealed.reclaim(epoch, sealing.after).await?;
    settle::settle(shared).await?;
    merge::merge(shared, epoch).await
}
