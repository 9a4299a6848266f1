//! The guard as a program: what it kills, when, what it leaves alone, and when it ends.
//!
//! Plain processes in control groups of their own stand for containers. Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dockmgr_core::agent::Guarded;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::spec::OnLost;
use dockmgr_core::time::BootTime;
use dockmgr_support::clock;
use dockmgr_worker::fence::{ContactFile, Known};
use dockmgr_worker::guard::Records;
use tempfile::TempDir;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const FREEZER: &str = "/sys/fs/cgroup/freezer";
/// Between fence and kill: the grace of the worker's own stop.
const GRACE: Duration = Duration::from_secs(5);
/// Time the guard may take to see it and to kill.
const KILL: Duration = Duration::from_secs(2);

/// A process in a control group that is named like a container's.
struct Container {
    id: String,
    group: PathBuf,
    process: Child,
}

impl Container {
    fn start() -> Self {
        let stamp = uuid::Uuid::now_v7().simple().to_string();
        let id = format!("{stamp}{stamp}");
        let group = Path::new(FREEZER).join(format!("dockmgr-guard-test-{stamp}")).join(&id);
        fs::create_dir_all(&group).expect("control groups can be made: this test needs root");
        let process = Command::new("sleep").arg("1000").spawn().expect("sleep starts");
        fs::write(group.join("cgroup.procs"), process.id().to_string()).expect("it can be moved");
        Self { id, group, process }
    }

    fn lives(&mut self) -> bool {
        self.process.try_wait().expect("a child").is_none()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir(&self.group));
        drop(self.group.parent().map(fs::remove_dir));
    }
}

/// A data folder with contact as of now.
struct Folder {
    root: TempDir,
    records: Records,
    contact: BootTime,
}

impl Folder {
    fn new(fence_after: Duration) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let boot_id = fs::read_to_string(BOOT_ID).expect("a boot id").trim().to_owned();
        let records = Records::open(folder.path(), &boot_id).expect("opens");
        let contact = BootTime(clock::boot_nanos());
        let known = Known { boot_id, last: Some(contact), fence_after };
        ContactFile::open(folder.path()).expect("opens").write(&known).expect("writes");
        Self { root: folder, records, contact }
    }

    fn guard(&self, more: &[&str]) -> Guard {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dockmgr-worker"));
        command.args(["guard", "--data"]).arg(self.root.path()).args(more).stdin(Stdio::null());
        Guard(command.spawn().expect("the guard starts"))
    }

    fn put(&self, job: u64, on_lost: OnLost) -> (AttemptId, Container) {
        let attempt = AttemptId::from_parts(job, 0, 1).expect("numbers from 1");
        let container = Container::start();
        let guarded = Guarded { container: container.id.clone(), on_lost };
        self.records.write(attempt, &guarded).expect("writes");
        (attempt, container)
    }

    /// Since the last contact.
    fn elapsed(&self) -> Duration {
        BootTime(clock::boot_nanos()).since(self.contact)
    }
}

/// A running guard.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "a test of processes, without a runtime")]
fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let begun = clock::boot_nanos();
    while !condition() {
        let waited = Duration::from_nanos(clock::boot_nanos() - begun);
        assert!(waited < limit, "waited for {waited:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_may_be_replaced_is_killed_in_time_and_what_waits_lives_on() {
    let fence = Duration::from_secs(1);
    let folder = Folder::new(fence);
    let mut fenced = [folder.put(1, OnLost::Retry), folder.put(2, OnLost::Fail)];
    let (kept, mut waiting) = folder.put(3, OnLost::Wait);
    let _guard = folder.guard(&["--stay"]);
    wait_until("both die", fence + GRACE + KILL, || !fenced.iter_mut().any(|(_, one)| one.lives()));
    let after = folder.elapsed();
    assert!(after >= fence + GRACE, "not before the worker's own grace is over: {after:?}");
    assert!(after <= fence + GRACE + KILL, "{after:?}");
    assert!(waiting.lives(), "a job that waits is never killed");
    for (attempt, _) in &fenced {
        assert!(folder.records.was_killed(*attempt), "the worker is told");
    }
    assert!(!folder.records.was_killed(kept));
}

#[test]
fn a_folder_has_one_guard_and_what_it_knew_is_fenced_although_the_folder_is_gone() {
    let fence = Duration::from_secs(2);
    let folder = Folder::new(fence);
    let (_, mut container) = folder.put(1, OnLost::Retry);
    let mut first = folder.guard(&["--stay"]);
    wait_until("the guard holds its lock", Duration::from_secs(10), || {
        let lock = fs::File::open(folder.root.path().join("guard.lock"));
        lock.is_ok_and(|lock| {
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err()
        })
    });
    let second = folder.guard(&["--stay"]).0.wait().expect("it ends");
    assert_eq!(second.code(), Some(75), "one guard a folder");
    let contact = folder.contact;
    // Until the guard has looked at the folder at least once.
    wait_until("a look", KILL, || BootTime(clock::boot_nanos()).since(contact) > Duration::from_secs(1));
    drop(folder);
    wait_until("it dies", fence + GRACE + KILL, || !container.lives());
    let after = BootTime(clock::boot_nanos()).since(contact);
    assert!(after >= fence + GRACE && after <= fence + GRACE + KILL, "{after:?}");
    wait_until("the guard ends with the folder", KILL, || first.0.try_wait().is_ok_and(|end| end.is_some()));
}

#[test]
fn a_guard_that_nobody_stays_for_ends_when_nothing_is_left() {
    let folder = Folder::new(Duration::from_secs(240));
    let (_, container) = folder.put(1, OnLost::Retry);
    let (_, _waiting) = folder.put(2, OnLost::Wait);
    let mut guard = folder.guard(&[]);
    drop(container);
    wait_until("it ends", Duration::from_secs(30), || guard.0.try_wait().is_ok_and(|end| end.is_some()));
    assert!(guard.0.wait().expect("it ended").success());
}
