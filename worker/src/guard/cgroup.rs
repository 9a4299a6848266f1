//! Killing a container through its control group, on both versions of them.
//!
//! Owns finding the group by the container's id and emptying it. It touches no group that is not named by the whole id of
//! the container, as Docker names them: `<id>` (cgroupfs driver) or `docker-<id>.scope` (systemd driver).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Folders below a hierarchy's root in which Docker puts containers unless told otherwise.
const USUAL: [&str; 2] = ["docker", "system.slice"];
/// How deep a group is searched for where it is not at a usual place (`--cgroup-parent`, nested or rootless daemons).
const DEEPEST: usize = 6;
/// Passes at once over a group whose processes multiply; the caller comes again.
const PASSES: u32 = 5;
/// How long a group may take to freeze, and its killed processes to go, before it is looked at again: both are a matter of
/// microseconds unless a process hangs in the kernel, and others must be killed too.
const PATIENCE: Duration = Duration::from_millis(40);
/// Between two looks while waiting.
const LOOK: Duration = Duration::from_millis(1);
/// Characters of a container's id.
const ID_LENGTH: usize = 64;

/// The hierarchies in which containers are looked for.
#[derive(Debug, Clone)]
pub struct Cgroups {
    hierarchies: Vec<Hierarchy>,
}

/// The root of one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hierarchy {
    /// Version 1, the freezer.
    Freezer(PathBuf),
    /// Version 2.
    Unified(PathBuf),
}

impl Cgroups {
    /// The hierarchies of this machine, as its mount table names them.
    pub fn of_this_machine() -> std::io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        Ok(Self { hierarchies: mounts.lines().filter_map(hierarchy).collect() })
    }

    /// Whether a container of this full id has processes.
    pub fn is_alive(&self, container: &str) -> bool {
        self.find(container).iter().any(Group::has_processes)
    }

    /// Kills everything in a container; `true` if nothing lives any more.
    pub fn kill(&self, container: &str) -> bool {
        let groups = self.find(container);
        for _ in 0..PASSES {
            let alive: Vec<&Group> = groups.iter().filter(|group| group.has_processes()).collect();
            if alive.is_empty() {
                return true;
            }
            for group in &alive {
                group.kill_all(container);
            }
            wait_until(|| !alive.iter().any(|group| group.has_processes()));
        }
        !groups.iter().any(Group::has_processes)
    }

    /// The group of a container of this full id below `root`, where a hierarchy is mounted.
    pub(super) fn group_below(root: &Path, container: &str) -> Option<PathBuf> {
        Hierarchy::Freezer(root.to_owned())
            .find(container)
            .filter(|_| is_full_id(container))
            .map(|group| group.path)
    }

    fn find(&self, container: &str) -> Vec<Group> {
        if !is_full_id(container) {
            return Vec::new();
        }
        self.hierarchies.iter().filter_map(|hierarchy| hierarchy.find(container)).collect()
    }
}

impl Hierarchy {
    fn find(&self, container: &str) -> Option<Group> {
        let (root, unified) = match self {
            Self::Freezer(root) => (root, false),
            Self::Unified(root) => (root, true),
        };
        let names = [container.to_owned(), format!("docker-{container}.scope")];
        let usual =
            USUAL.iter().flat_map(|folder| names.iter().map(move |name| root.join(folder).join(name)));
        let found = usual.into_iter().find(|path| path.is_dir()).or_else(|| search(root, &names, DEEPEST))?;
        Some(Group { path: found, unified })
    }
}

fn is_full_id(container: &str) -> bool {
    container.len() == ID_LENGTH && container.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One line of the mount table, if it is a hierarchy of use here.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let mut columns = line.split(' ').skip(1);
    let (path, kind, options) = (columns.next()?, columns.next()?, columns.next()?);
    match kind {
        "cgroup2" => Some(Hierarchy::Unified(path.into())),
        "cgroup" if options.split(',').any(|option| option == "freezer") => {
            Some(Hierarchy::Freezer(path.into()))
        }
        _ => None,
    }
}

/// The first folder below `root` with one of these names.
fn search(root: &Path, names: &[String; 2], depth: usize) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = fs::read_dir(root)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    let named =
        |path: &&PathBuf| names.iter().any(|name| path.file_name().is_some_and(|file| file == name.as_str()));
    if let Some(found) = folders.iter().find(named) {
        return Some(found.clone());
    }
    if depth == 0 {
        return None;
    }
    folders.iter().find_map(|folder| search(folder, names, depth - 1))
}

/// The group of one container.
#[derive(Debug)]
struct Group {
    path: PathBuf,
    unified: bool,
}

impl Group {
    /// Whether a process is in it or below it. A group that cannot be read is gone.
    fn has_processes(&self) -> bool {
        if self.unified {
            let events = fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default();
            return events.lines().any(|line| line == "populated 1");
        }
        !self.pids().is_empty()
    }

    /// One pass of SIGKILL over everything in it.
    fn kill_all(&self, container: &str) {
        if self.unified && fs::write(self.path.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        // Frozen, nothing in it can run away by forking between the list and the signal.
        self.set_frozen(true);
        wait_until(|| self.is_frozen());
        for pid in self.pids() {
            kill_member(pid, container);
        }
        self.set_frozen(false);
    }

    /// A group that cannot be frozen is killed all the same, pass by pass.
    fn set_frozen(&self, frozen: bool) {
        let (file, word) = match (self.unified, frozen) {
            (true, true) => ("cgroup.freeze", "1"),
            (true, false) => ("cgroup.freeze", "0"),
            (false, true) => ("freezer.state", "FROZEN"),
            (false, false) => ("freezer.state", "THAWED"),
        };
        for folder in self.folders() {
            drop(fs::write(folder.join(file), word));
            if frozen {
                // The kernel freezes everything below with it.
                return;
            }
        }
    }

    fn is_frozen(&self) -> bool {
        let read = |file: &str| fs::read_to_string(self.path.join(file)).unwrap_or_default();
        if self.unified {
            read("cgroup.events").lines().any(|line| line == "frozen 1")
        } else {
            read("freezer.state").trim() == "FROZEN"
        }
    }

    /// Its processes and those of the groups below it; 0 stands for one outside of our sight.
    fn pids(&self) -> Vec<i32> {
        let list = |folder: &PathBuf| fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        let lists: Vec<String> = self.folders().iter().map(list).collect();
        lists.iter().flat_map(|list| list.lines()).filter_map(|line| line.parse().ok()).collect()
    }

    /// The group and all below it, parents first.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.path.clone()];
        let mut next = 0;
        while let Some(folder) = folders.get(next).cloned() {
            let below = fs::read_dir(folder).into_iter().flatten().flatten();
            let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            folders.extend(below.map(|entry| entry.path()));
            next += 1;
        }
        folders
    }
}

/// Kills one process, if it is the container's: its number may have been given to another since it was listed.
fn kill_member(pid: i32, container: &str) {
    let Some(process) = Pid::from_raw(pid) else { return };
    let Ok(handle) = pidfd_open(process, PidfdFlags::empty()) else { return };
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    if table.lines().any(|line| line.contains(container)) {
        // Gone meanwhile is as good.
        pidfd_send_signal(&handle, Signal::KILL).ok();
    }
}

/// Waits for [`PATIENCE`] at most.
#[expect(clippy::disallowed_methods, reason = "the guard is one thread and has nothing else to do")]
fn wait_until(condition: impl Fn() -> bool) {
    let mut waited = Duration::ZERO;
    while waited < PATIENCE && !condition() {
        std::thread::sleep(LOOK);
        waited += LOOK;
    }
}

#[cfg(test)]
mod tests;
