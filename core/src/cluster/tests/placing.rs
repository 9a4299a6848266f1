use super::scenario::{Scenario, node};
use crate::cluster::{Config, Request, WorkerNews};
use crate::outcome::TaskState;

#[test]
fn larger_priority_goes_first_and_then_the_older_job_and_smaller_ones_fill_the_gaps() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let first = t.submit("4cpu");
    let [low, high, big, small] =
        [t.submit("2cpu priority=-1"), t.submit("2cpu priority=5"), t.submit("3cpu"), t.submit("1cpu")];
    let places = [first, high, big, small, low].map(|job| t.cluster.queue_position(job));
    assert_eq!(places, [0, 1, 2, 3, 4]);
    t.sent();
    t.exit("w1", "1.0.1", 0);
    assert_eq!(
        t.sent(),
        "w1 ack 1.0.1 #1; w1 start 3.0.1; w1 start 5.0.1",
        "the 3 cpu job does not block 1 cpu"
    );
    t.exit("w1", "3.0.1", 0);
    assert_eq!(t.sent(), "w1 ack 3.0.1 #1; w1 start 4.0.1", "and is not passed by the lower priority");
}

#[test]
fn plain_jobs_go_where_the_image_is_and_then_where_they_fill_a_gap() {
    let mut t = Scenario::new()
        .worker("w1", "8cpu")
        .worker("w2", "4cpu")
        .worker("w3", "16cpu image=debian:stable-slim");
    t.sent();
    t.submit("1cpu");
    assert_eq!(t.sent(), "w3 start 1.0.1");
    t.submit("1cpu image=alpine");
    assert_eq!(t.sent(), "w2 start 2.0.1");
    t.submit("6cpu image=alpine");
    assert_eq!(t.sent(), "w1 start 3.0.1");
}

#[test]
fn tasks_of_an_array_spread_over_the_nodes() {
    let mut t = Scenario::new()
        .worker("w1", "8cpu image=debian:stable-slim")
        .worker("w2", "8cpu")
        .worker("w3", "8cpu");
    t.submit("2cpu array=0-5");
    let held: Vec<u64> = t.cluster.nodes().map(|node| node.host.used.cpu_millis).collect();
    assert_eq!(held, [4000, 4000, 4000]);
}

#[test]
fn an_array_runs_no_more_tasks_at_a_time_than_it_may() {
    let mut t = Scenario::new().worker("w1", "8cpu");
    let job = t.submit("1cpu array=1-5%2");
    assert_eq!(t.sent(), "w1 welcome; w1 start 1.1.1; w1 start 1.2.1");
    assert!(t.cluster.waits_for(job).expect("it waits").contains("as many as the array allows"));
    t.exit("w1", "1.2.1", 0);
    assert_eq!(t.sent(), "w1 ack 1.2.1 #1; w1 start 1.3.1");
}

#[test]
fn demands_on_labels_mounts_and_size_are_kept() {
    let mut t = Scenario::new().worker("w1", "2cpu zone=eu").worker("w2", "8cpu zone=us mount=/data");
    t.sent();
    t.submit("1cpu on:zone=us");
    t.submit("1cpu not:zone=us");
    t.submit("1cpu mount=/data/set");
    t.submit("3cpu");
    assert_eq!(t.sent(), "w2 start 1.0.1; w1 start 2.0.1; w2 start 3.0.1; w2 start 4.0.1");
    for refused in ["1cpu mount=/database", "1cpu mount=/data/../etc", "1cpu on:zone=eu mount=/data", "9cpu"]
    {
        assert!(t.try_submit(refused, None).is_err(), "{refused}");
    }
}

#[test]
fn drained_unready_disconnected_and_silent_nodes_get_nothing_new() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    t.ask(Request::Drain { node: node("w1"), deadline: None }).expect("taken");
    let job = t.submit("1cpu");
    assert_eq!(t.state(job, 0), TaskState::Queued);
    assert_eq!(t.cluster.explain(job)[0].reason, "draining");
    t.heartbeat("w1", &["disk"]);
    t.ask(Request::Resume { node: node("w1") }).expect("taken");
    assert_eq!(t.cluster.explain(job)[0].reason, "not ready: disk");
    t.news("w1", WorkerNews::Disconnected);
    t.pass(31.0);
    assert_eq!(t.cluster.explain(job)[0].reason, "silent for 31 s; not ready: disk; given up in 269 s");
    t.sent();
    t.hello("w1", "4cpu", Vec::new());
    assert_eq!(t.sent(), "w1 welcome; w1 start 1.0.1");
}

#[test]
fn a_waiting_job_says_why_for_each_node() {
    let mut t = Scenario::new().worker("w1", "4cpu").worker("w2", "2cpu 1gib").worker("w3", "8cpu zone=us");
    t.submit("4cpu");
    t.submit("8cpu on:zone=us");
    let job = t.submit("4cpu 2gib queue=60 not:zone=us");
    let reasons: Vec<String> = t.cluster.explain(job).into_iter().map(|verdict| verdict.reason).collect();
    assert_eq!(reasons[1], "needs 4.000 cpu, has 2.000; needs 2048 MiB of memory, has 1024 MiB");
    assert_eq!(reasons[0], "4.000 of 4.000 cpu are in use");
    assert!(reasons[2].starts_with("label zone=us is excluded"), "{}", reasons[2]);
    let lone = t.submit("4cpu on:zone=us");
    assert!(t.cluster.explain(lone)[2].reason.contains("8.000 of 8.000 cpu are in use"));
    assert!(t.cluster.explain(lone)[0].reason.contains("label zone=us is missing"));
}

#[test]
fn a_step_places_a_bounded_number_and_goes_on_at_once() {
    let mut t = Scenario::with(Config { placements_per_step: 3, ..Config::default() }).worker("w1", "8cpu");
    t.submit("1cpu array=0-7");
    assert_eq!(t.last.wake_at, Some(t.now().boot));
    assert_eq!(t.cluster.counts().live_tasks(), 3);
    t.pass(0.0);
    t.pass(0.0);
    assert_eq!(t.cluster.counts().live_tasks(), 8);
}

#[test]
fn a_queue_time_out_ends_what_was_not_placed_and_nothing_else() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu array=0-4 queue=60 retries=1");
    t.exit("w1", "1.0.1", 1);
    t.heartbeat("w1", &["disk"]);
    t.pass(61.5);
    let states: Vec<TaskState> = (0..5).map(|index| t.state(job, index)).collect();
    assert_eq!(
        states,
        [TaskState::Failed, TaskState::Unknown, TaskState::Unknown, TaskState::Failed, TaskState::Failed]
    );
    let record = t.cluster.job(job).expect("kept");
    assert_eq!(record.outcome, None, "two tasks are still on the worker");
}
