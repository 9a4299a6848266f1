use super::scenario::{Scenario, end, running};
use crate::cluster::{Progress, Pull, WorkerNews};
use crate::outcome::{EndReason, JobState, TaskState};

#[test]
fn a_job_is_placed_runs_and_succeeds() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("2cpu");
    assert_eq!(t.sent(), "w1 welcome; w1 start 1.0.1");
    t.report("w1", "1.0.1", Progress::Accepted);
    t.report("w1", "1.0.1", Progress::Pulling(Pull { current: 1, total: 2, status: "pulling".to_owned() }));
    assert_eq!(t.state(job, 0), TaskState::Pulling);
    assert!(t.task(job, 0).attempts[0].pull.is_some());
    t.report("w1", "1.0.1", Progress::Starting { image_digest: Some("sha256:aa".to_owned()) });
    t.run("w1", "1.0.1");
    assert_eq!(t.state(job, 0), TaskState::Running);
    t.exit("w1", "1.0.1", 0);
    assert_eq!(
        t.sent(),
        "w1 ack 1.0.1 #1; w1 ack 1.0.1 #2; w1 ack 1.0.1 #3; w1 ack 1.0.1 #4; w1 ack 1.0.1 #5"
    );
    let record = t.cluster.job(job).expect("kept");
    assert_eq!(record.state(), JobState::Succeeded);
    assert_eq!(record.outcome.as_ref().map(|outcome| outcome.exit_code), Some(0));
    assert_eq!(record.pinned_digest.as_deref(), Some("sha256:aa"));
    assert_eq!(t.cluster.counts().live_tasks(), 0);
}

#[test]
fn a_job_that_ends_before_its_start_was_reported_has_started_too() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu");
    t.exit("w1", "1.0.1", 0);
    let record = t.cluster.job(job).expect("kept");
    assert!(record.started.is_some() && record.started <= record.ended);
}

#[test]
fn a_repeated_or_late_report_changes_nothing_and_is_acknowledged_again() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu");
    let accepted = t.next_report("1.0.1", Progress::Accepted);
    let runs = t.next_report("1.0.1", running());
    let ends = t.next_report("1.0.1", Progress::Ended(Box::new(end(EndReason::Exited, Some(7)))));
    let other = t.next_report("1.0.1", Progress::Ended(Box::new(end(EndReason::Exited, Some(0)))));
    t.sent();
    for report in [&runs, &accepted, &runs, &ends, &runs, &ends, &other] {
        t.news("w1", WorkerNews::Report(report.clone()));
    }
    assert_eq!(
        t.sent(),
        "w1 ack 1.0.1 #2; w1 ack 1.0.1 #1; w1 ack 1.0.1 #2; w1 ack 1.0.1 #3; w1 ack 1.0.1 #2; w1 ack 1.0.1 #3; \
         w1 ack 1.0.1 #4"
    );
    assert_eq!(t.task(job, 0).exit_code(), Some(7), "the first end wins");
}

#[test]
fn own_failures_are_retried_as_often_as_the_spec_says_and_wait_longer_each_time() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu retries=2");
    for attempt in ["1.0.1", "1.0.2"] {
        t.exit("w1", attempt, 3);
        assert_eq!(t.state(job, 0), TaskState::Queued);
        assert!(t.task(job, 0).message.contains("tried again in"));
        assert!(t.cluster.waits_for(job).expect("it waits").starts_with("it is tried again in"));
        t.pass(0.7);
        assert_eq!(t.state(job, 0), TaskState::Queued, "the wait is at least three quarters of a second");
        t.pass(2.0);
    }
    t.exit("w1", "1.0.3", 9);
    let record = t.cluster.job(job).expect("kept");
    assert_eq!((record.state(), t.task(job, 0).exit_code()), (JobState::Failed, Some(9)));
    assert_eq!(t.task(job, 0).attempts.len(), 3);
}

#[test]
fn causes_of_the_infrastructure_do_not_spend_the_specs_retries_and_prefer_another_node() {
    let mut t = Scenario::new().worker("w1", "4cpu").worker("w2", "8cpu");
    let job = t.submit("1cpu");
    t.sent();
    t.end("w1", "1.0.1", end(EndReason::InfraUnknown, None));
    t.pass(2.0);
    assert_eq!(t.sent(), "w1 ack 1.0.1 #1; w2 start 1.0.2");
    let mut network = end(EndReason::ImageFailed, None);
    network.retryable = true;
    t.end("w2", "1.0.2", network);
    t.pass(4.0);
    t.end("w1", "1.0.3", end(EndReason::InfraUnknown, None));
    t.pass(8.0);
    t.end("w2", "1.0.4", end(EndReason::InfraUnknown, None));
    assert_eq!(t.state(job, 0), TaskState::Failed, "three new attempts and no more");
    assert_eq!(t.cluster.job(job).and_then(|job| job.outcome.clone()).map(|o| o.exit_code), Some(125));
}

#[test]
fn ends_map_to_states_and_codes() {
    use EndReason as R;
    use TaskState as S;
    let rows = [
        (R::Exited, Some(0), S::Succeeded, 0),
        (R::Exited, Some(7), S::Failed, 7),
        (R::Signaled, Some(139), S::Failed, 139),
        (R::Oom, Some(137), S::Failed, 137),
        (R::Timeout, Some(143), S::Failed, 124),
        (R::Stopped, Some(143), S::Cancelled, 143),
        (R::Stopped, None, S::Cancelled, 143),
        (R::Killed, None, S::Cancelled, 137),
        (R::StartFailed, Some(127), S::Failed, 127),
        (R::StartFailed, Some(126), S::Failed, 126),
        (R::StartFailed, None, S::Failed, 125),
        (R::ImageFailed, None, S::Failed, 125),
        (R::Rejected, None, S::Failed, 125),
    ];
    for (reason, own, state, code) in rows {
        let mut t = Scenario::new().worker("w1", "4cpu");
        let job = t.submit("1cpu");
        t.end("w1", "1.0.1", end(reason, own));
        let outcome = t.cluster.job(job).and_then(|job| job.outcome.clone()).expect("ended");
        assert_eq!(
            (t.state(job, 0), outcome.exit_code, outcome.reason),
            (state, code, reason),
            "{reason} {own:?}"
        );
    }
}

#[test]
fn an_array_ends_with_the_highest_code_and_the_reason_of_the_first_that_failed() {
    let mut t = Scenario::new().worker("w1", "9cpu");
    let job = t.submit("1cpu array=5-8");
    for (attempt, code) in [("1.8.1", 2), ("1.5.1", 0), ("1.7.1", 9), ("1.6.1", 4)] {
        t.exit("w1", attempt, code);
    }
    let outcome = t.cluster.job(job).and_then(|job| job.outcome.clone()).expect("ended");
    assert_eq!((outcome.exit_code, outcome.reason), (9, EndReason::Exited));
    assert_eq!(t.cluster.job(job).map(|job| job.counts.failed), Some(3));
}

#[test]
fn old_attempts_are_dropped_and_their_numbers_go_on() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu retries=30");
    for number in 1..=20 {
        t.exit("w1", &format!("1.0.{number}"), 1);
        t.pass(80.0);
        t.heartbeat("w1", &[]);
    }
    let task = t.task(job, 0);
    assert_eq!((task.last_attempt, task.attempts.len()), (21, 16));
    t.sent();
    t.report("w1", "1.0.2", running());
    assert_eq!(t.sent(), "w1 forget 1.0.2");
}
