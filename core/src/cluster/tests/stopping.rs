use super::scenario::{Scenario, end, running};
use crate::cluster::{Refusal, Request};
use crate::ids::TaskIndex;
use crate::outcome::{EndReason, JobState, TaskState};
use crate::spec::Signal;

#[test]
fn a_queued_job_that_is_stopped_ends_at_once() {
    for (kill, reason, code) in [(false, EndReason::Stopped, 143), (true, EndReason::Killed, 137)] {
        let mut t = Scenario::new();
        let job = t.submit("1cpu");
        if kill {
            t.kill(job);
        } else {
            t.stop(job, None);
        }
        let record = t.cluster.job(job).expect("kept");
        let outcome = record.outcome.clone().expect("ended");
        assert_eq!((record.state(), outcome.reason, outcome.exit_code), (JobState::Cancelled, reason, code));
        t.hello("w1", "4cpu", Vec::new());
        assert_eq!(t.sent(), "w1 welcome", "nothing starts after the stop");
    }
}

#[test]
fn a_running_job_is_stopped_by_its_worker_and_never_tried_again() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu retries=5");
    t.run("w1", "1.0.1");
    t.sent();
    t.stop(job, None);
    t.stop(job, None);
    assert_eq!(t.sent(), "w1 stop 1.0.1; w1 stop 1.0.1");
    assert_eq!(t.state(job, 0), TaskState::Stopping);
    t.run("w1", "1.0.1");
    assert_eq!(t.state(job, 0), TaskState::Stopping, "late news does not hide the stop");
    t.end("w1", "1.0.1", end(EndReason::InfraUnknown, None));
    t.pass(100.0);
    assert_eq!(t.cluster.job(job).map(crate::cluster::Job::state), Some(JobState::Failed));
    assert_eq!(t.task(job, 0).attempts.len(), 1);
}

#[test]
fn a_command_that_ended_before_its_stop_keeps_its_own_end() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu");
    t.run("w1", "1.0.1");
    t.stop(job, None);
    t.exit("w1", "1.0.1", 0);
    assert_eq!(t.cluster.job(job).map(crate::cluster::Job::state), Some(JobState::Succeeded));
    t.stop(job, None);
    assert_eq!(t.cluster.job(job).map(crate::cluster::Job::state), Some(JobState::Succeeded));
}

#[test]
fn a_kill_follows_a_stop_and_a_stop_does_not_take_it_back() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu");
    t.sent();
    t.stop(job, None);
    t.kill(job);
    t.stop(job, None);
    assert_eq!(t.sent(), "w1 stop 1.0.1; w1 kill 1.0.1; w1 kill 1.0.1");
}

#[test]
fn another_signal_is_passed_on_and_ends_nothing() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu array=0-1");
    t.run("w1", "1.0.1");
    t.sent();
    let task = Some(TaskIndex(0));
    t.ask(Request::Kill { job, task, signal: Some(Signal::INT) }).expect("taken");
    assert_eq!(t.sent(), "w1 signal 2 1.0.1");
    assert_eq!(t.state(job, 0), TaskState::Running);
}

#[test]
fn one_task_of_an_array_is_stopped_and_the_others_go_on() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu array=0-4");
    t.sent();
    t.stop(job, Some(3));
    t.stop(job, Some(0));
    assert_eq!(t.sent(), "w1 stop 1.0.1");
    assert_eq!(t.state(job, 3), TaskState::Cancelled);
    t.end("w1", "1.0.1", end(EndReason::Stopped, Some(143)));
    assert_eq!(t.sent(), "w1 ack 1.0.1 #1; w1 start 1.2.1");
    t.exit("w1", "1.1.1", 0);
    assert_eq!(t.sent(), "w1 ack 1.1.1 #1; w1 start 1.4.1", "the stopped task is left out");
    let missing = t.ask(Request::Stop { job, task: Some(TaskIndex(5)), signal: None, grace: None });
    assert_eq!(missing, Err(Refusal::UnknownTask { job, index: 5 }));
}

#[test]
fn an_array_of_a_million_is_stopped_by_one_record() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu array=0-999999");
    t.stop(job, None);
    assert_eq!(t.last.dirty.len(), 1, "{:?}", t.last.dirty);
    assert_eq!(t.cluster.job(job).map(|job| job.counts.cancelled), Some(999_998));
    for attempt in ["1.0.1", "1.1.1"] {
        t.end("w1", attempt, end(EndReason::Stopped, Some(143)));
    }
    assert_eq!(t.cluster.job(job).map(crate::cluster::Job::state), Some(JobState::Cancelled));
}

#[test]
fn a_stop_while_the_task_waits_for_its_back_off_ends_it() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu retries=3");
    t.exit("w1", "1.0.1", 1);
    t.stop(job, None);
    t.pass(10.0);
    assert_eq!(t.state(job, 0), TaskState::Cancelled);
    assert_eq!(t.task(job, 0).attempts.len(), 1);
}

#[test]
fn a_stop_reaches_a_silent_worker_when_it_returns() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu");
    t.run("w1", "1.0.1");
    t.news("w1", crate::cluster::WorkerNews::Disconnected);
    t.pass(31.0);
    t.stop(job, None);
    assert_eq!(t.state(job, 0), TaskState::Unknown, "nobody knows whether it runs");
    t.sent();
    let report = t.next_report("1.0.1", running());
    t.hello("w1", "2cpu", vec![report]);
    assert_eq!(t.sent(), "w1 welcome; w1 stop 1.0.1; w1 ack 1.0.1 #2");
    assert_eq!(t.state(job, 0), TaskState::Stopping);
}
