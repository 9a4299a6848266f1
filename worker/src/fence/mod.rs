//! Contact with the leader: when it was last, where that is written down, and telling the attempts when it is lost.
//!
//! Owns the [`LeaderContact`] and its file, which a restarted worker and the guard read. The rule is
//! [`dockmgr_core::agent::Contact`]; the session brings the acknowledged signs of life, the attempt drivers ask.

mod file;

pub use file::{ContactFile, Known};

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockmgr_core::agent::{Contact, DEFAULT_FENCE_AFTER, Fence};
use dockmgr_core::time::BootTime;
use dockmgr_support::clock;
use tokio_util::sync::CancellationToken;

use crate::attempt::Attempts;

/// How often the clock is asked whether contact is lost. Timers stand still while a machine is suspended, so the fence is
/// not left to one long timer: after a wake it is seen within this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is known of the leader. Clones share it.
#[derive(Debug, Clone)]
pub struct LeaderContact {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    known: Known,
    file: ContactFile,
    /// The last write failed, and that was said.
    complained: bool,
}

impl LeaderContact {
    /// Reads what an earlier worker on the same data folder knew; contact of another boot of the host means nothing.
    pub fn open(root: &Path, boot_id: &str) -> std::io::Result<Self> {
        let file = ContactFile::open(root)?;
        let before = file.read()?;
        let same_boot = before.as_ref().is_some_and(|known| known.boot_id == boot_id);
        let known = Known {
            boot_id: boot_id.to_owned(),
            last: before.as_ref().filter(|_| same_boot).and_then(|known| known.last),
            fence_after: before.map_or(DEFAULT_FENCE_AFTER, |known| known.fence_after),
        };
        let inner = Inner { known, file, complained: false };
        Ok(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    /// The leader acknowledged a sign of life that was sent then.
    pub fn heard(&self, sent: BootTime) {
        self.change(|known| known.last = known.last.max(Some(sent)));
    }

    /// The leader says how long attempts go on without contact.
    pub fn set_fence_after(&self, fence_after: Duration) {
        self.change(|known| known.fence_after = fence_after);
    }

    /// What is known now.
    pub fn now(&self) -> Contact {
        let inner = self.lock();
        Contact { last: inner.known.last, fence_after: inner.known.fence_after }
    }

    /// Whether attempts that may be replaced must end.
    pub fn is_lost(&self) -> bool {
        match self.now().fence(BootTime(clock::boot_nanos())) {
            Fence::Free => false,
            Fence::Fenced { .. } => true,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut inner = self.lock();
        let before = inner.known.clone();
        change(&mut inner.known);
        if inner.known == before {
            return;
        }
        let written = inner.file.write(&inner.known);
        if let Err(error) = &written
            && !inner.complained
        {
            tracing::error!(%error, "contact with the leader not written down: the guard will take it for lost");
        }
        inner.complained = written.is_err();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is one assignment, so a panic elsewhere cannot have broken it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the attempts when contact is lost and when it is back, until cancelled.
pub async fn watch_forever(attempts: Attempts, token: CancellationToken) {
    let mut was_lost = false;
    loop {
        let lost = attempts.context().contact.is_lost();
        attempts.set_fenced(lost);
        if lost != was_lost && !attempts.known().is_empty() {
            if lost {
                tracing::warn!("no contact with the leader: attempts that may be replaced are ended");
            } else {
                tracing::info!("contact with the leader is back");
            }
        }
        was_lost = lost;
        if token.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
            return;
        }
    }
}
