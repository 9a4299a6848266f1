//! The store's operations, timed.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use dockmgr_support::metrics::exposition::WORK_SECONDS;

/// Backend and operation.
type Labels = [(&'static str, &'static str); 2];

/// Times operations and counts those that failed. Clones count together; a fresh one is read by nobody.
#[derive(Debug, Clone)]
pub(crate) struct StoreMeter {
    seconds: Family<Labels, Histogram>,
    errors: Family<Labels, Counter>,
}

impl Default for StoreMeter {
    fn default() -> Self {
        Self {
            seconds: Family::new_with_constructor(|| Histogram::new(WORK_SECONDS)),
            errors: Family::default(),
        }
    }
}

impl StoreMeter {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let meter = Self::default();
        let help = "Time of operations of the store, failed ones included";
        registry.register("cluster_store_op_seconds", help, meter.seconds.clone());
        registry.register(
            "cluster_store_errors",
            "Operations of the store that failed",
            meter.errors.clone(),
        );
        meter
    }

    /// Shows the operations of a backend from the start: the first error would otherwise be no increase.
    pub(crate) fn begin(&self, backend: &'static str) {
        for op in ["get", "list", "commit"] {
            drop(self.errors.get_or_create(&[("backend", backend), ("op", op)]));
        }
    }

    /// Carries an operation out and notes how it went. Dropping the future notes nothing.
    pub(crate) async fn time<T, E>(
        &self,
        backend: &'static str,
        op: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let labels = [("backend", backend), ("op", op)];
        let began = Instant::now();
        let done = work.await;
        self.seconds.get_or_create(&labels).observe(began.elapsed().as_secs_f64());
        if done.is_err() {
            self.errors.get_or_create(&labels).inc();
        }
        done
    }
}
