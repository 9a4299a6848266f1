//! Plain processes in control groups of their own, on both versions.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// A group named like a container's, with a shell and its children in it. Needs root.
struct Play {
    parent: PathBuf,
    id: String,
    path: PathBuf,
    shell: Child,
}

impl Play {
    /// Runs `script` in a fresh group below `root`; it must print a line when it is ready.
    fn start(root: &str, scope: bool, script: &str) -> Self {
        let stamp = uuid::Uuid::now_v7().simple().to_string();
        let id = format!("{stamp}{stamp}");
        let parent = Path::new(root).join(format!("dockmgr-guard-test-{stamp}"));
        let path = parent.join(if scope { format!("docker-{id}.scope") } else { id.clone() });
        fs::create_dir_all(&path).expect("control groups can be made: this test needs root");
        let enter = format!("echo $$ > {}/cgroup.procs; {script}", path.display());
        let mut shell =
            Command::new("sh").args(["-c", &enter]).stdout(Stdio::piped()).spawn().expect("a shell starts");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("piped")).read_line(&mut line).expect("it says a word");
        assert_eq!(line, "ready\n");
        Self { parent, id, path, shell }
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        // Its children too: one that lived on would hold open what the test prints to.
        for pid in fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default().lines() {
            if let Some(pid) = pid.parse().ok().and_then(rustix::process::Pid::from_raw) {
                let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        drop(self.shell.wait());
        // A group goes when its last process has been collected.
        wait_until(|| fs::remove_dir(&self.path).is_ok() || !self.path.exists());
        drop(fs::remove_dir(&self.parent));
    }
}

const FREEZER: &str = "/sys/fs/cgroup/freezer";

/// Where version 2 is mounted here.
fn unified() -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the mount table");
    let of = |line: &str| match hierarchy(line) {
        Some(Hierarchy::Unified(path)) => Some(path.display().to_string()),
        Some(Hierarchy::Freezer(_)) | None => None,
    };
    mounts.lines().find_map(of).expect("control groups of version 2 are mounted")
}

/// Ignores signals, has children in other sessions, and makes new ones without an end.
const STUBBORN: &str = "trap '' TERM HUP INT; setsid sleep 1000 & \
    (while :; do sleep 0.001 & wait; done) & echo ready; wait; wait; sleep 1000";

#[test]
fn everything_in_the_group_dies_on_both_versions_however_it_multiplies() {
    let cgroups = Cgroups::of_this_machine().expect("the mount table");
    for (root, scope) in
        [(FREEZER.to_owned(), false), (FREEZER.to_owned(), true), (unified(), false), (unified(), true)]
    {
        let play = Play::start(&root, scope, STUBBORN);
        assert!(cgroups.is_alive(&play.id), "{root}");
        assert!(cgroups.kill(&play.id), "{root}: something lives on");
        assert!(!cgroups.is_alive(&play.id), "{root}");
    }
}

#[test]
fn a_paused_container_dies_too() {
    let cgroups = Cgroups::of_this_machine().expect("the mount table");
    for root in [FREEZER.to_owned(), unified()] {
        let play = Play::start(&root, false, "echo ready; sleep 1000");
        let group = Group { path: play.path.clone(), unified: root != FREEZER };
        group.set_frozen(true);
        wait_until(|| group.is_frozen());
        assert!(cgroups.kill(&play.id), "{root}");
    }
}

#[test]
fn a_kernel_without_the_kill_file_is_served_by_freezing() {
    let play = Play::start(&unified(), false, STUBBORN);
    let group = Group { path: play.path.clone(), unified: true };
    // What `kill_all` does where `cgroup.kill` cannot be written.
    group.set_frozen(true);
    wait_until(|| group.is_frozen());
    assert!(group.is_frozen());
    for pid in group.pids() {
        kill_member(pid, &play.id);
    }
    group.set_frozen(false);
    wait_until(|| !group.has_processes());
    assert!(!group.has_processes());
}

#[test]
fn only_a_group_with_the_whole_id_is_touched() {
    let cgroups = Cgroups::of_this_machine().expect("the mount table");
    let mut play = Play::start(FREEZER, false, "echo ready; sleep 1000");
    let mut other = play.id.clone();
    other.replace_range(0..1, if other.starts_with('0') { "1" } else { "0" });
    for id in [&play.id[..12], "", "docker", "../docker", &other, &play.id.to_uppercase()] {
        if id != play.id {
            assert!(!cgroups.is_alive(id) && cgroups.kill(id), "'{id}' names no group");
        }
    }
    kill_member(i32::try_from(std::process::id()).expect("small"), &play.id);
    assert!(play.shell.try_wait().expect("a child").is_none(), "nobody touched it");
}

#[test]
fn the_mount_table_says_where_the_groups_are() {
    let found = |line| hierarchy(line);
    assert_eq!(
        found("cgroup /sys/fs/cgroup/freezer cgroup rw,relatime,freezer 0 0"),
        Some(Hierarchy::Freezer("/sys/fs/cgroup/freezer".into()))
    );
    assert_eq!(
        found("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0"),
        Some(Hierarchy::Unified("/sys/fs/cgroup".into()))
    );
    assert_eq!(found("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0"), None);
    assert_eq!(found("garbage"), None);
}
