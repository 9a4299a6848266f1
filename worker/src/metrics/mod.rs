//! What the worker counts and shows to Prometheus.
//!
//! Owns the counters, to which whoever is busy adds without waiting, and the page, which reads how the worker stands at the
//! moment of a scrape. What the cluster believes of this node the leader shows. The registry is handed down; nothing here is
//! global.

mod page;

pub use page::WorkerPage;

use std::sync::Arc;
use std::time::Duration;

use dockmgr_support::metrics::exposition::JOB_SECONDS;
use dockmgr_support::metrics::process::ProcessCollector;
use dockmgr_support::traces;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// One label whose values are words of ours.
type Word = [(&'static str, &'static str); 1];

/// Everything this worker counts. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Bytes of output written to the spool.
    pub captured: Counter,
    /// Bytes of output handed to the connection to the coordinator, repeats included.
    pub sent: Counter,
    /// Attempts told to end because contact with the leader was lost.
    pub fenced: Counter,
    /// Spans of traces.
    pub spans: traces::Meter,
    pulls: Family<Word, Histogram>,
    removed: Family<Word, Counter>,
    reclaimed: Family<Word, Counter>,
}

impl Default for Metrics {
    /// A registry of its own, everything at zero.
    fn default() -> Self {
        let mut registry = Registry::default();
        let to = &mut registry;
        to.register_collector(Box::new(ProcessCollector::new("worker", env!("CARGO_PKG_VERSION"))));
        let bytes = Family::<Word, Counter>::default();
        to.register("cluster_log_bytes", "Bytes of output of jobs, by how far they came", bytes.clone());
        let fenced = Counter::default();
        let help = "Attempts told to end because contact with the leader was lost";
        to.register("cluster_attempts_fenced", help, fenced.clone());
        let pulls: Family<Word, Histogram> = Family::new_with_constructor(|| Histogram::new(JOB_SECONDS));
        to.register(
            "cluster_image_pull_seconds",
            "Time of image pulls, their retries included",
            pulls.clone(),
        );
        let (removed, reclaimed) = (Family::<Word, Counter>::default(), Family::<Word, Counter>::default());
        let help = "Unused images, and containers that no attempt knows, that were removed";
        to.register("cluster_gc_removed", help, removed.clone());
        let help = "Bytes of what was removed, as the daemon counted them before";
        to.register("cluster_gc_reclaimed_bytes", help, reclaimed.clone());
        drop(reclaimed.get_or_create(&[("kind", "image")]));
        for kind in ["image", "container"] {
            drop(removed.get_or_create(&[("kind", kind)]));
        }
        let stage = |stage| bytes.get_or_create(&[("stage", stage)]).clone();
        let (captured, sent) = (stage("captured"), stage("sent"));
        let spans = traces::Meter::register(to);
        Self { captured, sent, fenced, spans, pulls, removed, reclaimed, registry: Arc::new(registry) }
    }
}

impl Metrics {
    /// Notes that an image pull ended.
    pub fn pulled(&self, succeeded: bool, took: Duration) {
        let result = if succeeded { "succeeded" } else { "failed" };
        self.pulls.get_or_create(&[("result", result)]).observe(took.as_secs_f64());
    }

    /// Notes that an unused image of this size was removed.
    pub fn image_removed(&self, bytes: u64) {
        self.removed.get_or_create(&[("kind", "image")]).inc();
        self.reclaimed.get_or_create(&[("kind", "image")]).inc_by(bytes);
    }

    /// Notes that a container was removed that no attempt knows.
    pub fn stray_removed(&self) {
        self.removed.get_or_create(&[("kind", "container")]).inc();
    }
}
