//! Losing a worker: policies, brake, late words.

use std::time::Duration;

use super::scenario::{Scenario, end, node, running};
use crate::cluster::{Config, Job, NodeState, NoteKind, Progress, Refusal, Reply, Request, WorkerNews};
use crate::ids::{JobId, NodeId};
use crate::outcome::{AttemptEnd, EndReason, TaskState};

/// The times tests set: 5, 20 and 30 s.
fn short() -> Config {
    let seconds = Duration::from_secs;
    Config {
        suspect_after: seconds(5),
        fence_after: seconds(20),
        lost_after: seconds(30),
        ..Config::default()
    }
}

/// Lets time pass in which the named workers send their heartbeats.
fn pass_heard(t: &mut Scenario, seconds: u32, heard: &[&str]) {
    for _ in 0..seconds {
        for name in heard {
            t.heartbeat(name, &[]);
        }
        t.pass(1.0);
    }
}

fn state(t: &Scenario, name: &str) -> Option<NodeState> {
    t.cluster.node(node(name)).map(crate::cluster::Node::state)
}

fn first(t: &Scenario, job: JobId) -> crate::cluster::AttemptEntry {
    t.task(job, 0).attempts[0].clone()
}

fn reason(t: &Scenario, job: JobId) -> Option<EndReason> {
    first(t, job).end.map(|end| end.reason)
}

fn declare(id: NodeId) -> Request {
    Request::DeleteNode { node: id, declare_lost: true }
}

/// An end as the worker tells it whose container ran for so many seconds.
fn ran(reason: EndReason, seconds: u64) -> AttemptEnd {
    AttemptEnd {
        run: Duration::from_secs(seconds),
        retryable: reason == EndReason::Lost,
        ..end(reason, Some(137))
    }
}

/// A worker whose attempt 1.0.1 runs and which falls silent now; another one is heard.
fn one_lost(spec: &str) -> (Scenario, JobId) {
    let mut t = Scenario::with(short()).worker("w1", "8cpu");
    let job = t.submit(spec);
    t.report("w1", "1.0.1", Progress::Accepted);
    t.run("w1", "1.0.1");
    let mut t = t.worker("w2", "8cpu");
    t.sent();
    t.notes();
    (t, job)
}

#[test]
fn a_retry_attempt_of_a_worker_that_stays_away_ends_as_lost_and_runs_elsewhere() {
    let (mut t, job) = one_lost("5cpu");
    pass_heard(&mut t, 29, &["w2"]);
    assert_eq!((t.state(job, 0), state(&t, "w1")), (TaskState::Unknown, Some(NodeState::Silent)));
    assert_eq!(t.sent(), "", "nothing is replaced before lost-after");
    pass_heard(&mut t, 1, &["w2"]);
    assert_eq!((reason(&t, job), state(&t, "w1")), (Some(EndReason::Lost), Some(NodeState::Lost)));
    assert_eq!((t.state(job, 0), t.task(job, 0).infra_failures), (TaskState::Queued, 1));
    assert!(t.task(job, 0).message.starts_with("worker w1 was not heard for 30 s; tried again in"));
    pass_heard(&mut t, 2, &["w2"]);
    assert_eq!(t.sent(), "w2 start 1.0.2");
    assert!(!t.cluster.job(job).expect("kept").overlap_possible, "nobody said so");
}

#[test]
fn the_policy_decides_what_becomes_of_an_attempt_whose_worker_stays_away() {
    let rows = [
        ("1cpu lost=retry", TaskState::Queued, Some(EndReason::Lost)),
        ("1cpu lost=fail", TaskState::Failed, Some(EndReason::Lost)),
        ("1cpu lost=wait", TaskState::Unknown, None),
    ];
    for (spec, task, ended) in rows {
        let (mut t, job) = one_lost(spec);
        pass_heard(&mut t, 30, &["w2"]);
        assert_eq!((t.state(job, 0), reason(&t, job)), (task, ended), "{spec}");
        pass_heard(&mut t, 3000, &["w2"]);
        if ended.is_none() {
            assert_eq!(
                (t.state(job, 0), t.sent().as_str()),
                (TaskState::Unknown, ""),
                "{spec} waits for ever"
            );
        }
    }
}

#[test]
fn the_retries_of_the_infrastructure_pay_for_lost_attempts_and_run_out() {
    let config = Config { infra_retries: 1, ..short() };
    let mut t = Scenario::with(config).worker("w1", "1cpu").worker("w2", "1cpu").worker("w3", "9cpu on=x");
    let job = t.submit("1cpu retries=5 not:on=x");
    pass_heard(&mut t, 35, &["w2", "w3"]);
    assert_eq!(t.task(job, 0).attempts.len(), 2);
    pass_heard(&mut t, 35, &["w3"]);
    let task = t.task(job, 0);
    assert_eq!((task.state, task.end_reason, task.failures), (TaskState::Failed, Some(EndReason::Lost), 0));
    assert_eq!(task.attempts.len(), 2);
}

#[test]
fn the_end_of_a_session_alone_kills_nothing() {
    let (mut t, job) = one_lost("1cpu");
    t.news("w1", WorkerNews::Disconnected);
    pass_heard(&mut t, 4, &["w2"]);
    assert_eq!(t.state(job, 0), TaskState::Running);
    let report = t.next_report("1.0.1", running());
    t.restart_worker("w1");
    t.hello("w1", "8cpu", vec![report]);
    pass_heard(&mut t, 40, &["w1", "w2"]);
    assert_eq!(t.state(job, 0), TaskState::Running, "a worker that restarts takes its attempts over again");
    assert_eq!(t.task(job, 0).attempts.len(), 1);
}

#[test]
fn after_a_change_of_leader_every_worker_has_the_whole_time_again() {
    let (mut t, job) = one_lost("1cpu");
    pass_heard(&mut t, 29, &["w2"]);
    t.restart();
    t.hello("w2", "8cpu", Vec::new());
    pass_heard(&mut t, 29, &["w2"]);
    assert_eq!(t.state(job, 0), TaskState::Unknown);
    pass_heard(&mut t, 2, &["w2"]);
    assert_eq!(reason(&t, job), Some(EndReason::Lost));
}

#[test]
fn a_worker_that_was_given_up_stays_so_over_a_change_of_leader() {
    let (mut t, job) = one_lost("1cpu lost=wait");
    pass_heard(&mut t, 31, &["w2"]);
    t.restart();
    assert_eq!((state(&t, "w1"), t.state(job, 0)), (Some(NodeState::Lost), TaskState::Unknown));
    let report = t.next_report("1.0.1", running());
    t.hello("w1", "8cpu", vec![report]);
    assert_eq!((state(&t, "w1"), t.state(job, 0)), (Some(NodeState::Ready), TaskState::Running));
}

#[test]
fn a_worker_that_was_given_up_while_its_session_was_up_is_cut_off_and_only_its_hello_counts() {
    let (mut t, job) = one_lost("1cpu lost=fail");
    pass_heard(&mut t, 29, &["w2"]);
    t.heartbeat("w2", &[]);
    t.pass(1.0);
    assert!(t.last_hang_ups.contains(&node("w1")), "its session is cut");
    t.sent();
    t.heartbeat("w1", &[]);
    t.run("w1", "1.0.1");
    assert_eq!((t.sent().as_str(), state(&t, "w1")), ("", Some(NodeState::Lost)));
    let report = t.next_report("1.0.1", running());
    t.hello("w1", "8cpu", vec![report]);
    assert_eq!((t.sent().as_str(), state(&t, "w1")), ("w1 welcome; w1 forget 1.0.1", Some(NodeState::Ready)));
    assert_eq!(t.state(job, 0), TaskState::Failed);
}

#[test]
fn a_late_word_that_it_still_runs_is_superseded_ends_the_container_and_flags_the_job() {
    let (mut t, job) = one_lost("1cpu");
    pass_heard(&mut t, 40, &["w2"]);
    t.sent();
    let (before, told) = (first(&t, job), t.now().wall);
    let report = t.next_report("1.0.1", running());
    t.hello("w1", "8cpu", vec![report.clone()]);
    assert_eq!(t.sent(), "w1 welcome; w1 forget 1.0.1");
    assert!(t.cluster.job(job).expect("kept").overlap_possible);
    let entry = first(&t, job);
    assert_eq!(entry.end, before.end, "the end does not change");
    let loss = entry.loss.expect("given up");
    let late = loss.late.expect("noted");
    assert!(loss.given_up < told && late.overlap);
    assert_eq!((late.told, late.started, late.ended), (told, entry.started, None));
    assert_eq!(t.notes_of(NoteKind::AttemptSuperseded).len(), 1);
    t.hello("w1", "8cpu", vec![report]);
    assert_eq!(t.notes_of(NoteKind::AttemptSuperseded).len(), 0, "it is noted once");
    t.exit("w2", "1.0.2", 0);
    let record = t.cluster.job(job).expect("kept");
    assert_eq!((record.state(), record.overlap_possible), (crate::outcome::JobState::Succeeded, true));
    t.restart();
    assert!(t.cluster.job(job).is_some_and(|job| job.overlap_possible), "it survives a restart");
}

#[test]
fn a_late_end_is_acknowledged_and_flags_the_job_unless_it_surely_came_before_the_loss() {
    let rows = [
        ("fenced in time", ran(EndReason::Lost, 20), false),
        ("ended by itself just before", ran(EndReason::Exited, 29), false),
        ("fenced too late", ran(EndReason::Lost, 31), true),
        ("ended by itself after", ran(EndReason::Exited, 3000), true),
        ("nobody knows when it ended", ran(EndReason::InfraUnknown, 1), true),
        ("nobody measured how long it ran", ran(EndReason::Lost, 0), true),
    ];
    for (what, end, overlap) in rows {
        let (mut t, job) = one_lost("1cpu");
        pass_heard(&mut t, 35, &["w2"]);
        t.sent();
        let report = t.next_report("1.0.1", Progress::Ended(Box::new(end)));
        t.hello("w1", "8cpu", vec![report]);
        assert_eq!(t.sent(), "w1 welcome; w1 ack 1.0.1 #3", "{what}");
        assert_eq!(t.cluster.job(job).map(|job| job.overlap_possible), Some(overlap), "{what}");
        assert_eq!(reason(&t, job), Some(EndReason::Lost), "{what}");
        assert_eq!(t.notes_of(NoteKind::AttemptSuperseded).len(), 1, "{what}");
    }
}

#[test]
fn an_attempt_that_never_started_overlaps_with_nothing() {
    let begins = Progress::Accepted;
    for (progress, overlap) in [(Progress::Ended(Box::new(never_started())), false), (begins, true)] {
        let mut t = Scenario::with(short()).worker("w1", "8cpu");
        let job = t.submit("1cpu");
        t.report("w1", "1.0.1", Progress::Accepted);
        let mut t = t.worker("w2", "8cpu");
        pass_heard(&mut t, 35, &["w2"]);
        let report = t.next_report("1.0.1", progress);
        t.hello("w1", "8cpu", vec![report]);
        assert!(first(&t, job).loss.is_some_and(|loss| loss.late.is_some()));
        assert_eq!(
            t.cluster.job(job).expect("kept").overlap_possible,
            overlap,
            "it may begin before it hears"
        );
    }
}

fn never_started() -> AttemptEnd {
    AttemptEnd { started: None, container: None, ..ran(EndReason::Lost, 0) }
}

#[test]
fn after_a_change_of_leader_a_late_end_proves_nothing_about_time() {
    let (mut t, job) = one_lost("1cpu");
    pass_heard(&mut t, 35, &["w2"]);
    t.restart();
    let report = t.next_report("1.0.1", Progress::Ended(Box::new(ran(EndReason::Lost, 20))));
    t.hello("w1", "8cpu", vec![report]);
    assert!(t.cluster.job(job).expect("kept").overlap_possible);
}

#[test]
fn a_wait_attempt_whose_worker_returns_keeps_its_own_end() {
    let (mut t, job) = one_lost("1cpu lost=wait");
    pass_heard(&mut t, 500, &["w2"]);
    let report = t.next_report("1.0.1", Progress::Ended(Box::new(ran(EndReason::Exited, 400))));
    t.hello("w1", "8cpu", vec![report]);
    let record = t.cluster.job(job).expect("kept");
    assert_eq!((record.outcome.as_ref().map(|o| o.exit_code), record.overlap_possible), (Some(137), false));
    assert_eq!(first(&t, job).loss, None);
}

#[test]
fn declaring_a_worker_lost_acts_on_every_policy_and_a_late_word_is_superseded() {
    for (policy, state) in [
        ("lost=retry", TaskState::Queued),
        ("lost=wait", TaskState::Queued),
        ("lost=fail", TaskState::Failed),
    ] {
        let mut t = Scenario::with(short()).worker("w1", "2cpu");
        let job = t.submit(policy);
        t.run("w1", "1.0.1");
        let id = node("w1");
        assert_eq!(t.ask(declare(id)), Err(Refusal::NodeConnected(id)));
        t.news("w1", WorkerNews::Disconnected);
        assert_eq!(t.ask(declare(id)), Ok(Reply::NodeDeleted { lost: 1 }));
        assert_eq!((t.state(job, 0), reason(&t, job)), (state, Some(EndReason::Lost)), "{policy}");
        t.sent();
        let report = t.next_report("1.0.1", running());
        t.hello("w1", "2cpu", vec![report]);
        assert!(t.sent().starts_with("w1 welcome; w1 forget 1.0.1"), "{policy}");
        assert!(t.cluster.job(job).expect("kept").overlap_possible, "{policy}");
    }
}

#[test]
fn a_stop_of_an_unknown_task_is_told_to_its_worker_and_a_lost_one_is_not_tried_again() {
    let (mut t, job) = one_lost("1cpu retries=5");
    pass_heard(&mut t, 10, &["w2"]);
    t.stop(job, None);
    assert_eq!(t.state(job, 0), TaskState::Unknown);
    pass_heard(&mut t, 300, &["w2"]);
    let task = t.task(job, 0);
    assert_eq!((task.state, task.end_reason), (TaskState::Failed, Some(EndReason::Lost)));
    assert_eq!(task.attempts.len(), 1, "nothing starts after a stop");
}

#[test]
fn a_late_end_before_the_loss_is_taken_and_a_late_running_word_brings_it_back() {
    let (mut t, job) = one_lost("1cpu");
    pass_heard(&mut t, 25, &["w2"]);
    let report = t.next_report("1.0.1", running());
    t.hello("w1", "8cpu", vec![report]);
    assert_eq!(t.state(job, 0), TaskState::Running);
    pass_heard(&mut t, 25, &["w2"]);
    let report = t.next_report("1.0.1", Progress::Ended(Box::new(end(EndReason::Exited, Some(0)))));
    t.hello("w1", "8cpu", vec![report]);
    assert_eq!((t.state(job, 0), first(&t, job).loss), (TaskState::Succeeded, None));
}

#[test]
fn a_worker_that_fences_and_reports_in_time_costs_one_retry_of_the_infrastructure() {
    let (mut t, job) = one_lost("1cpu");
    let mut lost = ran(EndReason::Lost, 20);
    lost.message = "no contact for 20 s".to_owned();
    t.end("w1", "1.0.1", lost);
    assert_eq!((t.state(job, 0), t.task(job, 0).infra_failures), (TaskState::Queued, 1));
    assert_eq!(first(&t, job).loss, None);
}

/// Four workers with a job each; the first is on w1.
fn four() -> (Scenario, JobId) {
    let mut t = Scenario::with(short());
    for name in ["w1", "w2", "w3", "w4"] {
        t = t.worker(name, "1cpu");
    }
    let jobs: Vec<JobId> = (0..4).map(|_| t.submit("1cpu")).collect();
    t.notes();
    let on_w1 = jobs.into_iter().find(|job| first(&t, *job).node == node("w1")).expect("one each");
    (t, on_w1)
}

#[test]
fn when_most_nodes_are_silent_none_is_given_up_and_everybody_is_told_why() {
    let (mut t, job) = four();
    pass_heard(&mut t, 300, &["w4"]);
    assert_eq!((t.state(job, 0), state(&t, "w1")), (TaskState::Unknown, Some(NodeState::Silent)));
    let said = t.notes_of(NoteKind::MassLoss);
    assert_eq!(said, ["3 of 4 nodes are silent: no worker is given up by time while they are"]);
    let record = t.cluster.node(node("w1")).expect("kept");
    let reasons = t.cluster.node_reasons(record, t.now().boot).join("; ");
    assert_eq!(reasons, "silent for 300 s; not given up by time: 3 of 4 nodes are silent");
    let waits = t.cluster.waits_for(job).expect("it waits");
    assert_eq!(
        waits,
        "its worker w1 has been silent for 300 s: 3 of 4 nodes are silent, so none is given up by time; \
         `node rm --declare-lost w1` gives it up"
    );
    assert_eq!(t.ask(declare(node("w1"))), Ok(Reply::NodeDeleted { lost: 1 }), "a person may");
    assert_eq!(t.state(job, 0), TaskState::Queued);
}

#[test]
fn the_brake_lets_go_when_enough_are_back_and_the_others_have_a_little_more_time() {
    let (mut t, job) = four();
    pass_heard(&mut t, 300, &["w4"]);
    t.notes();
    t.hello("w3", "1cpu", Vec::new());
    let said = t.notes_of(NoteKind::MassLoss);
    assert_eq!(said, ["2 of 4 nodes are silent: workers are given up by time again"]);
    pass_heard(&mut t, 4, &["w3", "w4"]);
    assert_eq!(t.state(job, 0), TaskState::Unknown);
    pass_heard(&mut t, 2, &["w3", "w4"]);
    assert_eq!((reason(&t, job), state(&t, "w1")), (Some(EndReason::Lost), Some(NodeState::Lost)));
    t.notes();
    pass_heard(&mut t, 40, &["w3"]);
    assert_eq!(state(&t, "w4"), Some(NodeState::Lost), "those given up before are not counted again");
}

#[test]
fn the_brake_counts_only_nodes_that_were_ready_and_needs_two_silent_ones() {
    let mut t = Scenario::with(short()).worker("w1", "1cpu");
    let job = t.submit("1cpu lost=fail");
    pass_heard(&mut t, 31, &[]);
    assert_eq!(t.state(job, 0), TaskState::Failed, "one of one is no mass");
    let (mut t, job) = four();
    for name in ["w2", "w3"] {
        t.ask(Request::Drain { node: node(name), deadline: None }).expect("taken");
    }
    pass_heard(&mut t, 31, &["w4"]);
    assert_eq!(reason(&t, job), Some(EndReason::Lost), "one of two that took work is silent");
    assert!(t.cluster.brake.is_none());
}

#[test]
fn a_task_that_waits_for_its_worker_says_for_how_long() {
    for (spec, words) in [
        ("1cpu", "unless it is heard, the attempt ends as lost in 20 s and is tried again elsewhere"),
        ("1cpu lost=fail", "unless it is heard, the attempt ends as lost in 20 s and is not tried again"),
        ("1cpu lost=wait", "it waits for it, or for `node rm --declare-lost w1`"),
    ] {
        let (mut t, job) = one_lost(spec);
        assert_eq!(t.cluster.waits_for(job), None);
        pass_heard(&mut t, 10, &["w2"]);
        let said = t.cluster.waits_for(job).expect("it waits");
        assert_eq!(said, format!("its worker w1 has been silent for 10 s: {words}"));
        let task = t.task(job, 0);
        assert_eq!(t.cluster.worker_awaited(t.cluster.job(job).expect("kept"), &task), Some(said));
        let record = t.cluster.node(node("w1")).expect("kept");
        assert_eq!(t.cluster.node_reasons(record, t.now().boot), ["silent for 10 s", "given up in 20 s"]);
    }
}

#[test]
fn an_array_ends_only_what_was_on_the_lost_worker() {
    let mut t = Scenario::with(short()).worker("w1", "1cpu").worker("w2", "3cpu");
    let job = t.submit("1cpu array=0-3 lost=fail");
    pass_heard(&mut t, 31, &["w2"]);
    let counts = t.cluster.job(job).map(|job: &Job| job.counts).expect("kept");
    assert_eq!((counts.failed, counts.starting), (1, 3));
}
