//! Drains with a deadline.

use std::time::Duration;

use super::scenario::{Scenario, end, node, running};
use crate::cluster::{NoteKind, Progress, Request};
use crate::ids::JobId;
use crate::outcome::{EndReason, JobState, TaskState};

fn drain(t: &mut Scenario, name: &str, seconds: u64) {
    let request = Request::Drain { node: node(name), deadline: Some(Duration::from_secs(seconds)) };
    t.ask(request).expect("taken");
}

/// A job runs on w1, where a drain of a minute has begun; w2 has room.
fn draining(spec: &str) -> (Scenario, JobId) {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit(spec);
    t.run("w1", "1.0.1");
    let mut t = t.worker("w2", "8cpu");
    drain(&mut t, "w1", 60);
    t.sent();
    (t, job)
}

/// Lets time pass in which both workers are heard.
fn pass(t: &mut Scenario, seconds: u32) {
    for _ in 0..seconds {
        for name in ["w1", "w2"] {
            t.heartbeat(name, &[]);
        }
        t.pass(1.0);
    }
}

fn stopped() -> crate::outcome::AttemptEnd {
    crate::outcome::AttemptEnd {
        message: "ended by SIGTERM".to_owned(),
        ..end(EndReason::Stopped, Some(143))
    }
}

#[test]
fn at_the_deadline_what_runs_is_stopped_and_goes_on_elsewhere_without_spending_retries() {
    for spec in ["1cpu retries=2", "1cpu lost=wait"] {
        let (mut t, job) = draining(spec);
        pass(&mut t, 59);
        assert_eq!((t.sent().as_str(), t.state(job, 0)), ("", TaskState::Running), "it may finish");
        pass(&mut t, 1);
        assert_eq!((t.sent().as_str(), t.state(job, 0)), ("w1 stop 1.0.1", TaskState::Stopping));
        t.end("w1", "1.0.1", stopped());
        assert_eq!(t.sent(), "w1 ack 1.0.1 #2; w2 start 1.0.2", "at once");
        let task = t.task(job, 0);
        assert_eq!((task.failures, task.infra_failures), (0, 0));
        let end = task.attempts[0].end.as_deref().expect("ended");
        assert_eq!(
            (end.reason, end.message.as_str()),
            (EndReason::Lost, "node w1 was drained: ended by SIGTERM")
        );
        t.exit("w2", "1.0.2", 0);
        assert_eq!(t.cluster.job(job).map(crate::cluster::Job::state), Some(JobState::Succeeded));
    }
}

#[test]
fn a_job_that_must_not_be_repeated_ends_when_its_node_is_drained() {
    let (mut t, job) = draining("1cpu lost=fail retries=3");
    pass(&mut t, 60);
    t.end("w1", "1.0.1", stopped());
    let outcome = t.cluster.job(job).and_then(|job| job.outcome.clone()).expect("ended");
    assert_eq!((outcome.reason, t.state(job, 0)), (EndReason::Lost, TaskState::Failed));
    assert_eq!(outcome.message, "node w1 was drained: ended by SIGTERM");
}

#[test]
fn an_attempt_that_ends_by_itself_keeps_its_own_end() {
    for (code, state) in [(0, JobState::Succeeded), (7, JobState::Failed)] {
        for late in [10, 60] {
            let (mut t, job) = draining("1cpu");
            pass(&mut t, late);
            t.exit("w1", "1.0.1", code);
            let record = t.cluster.job(job).expect("kept");
            assert_eq!((record.state(), t.task(job, 0).exit_code()), (state, Some(code)), "after {late} s");
            assert_eq!(t.task(job, 0).attempts.len(), 1);
        }
    }
}

#[test]
fn a_drained_node_gets_no_new_work_and_resuming_ends_the_deadline() {
    let (mut t, job) = draining("1cpu");
    let other = t.submit("1cpu");
    assert_eq!(t.sent(), "w2 start 2.0.1");
    t.ask(Request::Resume { node: node("w1") }).expect("taken");
    pass(&mut t, 100);
    assert_eq!((t.state(job, 0), t.state(other, 0)), (TaskState::Running, TaskState::Placed));
    let record = t.cluster.node(node("w1")).expect("kept");
    assert_eq!(record.drain, None);
}

#[test]
fn a_later_drain_replaces_the_deadline() {
    let (mut t, job) = draining("1cpu");
    drain(&mut t, "w1", 200);
    pass(&mut t, 100);
    assert_eq!(t.state(job, 0), TaskState::Running);
    t.ask(Request::Drain { node: node("w1"), deadline: None }).expect("taken");
    pass(&mut t, 200);
    assert_eq!(t.state(job, 0), TaskState::Running);
    drain(&mut t, "w1", 0);
    assert_eq!(t.state(job, 0), TaskState::Stopping, "0 means at once");
    assert_eq!(t.notes_of(NoteKind::NodeHandedOver), ["w1: 1 attempts are handed over"]);
}

#[test]
fn the_deadline_goes_on_after_a_change_of_leader() {
    let (mut t, job) = draining("1cpu");
    pass(&mut t, 45);
    t.restart();
    let report = t.next_report("1.0.1", running());
    t.hello("w1", "4cpu", vec![report]);
    t.hello("w2", "8cpu", Vec::new());
    let left = t.cluster.node(node("w1")).and_then(|node| node.drain?.left).expect("kept");
    assert_eq!(left, Duration::from_secs(30), "what was left when it was stored last");
    t.sent();
    pass(&mut t, 29);
    assert_eq!(t.sent(), "");
    pass(&mut t, 1);
    assert_eq!((t.sent().as_str(), t.state(job, 0)), ("w1 stop 1.0.1", TaskState::Stopping));
    t.restart();
    let report = t.next_report("1.0.1", running());
    t.hello("w1", "4cpu", vec![report]);
    assert!(t.sent().contains("w1 stop 1.0.1"), "the stop is told again");
    t.end("w1", "1.0.1", stopped());
    assert_eq!(t.state(job, 0), TaskState::Queued);
}

#[test]
fn a_stop_of_a_person_is_stronger_than_a_hand_over() {
    let (mut t, job) = draining("1cpu");
    pass(&mut t, 60);
    t.stop(job, None);
    t.end("w1", "1.0.1", stopped());
    let record = t.cluster.job(job).expect("kept");
    assert_eq!(record.state(), JobState::Cancelled);
    assert_eq!(record.outcome.as_ref().map(|outcome| outcome.reason), Some(EndReason::Stopped));
}

#[test]
fn an_attempt_that_never_reached_its_drained_worker_goes_elsewhere() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu");
    let mut t = t.worker("w2", "8cpu");
    drain(&mut t, "w1", 0);
    t.sent();
    t.hello("w1", "4cpu", Vec::new());
    t.heartbeat("w1", &[]);
    assert_eq!(t.sent(), "w1 welcome; w2 start 1.0.2");
    let _ = job;
}

#[test]
fn a_drained_worker_that_is_lost_hands_its_task_over_without_spending_retries() {
    let (mut t, job) = draining("1cpu");
    for _ in 0..330 {
        t.heartbeat("w2", &[]);
        t.pass(1.0);
    }
    let task = t.task(job, 0);
    assert_eq!((task.attempts.len(), task.infra_failures), (2, 0));
    assert_eq!(task.attempts[0].end.as_deref().map(|end| end.reason), Some(EndReason::Lost));
}

#[test]
fn progress_after_the_stop_still_shows_as_stopping() {
    let (mut t, job) = draining("1cpu");
    pass(&mut t, 60);
    t.report("w1", "1.0.1", Progress::Stopping { stuck: false });
    t.run("w1", "1.0.1");
    assert_eq!(t.state(job, 0), TaskState::Stopping);
}
