use super::scenario::{Scenario, end, node, running};
use crate::cluster::{Command, NodeState, Progress, Refusal, Reply, Report, Request, WorkerNews};
use crate::outcome::{EndReason, TaskState};

#[test]
fn a_silent_workers_attempts_become_unknown_and_are_neither_ended_nor_replaced() {
    let mut t = Scenario::new().worker("w1", "2cpu").worker("w2", "4cpu");
    let job = t.submit("1cpu lost=wait");
    t.run("w1", "1.0.1");
    t.news("w1", WorkerNews::Disconnected);
    t.pass(29.0);
    t.heartbeat("w2", &[]);
    assert_eq!(t.state(job, 0), TaskState::Running, "disconnected alone changes nothing");
    t.sent();
    t.pass(2.0);
    assert_eq!(t.state(job, 0), TaskState::Unknown);
    assert_eq!(t.cluster.node(node("w1")).map(crate::cluster::Node::state), Some(NodeState::Silent));
    t.pass(5000.0);
    assert_eq!((t.state(job, 0), t.sent().as_str()), (TaskState::Unknown, ""));
    let report = t.next_report("1.0.1", running());
    t.hello("w1", "2cpu", vec![report]);
    assert_eq!(t.state(job, 0), TaskState::Running);
}

#[test]
fn a_heartbeat_after_a_stall_brings_attempts_back() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu");
    t.run("w1", "1.0.1");
    t.pass(31.0);
    assert_eq!(t.state(job, 0), TaskState::Unknown);
    t.heartbeat("w1", &[]);
    assert_eq!(t.state(job, 0), TaskState::Running);
    t.pass(29.0);
    assert_eq!(t.state(job, 0), TaskState::Running, "it has a full new window");
    t.pass(2.0);
    assert_eq!(t.state(job, 0), TaskState::Unknown);
}

#[test]
fn what_was_decided_before_a_hello_is_not_for_the_session_after_it() {
    let mut t = Scenario::new().worker("w1", "2cpu").worker("w2", "2cpu");
    let incarnation = t.cluster.node(node("w1")).expect("it is registered").incarnation;
    let older = crate::cluster::Send { node: node("w1"), incarnation, session: 1, command: Command::Welcome };
    assert!(t.cluster.is_current(&older));
    t.hello("w2", "2cpu", Vec::new());
    assert!(t.cluster.is_current(&older), "another node's session is another one");
    t.hello("w1", "2cpu", Vec::new());
    assert!(!t.cluster.is_current(&older), "the same process, another session");
}

#[test]
fn a_start_that_never_arrived_is_sent_again() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    t.submit("1cpu");
    t.news("w1", WorkerNews::Disconnected);
    t.sent();
    t.hello("w1", "2cpu", Vec::new());
    assert_eq!(t.sent(), "w1 welcome; w1 start 1.0.1");
}

#[test]
fn a_start_that_never_arrived_and_was_stopped_meanwhile_is_not_sent_again() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu");
    t.news("w1", WorkerNews::Disconnected);
    t.stop(job, None);
    t.sent();
    t.hello("w1", "2cpu", Vec::new());
    t.heartbeat("w1", &[]);
    assert_eq!((t.sent().as_str(), t.state(job, 0)), ("w1 welcome", TaskState::Cancelled));
}

#[test]
fn an_attempt_the_journal_lost_ends_as_infra_unknown_and_is_tried_again() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu");
    t.report("w1", "1.0.1", Progress::Accepted);
    t.restart_worker("w1");
    t.sent();
    t.hello("w1", "2cpu", Vec::new());
    t.heartbeat("w1", &[]);
    let first = t.task(job, 0).attempts[0].clone();
    assert_eq!(first.end.map(|end| end.reason), Some(EndReason::InfraUnknown));
    t.pass(2.0);
    assert_eq!(t.sent(), "w1 welcome; w1 start 1.0.2");
}

#[test]
fn an_old_hello_that_comes_late_ends_nothing() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu");
    t.report("w1", "1.0.1", Progress::Accepted);
    t.hello("w1", "2cpu", Vec::new());
    let accepted = Report { attempt: "1.0.1".parse().unwrap(), sequence: 2, progress: Progress::Accepted };
    t.hello("w1", "2cpu", vec![accepted]);
    t.heartbeat("w1", &[]);
    assert_eq!(t.task(job, 0).attempts[0].end, None);
}

#[test]
fn what_nobody_knows_is_to_be_forgotten() {
    let mut t = Scenario::new();
    let report =
        |attempt: &str| Report { attempt: attempt.parse().unwrap(), sequence: 4, progress: running() };
    t.hello("w1", "2cpu", vec![report("9.0.1")]);
    assert_eq!(t.sent(), "w1 welcome; w1 forget 9.0.1");
    t.submit("1cpu");
    t.sent();
    t.hello("w2", "2cpu", vec![report("1.0.1")]);
    assert_eq!(t.sent(), "w2 welcome; w2 forget 1.0.1", "it is on another node");
    t.news("w1", WorkerNews::Report(report("1.0.7")));
    assert_eq!(t.sent(), "w1 forget 1.0.7");
}

#[test]
fn a_newer_incarnation_takes_over_and_the_older_one_is_ignored() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu");
    let old = crate::ids::Incarnation(uuid::Uuid::from_u128(1));
    t.restart_worker("w1");
    t.hello("w1", "2cpu", Vec::new());
    t.sent();
    let report = t.next_report("1.0.1", Progress::Ended(Box::new(end(EndReason::Exited, Some(0)))));
    for news in [WorkerNews::Report(report), WorkerNews::Disconnected] {
        t.step(crate::cluster::Event::Worker { node: node("w1"), incarnation: old, news });
    }
    assert_eq!((t.sent().as_str(), t.state(job, 0)), ("", TaskState::Placed));
    assert!(t.cluster.node(node("w1")).is_some_and(|node| node.connected));
}

#[test]
fn a_result_that_was_spooled_is_taken_at_registration_even_if_its_number_is_low() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu");
    t.report("w1", "1.0.1", Progress::Accepted);
    t.run("w1", "1.0.1");
    t.sent();
    let ended = Progress::Ended(Box::new(end(EndReason::Exited, Some(4))));
    let report = Report { attempt: "1.0.1".parse().unwrap(), sequence: 1, progress: ended };
    t.hello("w1", "2cpu", vec![report]);
    assert_eq!(t.sent(), "w1 welcome; w1 ack 1.0.1 #1");
    assert_eq!(t.task(job, 0).exit_code(), Some(4));
}

#[test]
fn a_node_is_deleted_only_when_it_is_gone_and_its_attempts_are_declared_lost() {
    let rows = [
        ("lost=retry", TaskState::Queued),
        ("lost=wait", TaskState::Queued),
        ("lost=fail", TaskState::Failed),
    ];
    for (policy, state) in rows {
        let mut t = Scenario::new().worker("w1", "2cpu");
        let job = t.submit(policy);
        t.run("w1", "1.0.1");
        let id = node("w1");
        let delete = |declare_lost| Request::DeleteNode { node: id, declare_lost };
        assert_eq!(t.ask(delete(true)), Err(Refusal::NodeConnected(id)));
        t.news("w1", WorkerNews::Disconnected);
        assert_eq!(t.ask(delete(false)), Err(Refusal::NodeHasAttempts { node: id, attempts: 1 }));
        assert_eq!(t.ask(delete(true)), Ok(Reply::NodeDeleted { lost: 1 }));
        assert_eq!(t.state(job, 0), state, "{policy}");
        t.sent();
        let report = t.next_report("1.0.1", running());
        t.hello("w1", "2cpu", vec![report]);
        assert_eq!(t.sent(), "w1 welcome; w1 forget 1.0.1", "the lost attempt does not come back to life");
    }
}
