//! What attempts use, sampled while they run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockmgr_core::ids::AttemptId;
use dockmgr_core::outcome::Usage;
use dockmgr_core::samples::Sample;
use dockmgr_core::time::{BootTime, Now, WallTime};
use dockmgr_support::clock;
use tokio_util::sync::CancellationToken;

use crate::runtime::{AnyRuntime, ContainerId, Runtime as _};

/// Between two samples: fine enough for the peak of a batch job, cheap enough for a hundred of them.
const EVERY: Duration = Duration::from_secs(1);

/// The newest sample of every running attempt, for heartbeats. Clones share it; as long as there are attempts.
#[derive(Debug, Clone, Default)]
pub struct UsageBoard(Arc<Mutex<BTreeMap<AttemptId, Sample>>>);

impl UsageBoard {
    /// What is on it now.
    pub fn newest(&self) -> BTreeMap<AttemptId, Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, attempt: AttemptId, sample: Sample) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt, sample);
    }

    fn remove(&self, attempt: AttemptId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&attempt);
    }
}

/// The samples of one attempt so far. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Samples {
    attempt: AttemptId,
    board: UsageBoard,
    total: Arc<Mutex<Option<Usage>>>,
}

impl Samples {
    /// None so far.
    pub(super) fn new(attempt: AttemptId, board: UsageBoard) -> Self {
        Self { attempt, board, total: Arc::default() }
    }

    /// What was used up to the last sample; `None` if it ended before the first.
    pub(super) fn total(&self) -> Option<Usage> {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples until cancelled. Misses cost nothing but the sample.
    pub(super) async fn collect(self, runtime: AnyRuntime, id: ContainerId, token: CancellationToken) {
        while token.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            let Ok(Some(sample)) = runtime.usage(&id).await else { continue };
            let cpu = Duration::from_nanos(sample.cpu_nanos);
            let at = Now { boot: BootTime(clock::boot_nanos()), wall: WallTime(clock::wall_millis()) };
            self.board.put(self.attempt, Sample { at, cpu, memory: sample.memory_bytes });
            let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
            let before = total.unwrap_or_default();
            let peak = sample.memory_peak_bytes.unwrap_or(sample.memory_bytes);
            *total = Some(Usage {
                cpu: before.cpu.max(cpu),
                peak_memory: before.peak_memory.max(peak).max(sample.memory_bytes),
            });
        }
        self.board.remove(self.attempt);
    }
}
