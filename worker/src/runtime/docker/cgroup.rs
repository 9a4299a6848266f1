//! A container's usage read from the kernel's own files.
//!
//! Owns finding and reading them. Cheaper than asking the daemon, gives the peak on both versions of control groups, and works
//! where the daemon itself cannot load a container's groups (some hierarchy is not mounted: it then answers zeros). Only what
//! provably belongs to the container is believed: its id must be part of the group's path.

use std::path::{Path, PathBuf};

use super::super::{ContainerId, Usage};

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Reads the usage of the container whose first process is `pid`; `None` where the files cannot be read from here.
pub(super) async fn usage(id: &ContainerId, pid: u32) -> Option<Usage> {
    let table = read(Path::new(&format!("/proc/{pid}/cgroup"))).await?;
    let unified = tokio::fs::try_exists(Path::new(ROOT).join("cgroup.controllers")).await.unwrap_or(false);
    if unified { version_2(&folder(&table, "", id)?).await } else { version_1(&table, id).await }
}

async fn version_1(table: &str, id: &ContainerId) -> Option<Usage> {
    let memory = folder(table, "memory", id)?;
    Some(Usage {
        cpu_nanos: number(&folder(table, "cpuacct", id)?.join("cpuacct.usage")).await?,
        memory_bytes: number(&memory.join("memory.usage_in_bytes")).await?,
        memory_peak_bytes: number(&memory.join("memory.max_usage_in_bytes")).await,
        oom_kills: entry(&memory.join("memory.oom_control"), "oom_kill").await,
    })
}

async fn version_2(folder: &Path) -> Option<Usage> {
    Some(Usage {
        cpu_nanos: entry(&folder.join("cpu.stat"), "usage_usec").await?.saturating_mul(1000),
        memory_bytes: number(&folder.join("memory.current")).await?,
        memory_peak_bytes: number(&folder.join("memory.peak")).await,
        oom_kills: entry(&folder.join("memory.events"), "oom_kill").await,
    })
}

/// The folder of `controller` (version 2: the empty name) in a process's table of groups, if it is the container's.
fn folder(table: &str, controller: &str, id: &ContainerId) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let mut columns = line.splitn(3, ':');
        let (_number, names, path) = (columns.next()?, columns.next()?, columns.next()?);
        let matches = names.split(',').any(|name| name == controller);
        (matches && path.contains(id.as_str()))
            .then(|| Path::new(ROOT).join(names).join(path.trim_start_matches('/')))
    })
}

async fn read(path: &Path) -> Option<String> {
    tokio::fs::read_to_string(path).await.ok()
}

async fn number(path: &Path) -> Option<u64> {
    read(path).await?.trim().parse().ok()
}

/// The value of `name` in a file of `name value` lines.
async fn entry(path: &Path, name: &str) -> Option<u64> {
    let text = read(path).await?;
    text.lines()
        .find_map(|line| line.split_once(' ').filter(|(found, _)| *found == name)?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_own_group_is_believed() {
        let id = ContainerId::parse("abc123").expect("a name");
        let table = "4:memory:/docker/abc123\n2:cpu,cpuacct:/docker/abc123\n1:pids:/\n0::/system.slice/docker-abc123.scope\n";
        let at = |controller| folder(table, controller, &id);
        assert_eq!(at("memory"), Some("/sys/fs/cgroup/memory/docker/abc123".into()));
        assert_eq!(at("cpuacct"), Some("/sys/fs/cgroup/cpu,cpuacct/docker/abc123".into()));
        assert_eq!(at(""), Some("/sys/fs/cgroup/system.slice/docker-abc123.scope".into()));
        assert_eq!((at("pids"), at("freezer")), (None, None));
        assert_eq!(folder("garbage\n::\n", "", &id), None);
    }
}
