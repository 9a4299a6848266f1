//! What exporters ship, and how far they are behind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dockmgr_core::export::Settled;
use dockmgr_core::time::WallTime;
use dockmgr_support::clock;
use dockmgr_support::metrics::exposition::{count, gauges};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The name of an exporter, which is a setting, and a word of ours.
type Labels<const N: usize> = [(&'static str, String); N];

/// Counts what all exporters do. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct ExportMeter {
    documents: Family<Labels<2>, Counter>,
    retries: Family<Labels<1>, Counter>,
    lost: Counter,
    lags: Lags,
}

/// Counts what one exporter does.
#[derive(Debug)]
pub(crate) struct Meter {
    delivered: Counter,
    dead: Counter,
    retries: Counter,
    lag: Arc<Lag>,
}

#[derive(Debug, Clone, Default)]
struct Lags(Arc<Mutex<BTreeMap<String, Arc<Lag>>>>);

/// How far an exporter is behind.
#[derive(Debug, Default)]
struct Lag {
    bytes: AtomicU64,
    /// Time of the oldest document that is on its way, in milliseconds since 1970; 0 while none is.
    since: AtomicI64,
}

impl ExportMeter {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let meter = Self {
            documents: Family::default(),
            retries: Family::default(),
            lost: Counter::default(),
            lags: Lags::default(),
        };
        let help = "Documents (lines of output) by what became of them";
        registry.register("cluster_export_documents", help, meter.documents.clone());
        let help = "Documents that had to be sent again";
        registry.register("cluster_export_retries", help, meter.retries.clone());
        let help = "Jobs whose old output was deleted before every exporter had it";
        registry.register("cluster_export_lost_jobs", help, meter.lost.clone());
        registry.register_collector(Box::new(meter.lags.clone()));
        meter
    }

    /// Counts a job whose output was deleted before it was shipped everywhere.
    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    /// The counts of the exporter `name`, shown from now on.
    pub(crate) fn of(&self, name: &str) -> Meter {
        let exporter = || ("exporter", name.to_owned());
        let outcome =
            |word: &str| self.documents.get_or_create(&[exporter(), ("outcome", word.to_owned())]).clone();
        let lag = Arc::new(Lag::default());
        self.lags.lock().insert(name.to_owned(), Arc::clone(&lag));
        let retries = self.retries.get_or_create(&[exporter()]).clone();
        Meter { delivered: outcome("delivered"), dead: outcome("dead"), retries, lag }
    }
}

impl Meter {
    /// Counts what an answer changed.
    pub(crate) fn count(&self, settled: &Settled) {
        self.delivered.inc_by(settled.delivered);
        self.dead.inc_by(settled.dead.len() as u64);
        self.retries.inc_by(settled.again);
    }

    /// A batch is on its way whose oldest document is of this time; or none is.
    pub(crate) fn waits_since(&self, oldest: Option<WallTime>) {
        self.lag.since.store(oldest.map_or(0, |time| time.0), Ordering::Relaxed);
    }

    /// So many bytes are kept and not shipped.
    pub(crate) fn is_behind(&self, bytes: u64) {
        self.lag.bytes.store(bytes, Ordering::Relaxed);
    }
}

impl Lags {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Lag>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Lags {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let lags = self.lock().clone();
        if lags.is_empty() {
            return Ok(());
        }
        let now = clock::wall_millis();
        let rows = |of: &dyn Fn(&Lag) -> f64| -> Vec<_> {
            lags.iter().map(|(name, lag)| ([("exporter", name.clone())], of(lag))).collect()
        };
        let bytes = rows(&|lag| count(lag.bytes.load(Ordering::Relaxed)));
        gauges(
            &mut encoder,
            "cluster_export_lag_bytes",
            "Bytes of kept output that are not shipped yet",
            bytes,
        )?;
        let seconds = rows(&|lag| match lag.since.load(Ordering::Relaxed) {
            0 => 0.0,
            since => count(u64::try_from(now.saturating_sub(since)).unwrap_or(0)) / 1000.0,
        });
        let help = "Age of the oldest document that is on its way; 0 while none is";
        gauges(&mut encoder, "cluster_export_lag_seconds", help, seconds)
    }
}
