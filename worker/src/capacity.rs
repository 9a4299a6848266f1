//! What this machine has for attempts, and the labels every node carries.

use std::collections::BTreeMap;
use std::path::Path;

use dockmgr_core::spec::{LabelKey, LabelValue, Resources};

/// Part of the memory that is left to the system, the daemon and the worker, in percent.
const RESERVED_PERCENT: u64 = 10;
/// A memory limit of a control group above this is none: version 1 writes a number near the largest.
const NO_LIMIT: u64 = 1 << 60;

/// What the operator said instead of what is detected.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// Thousandths of a core.
    pub cpu_millis: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
}

/// Detects what the machine has. Cores follow the process's affinity and control group.
pub fn detect(overrides: Overrides) -> Resources {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let detected_cpu = u64::try_from(cores).unwrap_or(1).saturating_mul(1000);
    Resources {
        cpu_millis: overrides.cpu_millis.unwrap_or(detected_cpu),
        memory: overrides.memory.unwrap_or_else(memory),
        gpus: gpus(Path::new("/dev")),
    }
}

/// Labels every node carries, under those the operator gives.
pub fn labels(own: BTreeMap<LabelKey, LabelValue>, name: &str) -> BTreeMap<LabelKey, LabelValue> {
    let automatic = [("os", std::env::consts::OS), ("arch", architecture()), ("hostname", name)];
    let parsed = automatic
        .into_iter()
        .filter_map(|(key, value)| Some((LabelKey::parse(key).ok()?, LabelValue::parse(value).ok()?)));
    // A host name that is no label value is left out; the operator's words win.
    parsed.chain(own).collect()
}

/// The architecture as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn memory() -> u64 {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_total(&text)).unwrap_or(0);
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
        .filter(|limit| *limit < NO_LIMIT)
        .min();
    let usable = limit.map_or(total, |limit| limit.min(total));
    usable - usable / 100 * RESERVED_PERCENT
}

/// `MemTotal` in bytes.
fn mem_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Counts `nvidia0`, `nvidia1`, ... in the device folder.
fn gpus(devices: &Path) -> u32 {
    let Ok(entries) = std::fs::read_dir(devices) else { return 0 };
    let is_gpu = |name: &str| {
        name.strip_prefix("nvidia")
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    u32::try_from(names.filter(|name| is_gpu(name)).count()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_words() {
        assert_eq!(mem_total("MemTotal:       1000 kB\nMemFree: 1 kB\n"), Some(1_024_000));
        assert_eq!(mem_total("nothing"), None);
    }

    #[test]
    fn only_numbered_devices_are_gpus() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in ["nvidia0", "nvidia11", "nvidiactl", "nvidia-uvm", "nvidia"] {
            std::fs::write(folder.path().join(name), b"").expect("writes");
        }
        assert_eq!(gpus(folder.path()), 2);
    }

    #[test]
    fn the_operators_words_win() {
        let own = BTreeMap::from([(
            LabelKey::parse("os").expect("a key"),
            LabelValue::parse("mine").expect("a value"),
        )]);
        let labels = labels(own, "host");
        assert_eq!(labels[&LabelKey::parse("os").expect("a key")].as_str(), "mine");
        let given = Overrides { cpu_millis: Some(250), memory: Some(7) };
        assert_eq!((detect(given).cpu_millis, detect(given).memory), (250, 7));
        assert!(detect(Overrides::default()).memory > 0);
    }
}
