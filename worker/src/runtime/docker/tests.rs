//! What only a real daemon can show: settings as a process inside sees them, the API log source, registries, a daemon away.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;

use super::*;
use crate::runtime::conformance::{Subject, read_recovered};
use crate::runtime::{Call, ContainerStatus, Mount, Network};

const DEBIAN: &str = "dockmgr/debian:local";

/// Runs a behaviour on the real daemon, or says that it is skipped.
async fn on_docker<F: Future<Output = ()>>(behaviour: impl FnOnce(Subject) -> F) {
    if let Some(subject) = Subject::docker().await {
        subject.check(behaviour).await;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn a_process_sees_the_safe_settings() {
    on_docker(|on| async move {
        let script = "grep -E 'NoNewPrivs|Seccomp:|CapEff' /proc/self/status; cat /proc/1/comm";
        let (output, _, _) = on.run(&on.script("a", script)).await;
        let seen = text(&output.stdout);
        // Bits of CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10,
        // SYS_CHROOT 18, AUDIT_WRITE 29, SETFCAP 31.
        assert!(seen.contains("CapEff:\t00000000a00404fb"), "{seen}");
        assert!(seen.contains("NoNewPrivs:\t1") && seen.contains("Seccomp:\t2"), "{seen}");
        assert!(seen.contains("docker-init"), "{seen}");
    })
    .await;
}

#[tokio::test]
async fn ordinary_root_commands_work() {
    on_docker(|mut on| async move {
        let found = on.runtime.inspect_image(DEBIAN).await.expect("answers");
        assert!(found.is_some(), "image {DEBIAN} is needed: run deploy/host/image.sh debian");
        on.image = DEBIAN.to_owned();
        let script = "set -e; useradd -m someone; touch /f; chown someone:someone /f; chmod 2755 /f; \
            su someone -c 'id -un'; mkdir -p /p/DEBIAN /p/usr/bin; cp /bin/true /p/usr/bin/t; chown someone /p/usr/bin/t; \
            printf 'Package: t\\nVersion: 1\\nArchitecture: all\\nMaintainer: t\\nDescription: t\\n' > /p/DEBIAN/control; \
            chown -R root:root /p/DEBIAN; dpkg-deb -b /p /t.deb >/dev/null; dpkg -i /t.deb >/dev/null; dpkg -s t | grep Status";
        let (output, state, _) = on.run(&on.script("a", script)).await;
        assert_eq!(state.exit(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "someone\nStatus: install ok installed\n");
    })
    .await;
}

#[tokio::test]
async fn user_folder_limits_and_mounts_are_applied() {
    on_docker(|on| async move {
        let mut spec = on.script("a", "id -u; id -g; pwd; echo x > /scratch/f && cat /scratch/f; echo x > /f || echo read-only; ls /sys/class/net");
        spec.user = Some("1234:2345".to_owned());
        spec.working_dir = Some("/scratch".to_owned());
        spec.read_only = true;
        spec.network = Network::None;
        spec.mounts =
            vec![Mount::Tmpfs { target: "/scratch".to_owned(), size_bytes: 1 << 20, owner: Some((1234, 2345)) }];
        let (output, state, _) = on.run(&spec).await;
        assert_eq!(state.exit(), Some(0));
        assert_eq!(text(&output.stdout), "1234\n2345\n/scratch\nx\nread-only\nlo\n", "{}", text(&output.stderr));
    })
    .await;
}

#[tokio::test]
async fn a_host_folder_is_mounted_only_if_it_exists() {
    on_docker(|on| async move {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("f"), "here").expect("written");
        let bind = |source: String| Mount::Bind { source, target: "/data".to_owned(), read_only: true };
        let mut spec = on.script("a", "cat /data/f; touch /data/g || echo refused");
        spec.mounts = vec![bind(folder.path().display().to_string())];
        assert_eq!(text(&on.run(&spec).await.0.stdout), "hererefused\n");
        let mut spec = on.spec("b", &["true"]);
        spec.mounts = vec![bind(folder.path().join("absent").display().to_string())];
        assert!(matches!(on.runtime.create(&spec).await, Err(Error::InvalidSpec(_))));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_user_is_a_failed_start_with_125() {
    on_docker(|on| async move {
        let mut spec = on.spec("a", &["true"]);
        spec.user = Some("nobody-of-this-name".to_owned());
        let id = on.create(&spec).await;
        let error = on.runtime.start(&id).await.expect_err("no such user");
        assert!(matches!(&error, Error::StartFailed { code: 125, .. }) && !error.is_ambiguous(), "{error:?}");
        let state = on.state(&id).await;
        assert_eq!((state.status.clone(), state.exit()), (ContainerStatus::Created, None));
    })
    .await;
}

#[tokio::test]
async fn a_log_read_through_the_api_has_its_newlines_back() {
    let Some(on) = Subject::on(Docker::with_api_logs_only(DEFAULT_SOCKET)).await else { return };
    on.check(|on| async move {
        let long = |length: usize| format!("head -c {length} /dev/zero | tr '\\0' x");
        let (a, b) = (long(16_384), long(20_000));
        let script = format!("{a}; echo; {b}; echo; echo; echo tail; {b}; echo; {a}; echo; echo -n end; sleep 0.3; echo err >&2");
        let (live, _, id) = on.run(&on.script("a", &script)).await;
        let (kept, exact) = read_recovered(on.runtime.recover_log(&id).await.expect("opens")).await;
        assert!(kept == live, "kept {} bytes, live {}", kept.stdout.len(), live.stdout.len());
        assert!(exact);
        // A long last line: everything is there but perhaps its newline, and that is said.
        let (live, _, id) = on.run(&on.script("b", &format!("echo first; {b}; echo"))).await;
        let (kept, exact) = on.recover(&id).await;
        assert!(live.stdout.starts_with(&kept.stdout) && live.stdout.len() - kept.stdout.len() <= 1);
        assert!(exact == (kept == live) || !exact);
    })
    .await;
}

#[tokio::test]
async fn a_daemon_that_is_away_is_unreachable_with_a_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("d.sock").display().to_string();
    let docker = Docker::new(&path);
    let reason = |outcome: Result<DaemonInfo, Error>| match outcome {
        Err(Error::Unreachable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason(docker.info().await).contains("does not exist"));
    drop(UnixListener::bind(&path).expect("binds"));
    let error = docker.info().await;
    assert!(reason(error).contains("connection refused"));
    let error = docker.inspect("a").await.expect_err("away");
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_retryable() && !error.is_ambiguous());
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_hangs_runs_into_the_deadline() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("d.sock").display().to_string();
    // Connections are taken into the backlog and never answered.
    let _listener = UnixListener::bind(&path).expect("binds");
    let error = Docker::new(&path).inspect("a").await.expect_err("hangs");
    assert!(matches!(error, Error::Timeout { call: Call::Negotiate | Call::Inspect, .. }), "{error:?}");
}

#[tokio::test]
async fn an_image_comes_from_a_registry_with_a_digest() {
    let Ok(registry) = std::env::var("DOCKMGR_TEST_REGISTRY") else {
        let may_skip = std::env::var("DOCKMGR_SKIP_DOCKER").is_ok_and(|value| value == "1");
        assert!(may_skip, "no registry to pull from: run this test with deploy/test.sh, which starts one");
        return skipped("DOCKMGR_SKIP_DOCKER=1");
    };
    on_docker(|on| async move {
        let image = format!("{registry}/dockmgr/base:latest");
        let progress = watch::Sender::new(PullProgress::default());
        let found = on.runtime.pull(&image, None, &progress).await.expect("pulls");
        assert!(
            found
                .repo_digests
                .iter()
                .any(|digest| digest.starts_with(&format!("{registry}/dockmgr/base@sha256:")))
        );
        assert!(!progress.borrow().status.is_empty());
        let missing = on.runtime.pull(&format!("{registry}/dockmgr/none:1"), None, &progress).await;
        let failure = crate::runtime::ImageFailure::NotFound;
        assert!(matches!(&missing, Err(Error::Image { failure: f, .. }) if *f == failure), "{missing:?}");
    })
    .await;
}

#[tokio::test]
async fn a_child_killed_for_memory_is_counted_while_the_container_goes_on() {
    on_docker(|on| async move {
        let mut spec = on.script("a", "tail -n 1 /dev/zero; echo survived; sleep 60");
        spec.memory_bytes = 16 << 20;
        let id = on.start(&spec).await;
        let mut log = on.runtime.recover_log(&id).await.expect("opens");
        let mut seen = String::new();
        while !seen.contains("survived") {
            match log.next().await.expect("reads").expect("goes on") {
                crate::runtime::Recovered::Bytes(_, bytes) => seen += &text(&bytes),
                crate::runtime::Recovered::End { .. } => panic!("ended: {seen}"),
            }
        }
        let usage = on.runtime.usage(&id).await.expect("answers").expect("runs");
        assert!(usage.oom_kills.is_some_and(|kills| kills > 0) && usage.cpu_nanos > 0, "{usage:?}");
        assert!(usage.memory_peak_bytes.is_some_and(|peak| peak > 8 << 20), "{usage:?}");
    })
    .await;
}

#[tokio::test]
async fn anonymous_volumes_go_with_the_container() {
    on_docker(|on| async move {
        let AnyDocker(docker) = AnyDocker::of(&on);
        let client = docker.client().await.expect("connects");
        let count = || async {
            let filters = std::collections::HashMap::from([("dangling".to_owned(), vec!["true".to_owned()])]);
            let options = bollard::query_parameters::ListVolumesOptions { filters: Some(filters) };
            client.list_volumes(Some(options)).await.expect("lists").volumes.unwrap_or_default().len()
        };
        let before = count().await;
        let id = on.start(&on.spec("a", &["true"])).await;
        on.ended(&id).await;
        on.runtime.remove(&id, false).await.expect("removed");
        assert!(count().await <= before);
        assert_eq!(on.runtime.list(&on.labels()).await, Ok(vec![]));
        assert_eq!(on.runtime.list(&BTreeMap::from([("a".to_owned(), "=b,c".to_owned())])).await, Ok(vec![]));
        tokio::time::timeout(Duration::from_secs(5), on.runtime.wait_hint(&id, None))
            .await
            .expect("in time")
            .expect("gone");
    })
    .await;
}

/// The client inside a subject.
struct AnyDocker(Docker);

impl AnyDocker {
    fn of(subject: &Subject) -> Self {
        match &subject.runtime {
            crate::runtime::AnyRuntime::Docker(docker) => Self(docker.clone()),
            crate::runtime::AnyRuntime::Fake(_) => panic!("only with Docker"),
        }
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
