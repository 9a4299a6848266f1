//! What a killed Docker daemon leaves of a container that it was starting: processes, their shim, their control groups.
//!
//! Between containerd's start and the daemon's own record of it lies a moment. A daemon killed in it calls the container "created"
//! when it is back, removes it without a word to containerd, and knows nothing of what runs on (20.10 with live-restore: 1 of 24
//! interrupted starts ran its command, 2 stood right before it, 15 left a shim or an empty group). Nobody else ends these.
//!
//! Owns ending them by the container's full id. Called when the daemon says that a container whose start is in doubt is gone.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::Cgroups;

/// What the programs between containerd and a container are called.
const SHIM: &str = "containerd-shim";

/// What was found of a container that its daemon does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remains {
    /// Processes of it lived.
    pub alive: bool,
    /// None does any more.
    pub ended: bool,
}

impl Remains {
    /// Ends everything that is left of a container. Blocks; takes milliseconds unless a process hangs in the kernel.
    ///
    /// # Errors
    /// The system's, when its mount table cannot be read.
    pub fn end(container: &str) -> std::io::Result<Self> {
        let cgroups = Cgroups::of_this_machine()?;
        let alive = cgroups.is_alive(container);
        let ended = cgroups.kill(container);
        // containerd takes the end of a shim as the end of its container, and cleans up behind both.
        for pid in processes() {
            end_shim(pid, container);
        }
        for mounted in hierarchies()? {
            if let Some(group) = Cgroups::group_below(&mounted, container) {
                remove_empty(&group);
            }
        }
        Ok(Self { alive, ended })
    }
}

/// Kills a process if it is the shim of this container.
fn end_shim(pid: i32, container: &str) {
    let Some(process) = Pid::from_raw(pid).filter(|_| is_shim_of(pid, container)) else { return };
    let handle: OwnedFd = match pidfd_open(process, PidfdFlags::empty()) {
        Ok(handle) => handle,
        // Gone meanwhile.
        Err(_) => return,
    };
    // Its number may have been given to another between the look and the handle.
    if is_shim_of(pid, container) {
        pidfd_send_signal(&handle, Signal::KILL).ok();
    }
}

fn is_shim_of(pid: i32, container: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let program = words.first().map(|path| String::from_utf8_lossy(path).into_owned()).unwrap_or_default();
    let named = Path::new(&program).file_name().is_some_and(|name| name.to_string_lossy().starts_with(SHIM));
    named && words.windows(2).any(|two| two[0] == b"-id" && two[1] == container.as_bytes())
}

fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Where control groups are mounted: one place with version 2, one for each set of controllers with version 1.
fn hierarchies() -> std::io::Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let group = |line: &str| {
        let mut columns = line.split(' ').skip(1);
        let (path, kind) = (columns.next()?, columns.next()?);
        matches!(kind, "cgroup" | "cgroup2").then(|| PathBuf::from(path))
    };
    Ok(mounts.lines().filter_map(group).collect())
}

/// Removes a group and those below it, as far as they have no processes.
fn remove_empty(group: &Path) {
    for below in fs::read_dir(group).into_iter().flatten().flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&below.path());
        }
    }
    // Refused while a process is in it; gone if containerd was faster.
    fs::remove_dir(group).ok();
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    use super::*;

    /// A process that looks like the shim of a container.
    fn shim(container: &str) -> Child {
        let mut command = Command::new("sh");
        command.arg0("/usr/bin/containerd-shim-runc-v2");
        command.args(["-c", "while :; do sleep 1; done", "-namespace", "moby", "-id", container]);
        command.spawn().expect("a shell starts")
    }

    fn fresh_id() -> String {
        uuid::Uuid::now_v7().simple().to_string().repeat(2)
    }

    #[test]
    fn what_lives_of_a_forgotten_container_ends_and_nothing_of_another() {
        let (id, other) = (fresh_id(), fresh_id());
        let parent = |name: &str| PathBuf::from(format!("/sys/fs/cgroup/{name}/dockmgr-remains-{id}"));
        let parents = ["freezer", "memory"].map(parent);
        let groups: Vec<PathBuf> = parents.iter().map(|parent| parent.join(&id)).collect();
        for group in &groups {
            fs::create_dir_all(group).expect("control groups can be made: this test needs root");
        }
        let enter: String =
            groups.iter().map(|group| format!("echo $$ >{}/cgroup.procs; ", group.display())).collect();
        let mut job =
            Command::new("sh").args(["-c", &format!("{enter} exec sleep 1000")]).spawn().expect("a shell");
        let (mut own, mut foreign) = (shim(&id), shim(&other));
        let cgroups = Cgroups::of_this_machine().expect("the mount table");
        while !cgroups.is_alive(&id) || !is_shim_of(own.id().try_into().expect("small"), &id) {
            std::thread::yield_now();
        }
        assert_eq!(Remains::end(&id).expect("it can be tried"), Remains { alive: true, ended: true });
        job.wait().expect("it was killed");
        own.wait().expect("it was killed");
        assert!(
            foreign.try_wait().expect("it can be asked").is_none(),
            "another container's shim was killed"
        );
        // A group goes when its last process has been collected.
        let again = Remains::end(&id).expect("it can be tried");
        assert_eq!(again, Remains { alive: false, ended: true });
        assert!(groups.iter().all(|group| !group.exists()), "{groups:?}");
        foreign.kill().expect("it lives");
        foreign.wait().expect("it was killed");
        for parent in parents {
            fs::remove_dir(parent).expect("it is empty");
        }
    }
}
