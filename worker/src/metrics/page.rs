//! The page a scrape of this worker gets.

use std::fmt;
use std::time::Duration;

use dockmgr_core::time::BootTime;
use dockmgr_support::clock;
use dockmgr_support::metrics::Page;
use dockmgr_support::metrics::disks::{Disk, Disks};
use dockmgr_support::metrics::exposition::{count, counter, encode, gauge, gauges};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use crate::attempt::Attempts;

/// Everything a scrape shows.
#[derive(Debug)]
pub struct WorkerPage {
    attempts: Attempts,
    disks: Disks,
}

impl WorkerPage {
    /// A page of what was counted and of how the worker and the disks of `disks` stand.
    pub fn new(attempts: Attempts, disks: Disks) -> Self {
        Self { attempts, disks }
    }
}

impl Page for WorkerPage {
    async fn text(&self) -> Result<String, fmt::Error> {
        let disks = self.disks.look().await;
        let context = self.attempts.context();
        let contact = context.contact.now();
        let now = BootTime(clock::boot_nanos());
        let standing = Standing {
            ready: context.health.status().not_ready.is_empty(),
            contact_age: contact.last.map(|last| now.since(last)),
            fenced: context.contact.is_lost(),
            attempts: self.attempts.known().len() as u64,
            spool_bytes: context.spool.bytes(),
            outages: context.health.outages(),
            disks,
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(standing));
        encode(&[&context.metrics.registry, &registry])
    }
}

/// How the worker stands.
#[derive(Debug)]
struct Standing {
    ready: bool,
    /// `None` before the leader was ever heard of.
    contact_age: Option<Duration>,
    fenced: bool,
    attempts: u64,
    spool_bytes: u64,
    outages: u64,
    disks: Vec<Disk>,
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let to = &mut encoder;
        let flag = |set: bool| f64::from(u8::from(set));
        gauge(to, "cluster_worker_ready", "Whether this worker can take work", flag(self.ready))?;
        if let Some(age) = self.contact_age {
            let help = "Time since the last sign of life that the leader acknowledged";
            gauge(to, "cluster_worker_contact_age_seconds", help, age.as_secs_f64())?;
        }
        let help = "Whether contact with the leader is lost, so that attempts that may be replaced are ended";
        gauge(to, "cluster_worker_fenced", help, flag(self.fenced))?;
        gauge(to, "cluster_worker_attempts", "Attempts this worker knows", count(self.attempts))?;
        let help = "Bytes of output that are still here for the coordinator to take";
        gauge(to, "cluster_log_spool_bytes", help, count(self.spool_bytes))?;
        let help = "How often the container runtime was lost";
        counter(to, "cluster_runtime_outages", help, count(self.outages))?;
        let rows = |of: fn(&Disk) -> u64| {
            self.disks.iter().map(move |disk| ([("folder", disk.folder)], count(of(disk))))
        };
        gauges(to, "cluster_disk_free_bytes", "Bytes free on the disk of a folder", rows(|disk| disk.free))?;
        gauges(to, "cluster_disk_size_bytes", "Size of the disk of a folder", rows(|disk| disk.size))
    }
}
