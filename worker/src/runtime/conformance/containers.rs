//! Create, start, inspect, wait, list and remove.

use std::collections::BTreeSet;
use std::time::Duration;

use dockmgr_core::time::WallTime;

use super::Subject;
use crate::runtime::{ContainerId, ContainerStatus, ContainerSummary, Error, Runtime, Started};

pub(super) async fn a_command_ends_with_its_own_code(on: Subject) {
    for code in [0u8, 7, 255] {
        let id = on.start(&on.script(&format!("c{code}"), &format!("exit {code}"))).await;
        let state = on.ended(&id).await;
        assert_eq!((state.status.clone(), state.exit()), (ContainerStatus::Exited, Some(code)));
        assert!(!state.oom_killed && state.pid.is_none());
    }
}

pub(super) async fn a_created_container_has_no_exit_and_waiting_for_it_returns_at_once(on: Subject) {
    let id = on.create(&on.spec("a", &["true"])).await;
    let state = on.ended(&id).await;
    assert_eq!((state.status, state.started_at, state.finished_at), (ContainerStatus::Created, None, None));
    assert_eq!(on.state(&id).await.exit(), None);
}

pub(super) async fn a_second_start_of_a_running_container_changes_nothing(on: Subject) {
    let id = on.create(&on.spec("a", &["sleep", "60"])).await;
    assert_eq!(on.runtime.start(&id).await.expect("starts"), Started::Now);
    let before = on.state(&id).await;
    assert_eq!(on.runtime.start(&id).await.expect("answers"), Started::Already);
    assert_eq!(on.state(&id).await, before);
    assert!(before.status.may_run() && before.pid.is_some());
}

/// This is why a start is never repeated: the daemon would run the job twice.
pub(super) async fn an_exited_container_that_is_started_again_runs_again(on: Subject) {
    let id = on.start(&on.script("a", "echo once")).await;
    on.ended(&id).await;
    assert_eq!(on.runtime.start(&id).await.expect("starts"), Started::Now);
    on.ended(&id).await;
    assert_eq!(on.recover(&id).await.0.stdout, b"once\nonce\n");
}

pub(super) async fn a_taken_name_is_a_conflict(on: Subject) {
    let spec = on.spec("a", &["true"]);
    on.create(&spec).await;
    let error = on.runtime.create(&spec).await.expect_err("taken");
    assert!(matches!(&error, Error::Conflict { what, .. } if *what == spec.name), "{error:?}");
}

pub(super) async fn what_is_absent_is_none_or_not_found(on: Subject) {
    let absent = ContainerId::parse("dockmgr-test-absent").expect("a name");
    assert_eq!(on.runtime.inspect(absent.as_str()).await, Ok(None));
    assert!(matches!(on.runtime.start(&absent).await, Err(Error::NotFound { .. })));
    assert!(matches!(on.runtime.attach(&absent).await, Err(Error::NotFound { .. })));
    assert_eq!(on.runtime.signal(&absent, "SIGTERM").await, Ok(false));
    assert_eq!(on.runtime.usage(&absent).await, Ok(None));
    assert_eq!(on.runtime.wait_hint(&absent, None).await, Ok(()));
}

pub(super) async fn a_name_that_could_leave_the_request_path_is_refused(on: Subject) {
    for bad in ["", "../info", "a/b", "a?b=c", "a b", "-a", "\u{e4}", &"x".repeat(300)] {
        assert_eq!(ContainerId::parse(bad), None, "{bad:?}");
        let mut spec = on.spec("a", &["true"]);
        spec.name = bad.to_owned();
        assert!(matches!(on.runtime.create(&spec).await, Err(Error::InvalidSpec(_))), "{bad:?}");
    }
}

pub(super) async fn a_missing_command_ends_with_127(on: Subject) {
    for (name, command) in [("a", "no-such-command"), ("b", "/nonexistent/command")] {
        let (output, state, _) = on.run(&on.spec(name, &[command])).await;
        assert_eq!(state.exit(), Some(127), "{command}");
        assert!(!output.stderr.is_empty(), "the reason is told");
    }
}

pub(super) async fn a_command_that_is_not_executable_ends_with_126(on: Subject) {
    let (_, state, _) = on.run(&on.spec("a", &["/etc/passwd"])).await;
    assert_eq!(state.exit(), Some(126));
}

pub(super) async fn an_empty_command_is_refused(on: Subject) {
    for argv in [&[][..], &[""][..]] {
        assert!(matches!(on.runtime.create(&on.spec("a", argv)).await, Err(Error::InvalidSpec(_))));
    }
}

pub(super) async fn the_environment_reaches_the_command(on: Subject) {
    let mut spec = on.script("a", "echo \"$DOCKMGR_TASK:$ODD\"");
    spec.env = vec![("DOCKMGR_TASK".to_owned(), "7".to_owned()), ("ODD".to_owned(), "a=b c".to_owned())];
    assert_eq!(on.run(&spec).await.0.stdout, b"7:a=b c\n");
}

pub(super) async fn removal_is_idempotent(on: Subject) {
    let id = on.create(&on.spec("a", &["true"])).await;
    for _ in 0..2 {
        on.runtime.remove(&id, false).await.expect("gone is gone");
    }
    assert_eq!(on.runtime.inspect(id.as_str()).await, Ok(None));
}

pub(super) async fn a_running_container_is_removed_only_by_force(on: Subject) {
    let id = on.start(&on.spec("a", &["sleep", "60"])).await;
    assert!(matches!(on.runtime.remove(&id, false).await, Err(Error::Conflict { .. })));
    assert!(on.state(&id).await.status.may_run());
    on.runtime.remove(&id, true).await.expect("forced");
    assert_eq!(on.runtime.inspect(id.as_str()).await, Ok(None));
}

pub(super) async fn the_list_finds_every_state_by_label_and_nothing_else(on: Subject) {
    let created = on.create(&on.spec("created", &["true"])).await;
    let running = on.start(&on.spec("running", &["sleep", "60"])).await;
    let exited = on.start(&on.spec("exited", &["true"])).await;
    on.ended(&exited).await;
    let found = on.runtime.list(&on.labels()).await.expect("lists");
    let seen: BTreeSet<_> = found.iter().map(|c| (c.id.clone(), format!("{:?}", c.status))).collect();
    let wanted = [(created, "Created"), (running, "Running"), (exited, "Exited")];
    assert_eq!(seen, wanted.map(|(id, status)| (id, status.to_owned())).into());
    // The image's own labels come on top.
    let ours =
        |c: &ContainerSummary| on.labels().iter().all(|(name, value)| c.labels.get(name) == Some(value));
    assert!(found.iter().all(|c| c.name.starts_with("dockmgr-test-") && ours(c)));
    let mut other = on.labels();
    other.insert("dockmgr.test.other".to_owned(), "1".to_owned());
    assert_eq!(on.runtime.list(&other).await.expect("lists"), vec![]);
}

pub(super) async fn start_and_end_times_are_told(on: Subject) {
    let id = on.start(&on.spec("a", &["sleep", "0.2"])).await;
    let state = on.ended(&id).await;
    let (Some(started), Some(finished)) = (state.started_at, state.finished_at) else { panic!("{state:?}") };
    assert!(finished.0 - started.0 >= 150, "{state:?}");
}

pub(super) async fn a_wait_ends_with_the_container(on: Subject) {
    let id = on.start(&on.spec("a", &["sleep", "0.5"])).await;
    assert_eq!(on.ended(&id).await.exit(), Some(0));
    on.runtime.wait_hint(&id, None).await.expect("returns at once when it has ended");
}

pub(super) async fn a_wait_for_an_earlier_run_ends_at_once(on: Subject) {
    let id = on.start(&on.spec("a", &["sleep", "60"])).await;
    let began = on.state(&id).await.started_at.expect("it runs");
    on.runtime.wait_hint(&id, Some(WallTime(began.0 - 1))).await.expect("that run is over");
    let own = tokio::time::timeout(Duration::from_millis(500), on.runtime.wait_hint(&id, Some(began))).await;
    assert!(own.is_err(), "this run lasts");
}

pub(super) async fn a_wait_ends_when_the_container_is_removed(on: Subject) {
    let id = on.start(&on.spec("a", &["sleep", "60"])).await;
    let (waited, removed) = tokio::join!(on.runtime.wait_hint(&id, None), on.runtime.remove(&id, true));
    assert_eq!((waited, removed), (Ok(()), Ok(())));
}
