//! What an attempt uses, sampled while it runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockmgr_core::outcome::Usage;
use tokio_util::sync::CancellationToken;

use crate::runtime::{AnyRuntime, ContainerId, Runtime as _};

/// Between two samples: fine enough for the peak of a batch job, cheap enough for a hundred of them.
const EVERY: Duration = Duration::from_secs(1);

/// The samples of one attempt so far. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples(Arc<Mutex<Option<Usage>>>);

impl Samples {
    /// What was used up to the last sample; `None` if it ended before the first.
    pub(super) fn total(&self) -> Option<Usage> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples until cancelled. Misses cost nothing but the sample.
    pub(super) async fn collect(self, runtime: AnyRuntime, id: ContainerId, token: CancellationToken) {
        while token.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            let Ok(Some(sample)) = runtime.usage(&id).await else { continue };
            let mut total = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = total.unwrap_or_default();
            let peak = sample.memory_peak_bytes.unwrap_or(sample.memory_bytes);
            *total = Some(Usage {
                cpu: before.cpu.max(Duration::from_nanos(sample.cpu_nanos)),
                peak_memory: before.peak_memory.max(peak).max(sample.memory_bytes),
            });
        }
    }
}
