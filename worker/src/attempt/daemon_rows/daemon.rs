//! D1, D12, D13, D15, D22, D23 and R1: the whole daemon hangs, goes, comes back, is another one, or has a full disk.

use std::time::Duration;

use dockmgr_core::cluster::StopCause;
use dockmgr_core::log::{End, Mark};
use dockmgr_core::outcome::EndReason;
use dockmgr_core::spec::OnLost;

use super::Rig;
use crate::runtime::docker::testing::{Effect, Fault};
use crate::runtime::fake::Fake;
use crate::runtime::{Call, Runtime as _};
use crate::spool::Watermark;
use crate::sweep::sweep;
use crate::testing::{start, wait_until};

#[tokio::test]
async fn d01_a_daemon_that_hangs_is_told_and_everything_goes_on_once_when_it_answers() {
    let rig = Rig::new().await;
    let (running, late) = (rig.run(1, "echo out; sleep 0.3; exit 3"), "exit 4");
    rig.running(running).await;
    rig.daemon.hang(true);
    let waiting = rig.run(2, late);
    rig.probe().await;
    let reasons = rig.health.status().not_ready;
    assert!(reasons.len() == 1 && reasons[0].starts_with("container daemon hangs: "), "{reasons:?}");
    // Several calls of each attempt meet their deadlines; all of them are carried out when the daemon goes on.
    wait_until("calls pile up", || (rig.daemon.count(Call::Negotiate) > 6).then_some(())).await;
    assert_eq!((rig.end_of(running), rig.end_of(waiting)), (None, None));
    rig.daemon.hang(false);
    let end = rig.expect_exit(running, 3, "ran through").await;
    assert!(end.log_end.as_ref().is_some_and(|log| log.offsets.stdout == 4 && log.is_complete()), "{end:?}");
    rig.expect_exit(waiting, 4, "begun while it hung").await;
    assert_eq!((rig.runs(running), rig.runs(waiting)), (Some(1), Some(1)));
    assert_eq!(rig.daemon.count(Call::Start), 2);
    rig.probe().await;
    assert!(rig.health.status().not_ready.is_empty());
}

#[tokio::test]
async fn d01_each_call_that_hangs_is_given_up_and_tried_again() {
    let rig = Rig::new().await;
    let calls =
        [Call::InspectImage, Call::Create, Call::Inspect, Call::Attach, Call::Wait, Call::Remove, Call::Pull];
    for (job, call) in (1..).zip(calls) {
        for effect in [Effect::None, Effect::Before] {
            let case = format!("{call} {effect:?}");
            rig.daemon.order(call, Fault::Hang(effect));
            let mut start =
                start(job * 2 + u64::from(effect == Effect::None), "image:1", "sleep 0.1; exit 3");
            start.spec.pull = dockmgr_core::spec::PullPolicy::Always;
            let attempt = rig.run_as(start);
            rig.expect_exit(attempt, 3, &case).await;
            assert_eq!(rig.runs(attempt), Some(1), "{case}");
            rig.settle_clean(attempt, &case).await;
        }
    }
}

#[tokio::test]
async fn d12_a_restart_with_live_restore_loses_nothing() {
    let rig = Rig::new().await;
    let attempt = rig.run(1, "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.2; done; exit 0");
    rig.running(attempt).await;
    rig.daemon.stop();
    tokio::time::sleep(Duration::from_millis(400)).await;
    rig.daemon.listen();
    let end = rig.expect_exit(attempt, 0, "live-restore").await;
    assert!(end.log_end.as_ref().is_some_and(|log| log.is_complete() && log.offsets.stdout == 42), "{end:?}");
    assert_eq!(rig.runs(attempt), Some(1));
}

#[tokio::test]
async fn d13_a_restart_without_live_restore_makes_its_exits_unknown() {
    for (script, signal) in [("sleep 1000", "SIGKILL"), ("trap 'exit 0' TERM; sleep 1000", "SIGTERM")] {
        for worker_too in [false, true] {
            let rig = Rig::new().await;
            rig.daemon.is_now(|about| about.live_restore = false);
            rig.probe().await;
            rig.warned("live-restore is off").await;
            let attempt = rig.run(1, script);
            rig.running(attempt).await;
            let restart = async |daemon: &crate::runtime::docker::testing::FakeDocker| {
                daemon.stop();
                daemon.fake.signal(&Rig::container(attempt), signal).await.expect("kills");
                tokio::time::sleep(Duration::from_millis(100)).await;
                daemon.listen();
            };
            let rig = if worker_too {
                rig.crash(restart).await
            } else {
                restart(&rig.daemon).await;
                rig
            };
            if worker_too && signal == "SIGTERM" {
                // Nobody saw the daemon away and its process is not visible: an orderly exit is believed.
                rig.expect_exit(attempt, 0, "worker away").await;
            } else {
                let end = rig.expect_unknown(attempt, signal).await;
                assert!(end.message.contains("live-restore is off"), "{end:?}");
            }
            rig.settle_clean(attempt, signal).await;
        }
    }
}

#[tokio::test]
async fn d13_an_outage_that_its_container_survived_makes_no_exit_doubtful() {
    let rig = Rig::new().await;
    rig.daemon.is_now(|about| about.live_restore = false);
    rig.probe().await;
    let attempt = rig.run(1, "sleep 1.5; exit 0");
    rig.running(attempt).await;
    rig.daemon.stop();
    rig.daemon.listen();
    rig.expect_exit(attempt, 0, "it was seen alive afterwards").await;
}

#[tokio::test]
async fn d15_an_upgraded_daemon_is_spoken_to_in_its_own_version() {
    let rig = Rig::new().await;
    let attempt = rig.run(1, "sleep 0.5; exit 3");
    rig.running(attempt).await;
    rig.daemon.stop();
    rig.daemon.is_now(|about| about.api = ("1.44".to_owned(), "1.47".to_owned()));
    let gone = async || {
        rig.probe().await;
        rig.health.status().not_ready.join("; ")
    };
    assert!(gone().await.contains("does not exist"), "{}", gone().await);
    rig.daemon.listen();
    rig.expect_exit(attempt, 3, "over the upgrade").await;
    rig.probe().await;
    assert_eq!(rig.health.daemon().expect("answers").api_version, "1.47");
    // A daemon that refuses the agreed version is asked for its own again.
    rig.daemon.order(
        Call::Inspect,
        Fault::Status(Effect::None, 400, "client version 1.47 is too new. Maximum is 1.41"),
    );
    let before = rig.daemon.count(Call::Negotiate);
    let attempt = rig.run(2, "exit 4");
    rig.expect_exit(attempt, 4, "refused version").await;
    assert!(rig.daemon.count(Call::Negotiate) > before);
}

#[tokio::test]
async fn d22_busy_answers_and_a_missing_daemon_are_waited_out_with_their_reasons() {
    let rig = Rig::new().await;
    for (job, (call, status)) in (1..).zip([
        (Call::Create, 429),
        (Call::Create, 503),
        (Call::Inspect, 429),
        (Call::Attach, 503),
        (Call::InspectImage, 503),
    ]) {
        rig.daemon.order(call, Fault::Status(Effect::None, status, "slow down"));
        let attempt = rig.run(job, "exit 3");
        rig.expect_exit(attempt, 3, &format!("{call} {status}")).await;
    }
    rig.daemon.stop();
    let attempt = rig.run(9, "exit 3");
    rig.probe().await;
    let reasons = rig.health.status().not_ready;
    assert!(reasons[0].contains("the socket does not exist"), "{reasons:?}");
    // A socket nobody listens on.
    drop(std::os::unix::net::UnixListener::bind(rig.daemon.socket()).expect("binds"));
    rig.probe().await;
    let reasons = rig.health.status().not_ready;
    assert!(reasons[0].contains("connection refused"), "{reasons:?}");
    std::fs::remove_file(rig.daemon.socket()).expect("removes");
    rig.daemon.listen();
    rig.expect_exit(attempt, 3, "begun without a daemon").await;
}

#[tokio::test]
async fn d23_another_daemon_behind_the_socket_ends_no_attempt_that_waits_and_is_sent_nothing() {
    let rig = Rig::new().await;
    let own = rig.daemon.fake.clone();
    let (wait, retry) = (1, 2);
    let begin = |job, policy| {
        let mut start = start(job, "image:1", "echo out; sleep 2; exit 3");
        start.spec.on_lost = policy;
        rig.run_as(start)
    };
    let (wait, retry) = (begin(wait, OnLost::Wait), begin(retry, OnLost::Retry));
    rig.running(wait).await;
    rig.running(retry).await;
    let other = Fake::new(2, 1 << 30);
    rig.daemon.swap("DAEMON:B", &other);
    let end = rig.expect_unknown(retry, "retry").await;
    assert!(end.message.contains("another Docker daemon"), "{end:?}");
    let warning = rig.warned("attempt 1.0.1: its container is on Docker daemon DAEMON:A").await;
    assert!(warning.contains("DAEMON:B answers now"), "{warning}");
    // Neither a stop nor the sweep nor a removal reaches anything on the other daemon.
    rig.attempts.stop(wait, StopCause::Kill, None, Some(Duration::ZERO));
    rig.settle(retry).await;
    sweep(&rig.attempts).await.expect("sweeps");
    assert_eq!((rig.daemon.count(Call::Signal), rig.daemon.count(Call::Remove)), (0, 0));
    assert_eq!(rig.end_of(wait), None, "its end is not proven");
    // The other daemon takes new work.
    let fresh = rig.run(3, "exit 7");
    rig.expect_exit(fresh, 7, "on the new daemon").await;
    assert_eq!(other.runs(Rig::container(fresh).as_str()), Some(1));
    // Its own daemon is back: the kill arrives, and what was left there is swept.
    rig.daemon.swap("DAEMON:A", &own);
    let end = rig.ended(wait).await;
    assert!([EndReason::Killed, EndReason::Exited].contains(&end.reason), "{end:?}");
    sweep(&rig.attempts).await.expect("sweeps");
    assert_eq!(own.runs(Rig::container(retry).as_str()), None, "swept on its own daemon");
    assert_eq!(other.runs(Rig::container(fresh).as_str()), Some(1), "and not on the other one");
}

#[tokio::test]
async fn d23_a_restarted_worker_remembers_the_daemon_of_its_containers() {
    let rig = Rig::new().await;
    let own = rig.daemon.fake.clone();
    let mut start = start(1, "image:1", "echo out; sleep 1; exit 3");
    start.spec.on_lost = OnLost::Wait;
    let attempt = rig.run_as(start);
    rig.running(attempt).await;
    let rig = rig.crash(async |daemon| daemon.swap("DAEMON:B", &Fake::new(1, 1 << 30))).await;
    rig.warned("its container is on Docker daemon DAEMON:A").await;
    assert_eq!(rig.end_of(attempt), None);
    rig.daemon.swap("DAEMON:A", &own);
    let end = rig.expect_exit(attempt, 3, "its own daemon is back").await;
    // It ended while its own daemon was away, which real daemons lose output by: that is said, and nothing else.
    let log_end = end.log_end.as_ref().expect("an end of its output");
    assert_eq!(log_end.offsets.stdout, 4, "{end:?}");
    assert!(log_end.marks.iter().all(|mark| matches!(mark, Mark::Suspect { .. })), "{end:?}");
    wait_until("the warning goes", || rig.health.status().warnings.is_empty().then_some(())).await;
}

#[tokio::test]
async fn r1_a_full_docker_disk_stops_new_work_and_marks_what_ran_on_it() {
    let rig = Rig::new().await;
    let Some(disk) = SmallDisk::mount() else { return };
    rig.daemon.is_now(|about| about.root = disk.path());
    let watermark = Watermark::default();
    let probe = async || {
        rig.health.probe(&rig.runtime, rig.data(), watermark).await;
        rig.health.status().not_ready.into_iter().filter(|reason| reason.contains("Docker folder")).count()
    };
    assert_eq!(probe().await, 0);
    let before = rig.run(1, "exit 3");
    let end = rig.expect_exit(before, 3, "room").await;
    assert!(end.log_end.as_ref().is_some_and(End::is_complete), "{end:?}");
    disk.fill();
    assert_eq!(probe().await, 1, "{:?}", rig.health.status());
    // It runs wholly between two probes.
    let during = rig.run(2, "echo out; exit 3");
    let marks = rig.expect_exit(during, 3, "full").await.log_end.expect("an end").marks;
    assert!(marks.iter().any(|mark| matches!(mark, Mark::Suspect { .. })), "{marks:?}");
    disk.clear();
    assert_eq!(probe().await, 0);
    disk.use_up_files();
    assert_eq!(probe().await, 1, "files run out, too: {:?}", rig.health.status());
}

/// A disk of 8 MiB and 200 files.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    #[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
    fn mount() -> Option<Self> {
        if std::env::var("DOCKMGR_SKIP_DOCKER").is_ok_and(|value| value == "1") {
            eprintln!("SKIPPED: DOCKMGR_SKIP_DOCKER=1");
            return None;
        }
        let folder = tempfile::tempdir().expect("temporary folder");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,nr_inodes=200", "dockmgr-test"])
            .arg(folder.path())
            .status();
        let mounted = mounted.expect("mount runs").success();
        assert!(mounted, "root is needed to mount a small disk, or DOCKMGR_SKIP_DOCKER=1");
        Some(Self(folder))
    }

    fn path(&self) -> String {
        self.0.path().display().to_string()
    }

    fn fill(&self) {
        // The disk refuses the last part, which is what is wanted.
        let _full = std::fs::write(self.0.path().join("big"), vec![1; 9 << 20]);
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.path().join("big")).expect("removes");
    }

    fn use_up_files(&self) {
        for n in 0..195 {
            let _none_left = std::fs::write(self.0.path().join(n.to_string()), b"");
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}
