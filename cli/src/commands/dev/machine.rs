//! What this machine has, and where a person's data goes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

/// What one worker may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Thousandths of a core.
    pub(super) cpu_millis: usize,
    /// Memory in MiB.
    pub(super) memory_mib: u64,
}

/// The machine divided by the number of workers; a tenth of the memory is left to everybody else.
pub(super) fn share(workers: u16) -> Share {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let total =
        std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_mib(&text)).unwrap_or(2048);
    Share {
        cpu_millis: (cores * 1000 / usize::from(workers)).max(10),
        memory_mib: (total / 10 * 9 / u64::from(workers)).max(64),
    }
}

/// What a worker claims to have where nothing is run: enough to see many tasks at once.
pub(super) const PRETENDED: Share = Share { cpu_millis: 64_000, memory_mib: 64 * 1024 };

/// The total in `/proc/meminfo`, which counts in KiB.
fn total_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

/// `$XDG_STATE_HOME/dockmgr/dev`, else under `~/.local/state`.
pub(super) fn default_data() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder =
        absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(folder.join("dockmgr").join("dev"))
}

/// 256 random bits of the kernel, in hexadecimal.
pub(super) fn fresh_token() -> io::Result<String> {
    let mut bits = [0u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bits)?;
    let mut text = String::with_capacity(65);
    for byte in bits {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_the_machine() {
        assert_eq!(total_mib("MemTotal:       16318480 kB\nMemFree: 1 kB\n"), Some(15_936));
        assert_eq!(total_mib("nothing"), None);
        let (one, four) = (share(1), share(4));
        assert!(
            four.cpu_millis * 4 <= one.cpu_millis.max(40) && four.memory_mib * 4 <= one.memory_mib.max(256)
        );
    }
}
