//! The page a scrape of this coordinator gets.

use std::fmt;
use std::time::Duration;

use dockmgr_support::metrics::Page;
use dockmgr_support::metrics::disks::{Disk, Disks};
use dockmgr_support::metrics::exposition::{count, counter, encode, gauge, gauges};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::view::View;
use crate::controller::Handle;
use crate::forward::{Leading, Place};
use crate::logs::{LogStore, SealingNow};

/// How long is waited for the controller: a scrape must come back although it is overwhelmed.
const LOOK: Duration = Duration::from_secs(5);

/// Everything a scrape shows.
pub(crate) struct CoordinatorPage {
    metrics: Metrics,
    handle: Handle,
    leading: Leading,
    logs: LogStore,
    disks: Disks,
}

impl CoordinatorPage {
    /// A page of what was counted and of how the cluster and the disks of `folders` stand.
    pub(crate) fn new(
        metrics: Metrics,
        handle: Handle,
        leading: Leading,
        logs: LogStore,
        disks: Disks,
    ) -> Self {
        Self { metrics, handle, leading, logs, disks }
    }
}

impl Page for CoordinatorPage {
    async fn text(&self) -> Result<String, fmt::Error> {
        let look = tokio::time::timeout(LOOK, self.handle.read(View::of));
        let (looked, disks) = tokio::join!(look, self.disks.look());
        let place = self.leading.place();
        // What another leader changes is not seen here, so only the leader shows the cluster.
        let view = looked.ok().and_then(Result::ok).filter(|_| place == Place::Here);
        let own = Own {
            leads: place == Place::Here,
            leader_known: place != Place::Nowhere,
            read_only: self.handle.read_only().is_some(),
            log_bytes: (place == Place::Here).then(|| self.logs.usage()),
            sealing: self.logs.sealing(),
            disks,
        };
        let mut now = Registry::default();
        now.register_collector(Box::new(own));
        if let Some(view) = view {
            now.register_collector(Box::new(view));
        }
        encode(&[&self.metrics.registry, &now])
    }
}

/// How this coordinator itself stands.
#[derive(Debug)]
struct Own {
    leads: bool,
    leader_known: bool,
    read_only: bool,
    log_bytes: Option<u64>,
    sealing: SealingNow,
    disks: Vec<Disk>,
}

impl Collector for Own {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let to = &mut encoder;
        let flag = |set: bool| f64::from(u8::from(set));
        let help = "Whether this coordinator leads; only the leader shows how the cluster stands";
        gauge(to, "cluster_coordinator_leading", help, flag(self.leads))?;
        let help = "Whether this coordinator knows a leader, itself or another one";
        gauge(to, "cluster_coordinator_leader_known", help, flag(self.leader_known))?;
        let help = "Whether this coordinator leads and its store takes no writes";
        gauge(to, "cluster_coordinator_read_only", help, flag(self.read_only))?;
        if let Some(bytes) = self.log_bytes {
            gauge(to, "cluster_log_store_bytes", "Bytes of kept output", count(bytes))?;
        }
        self.sealing(to)?;
        let rows = |of: fn(&Disk) -> u64| {
            self.disks.iter().map(move |disk| ([("folder", disk.folder)], count(of(disk))))
        };
        gauges(to, "cluster_disk_free_bytes", "Bytes free on the disk of a folder", rows(|disk| disk.free))?;
        gauges(to, "cluster_disk_size_bytes", "Size of the disk of a folder", rows(|disk| disk.size))
    }
}

impl Own {
    /// How packing of output into segments goes.
    fn sealing(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let now = self.sealing;
        if self.leads {
            gauge(to, "cluster_log_segments", "Segments of packed output", count(now.segments))?;
            gauge(to, "cluster_log_segment_bytes", "Bytes of segments of packed output", count(now.bytes))?;
            let help = "Attempts whose output has ended and is not packed yet";
            gauge(to, "cluster_log_unsealed_attempts", help, count(now.waiting))?;
        }
        let help = "Bytes of segments that were stored and read back";
        counter(to, "cluster_log_sealed_bytes", help, count(now.sealed_bytes))?;
        let help = "Tries to store, remove or look through packed output that failed";
        counter(to, "cluster_log_seal_failures", help, count(now.failures))
    }
}
