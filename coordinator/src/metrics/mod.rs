//! What the coordinator counts and shows to Prometheus.
//!
//! Two kinds, kept apart: *counters* of what passed through this process since it started (`facts`, `calls`, `store`,
//! log bytes), which whoever is busy adds to without waiting; and *gauges* of how the cluster stands (`view`), which are read
//! from the cluster at the moment of a scrape (`page`) and never counted by hand. A coordinator that does not lead has no
//! cluster to look at and shows none of these gauges. The registry is handed down; nothing here is global.

pub(crate) mod calls;
pub(crate) mod export;
pub(crate) mod facts;
pub(crate) mod page;
pub(crate) mod store;
mod view;

use std::sync::Arc;

use dockmgr_support::metrics::process::ProcessCollector;
use dockmgr_support::traces;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use calls::Calls;
use export::ExportMeter;
use facts::JobMeter;
use store::StoreMeter;

/// Everything this coordinator counts. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// What happens to jobs.
    pub(crate) jobs: JobMeter,
    /// Calls of the API.
    pub(crate) calls: Calls,
    /// The store's operations.
    pub(crate) store: StoreMeter,
    /// Bytes of output on their way.
    pub(crate) logs: LogBytes,
    /// Spans of traces.
    pub(crate) spans: traces::Meter,
    /// What exporters ship.
    pub(crate) export: ExportMeter,
}

/// Bytes of output by how far they came.
#[derive(Debug, Clone)]
pub(crate) struct LogBytes {
    /// Taken in from workers and written.
    pub(crate) received: Counter,
    /// Sent to readers.
    pub(crate) read: Counter,
}

impl Default for Metrics {
    /// A registry of its own, everything at zero.
    fn default() -> Self {
        let mut registry = Registry::default();
        registry
            .register_collector(Box::new(ProcessCollector::new("coordinator", env!("CARGO_PKG_VERSION"))));
        Self {
            jobs: JobMeter::register(&mut registry),
            calls: Calls::register(&mut registry),
            store: StoreMeter::register(&mut registry),
            logs: LogBytes::register(&mut registry),
            spans: traces::Meter::register(&mut registry),
            export: ExportMeter::register(&mut registry),
            registry: Arc::new(registry),
        }
    }
}

impl LogBytes {
    fn register(registry: &mut Registry) -> Self {
        let bytes = Family::<[(&'static str, &'static str); 1], Counter>::default();
        registry.register(
            "cluster_log_bytes",
            "Bytes of output of jobs, by how far they came",
            bytes.clone(),
        );
        let stage = |stage| bytes.get_or_create(&[("stage", stage)]).clone();
        Self { received: stage("received"), read: stage("read") }
    }
}
