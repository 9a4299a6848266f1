//! What every process has: its version, processor time, memory, files. The names are those of Prometheus's own libraries.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::process::{Resource, getrlimit};

use super::exposition::{count, counter, gauge, gauges};
use crate::clock;

/// The unit of processor time in `/proc`, the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc/self` at each scrape; what cannot be read is left out.
#[derive(Debug)]
pub struct ProcessCollector {
    program: &'static str,
    version: &'static str,
    started_millis: i64,
}

impl ProcessCollector {
    /// The numbers of this process, which begins now as far as anybody will ask.
    pub fn new(program: &'static str, version: &'static str) -> Self {
        Self { program, version, started_millis: clock::wall_millis() }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let to = &mut encoder;
        let build = [("program", self.program), ("version", self.version)];
        gauges(to, "cluster_build_info", "Program and version, in labels", [(build, 1.0)])?;
        let started = count(u64::try_from(self.started_millis).unwrap_or(0)) / 1000.0;
        gauge(to, "process_start_time_seconds", "When the process began, since 1970", started)?;
        if let Some(seconds) = cpu_seconds() {
            counter(to, "process_cpu_seconds", "Processor time used, user and system", seconds)?;
        }
        if let Some(kib) = resident_kib() {
            gauge(to, "process_resident_memory_bytes", "Memory in use", count(kib) * 1024.0)?;
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            gauge(to, "process_open_fds", "Open files", count(files.count() as u64))?;
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            gauge(to, "process_max_fds", "Most open files there may be", count(most))?;
        }
        Ok(())
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name in brackets: state is field 3, user and system time are fields 14 and 15, in ticks.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().ok());
    let ticks = ticks.sum::<Option<u64>>()?;
    Some(count(ticks) / TICKS_PER_SECOND)
}

fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::super::exposition::encode;
    use super::*;

    #[test]
    fn every_number_of_the_process_is_there() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector::new("test", "1.2.3")));
        let text = encode(&[&registry]).expect("writable");
        assert!(text.contains("cluster_build_info{program=\"test\",version=\"1.2.3\"} 1"), "{text}");
        for name in
            ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"]
        {
            assert!(text.contains(&format!("\nprocess_{name} ")), "{name}: {text}");
        }
    }
}
