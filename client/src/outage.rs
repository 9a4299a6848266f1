//! An outage as the caller of a client sees it: told once, and only if it lasts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// How long nobody hears of an outage: an orderly change of leaders is over by then.
const QUIET: Duration = Duration::from_secs(3);

/// Hears of an outage that lasts.
#[derive(Clone, Default)]
pub struct Told(Option<Arc<Hear>>);

/// What is called with the last error.
type Hear = dyn Fn(&Error) + Send + Sync;

impl Told {
    /// Calls `hear` once for each outage of more than three seconds, with the last error. It must not block.
    pub fn new(hear: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").field(&self.0.is_some()).finish()
    }
}

/// Whether calls fail at present, and since when.
#[derive(Debug)]
pub(crate) struct Outage {
    told: Told,
    /// Begin of the outage and whether it was told.
    now: Mutex<Option<(Instant, bool)>>,
}

impl Outage {
    pub(crate) fn new(told: Told) -> Self {
        Self { told, now: Mutex::new(None) }
    }

    /// A call failed and will be tried again.
    pub(crate) fn goes_on(&self, error: &Error) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, told) = now.get_or_insert_with(|| (Instant::now(), false));
        if !*told && since.elapsed() >= QUIET {
            *told = true;
            if let Some(hear) = &self.told.0 {
                hear(error);
            }
        }
    }

    /// A call was answered.
    pub(crate) fn over(&self) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_an_outage_that_lasts_is_told_and_only_once() {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let outage = Outage::new(Told::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        for expected in [0, 1] {
            for _ in 0..10 {
                outage.goes_on(&Error::NoServer);
                tokio::time::advance(QUIET / 20).await;
            }
            assert_eq!(count.load(Ordering::Relaxed), expected, "a short one is nobody's business");
            outage.over();
            outage.goes_on(&Error::NoServer);
            tokio::time::advance(QUIET).await;
            outage.goes_on(&Error::NoServer);
            outage.goes_on(&Error::NoServer);
            assert_eq!(count.load(Ordering::Relaxed), expected + 1);
            outage.over();
        }
    }
}
