use std::collections::BTreeSet;

use super::scenario::{Scenario, node, running};
use crate::cluster::{Config, Event, NodeState, Progress, Record};
use crate::outcome::TaskState;
use crate::time::Now;

#[test]
fn after_a_restart_attempts_keep_their_state_for_a_full_window() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu");
    t.run("w1", "1.0.1");
    t.pass(25.0);
    t.restart();
    assert_eq!(t.cluster.node(node("w1")).map(crate::cluster::Node::state), Some(NodeState::NotReady));
    t.pass(29.0);
    assert_eq!(t.state(job, 0), TaskState::Running);
    t.pass(2.0);
    assert_eq!(t.state(job, 0), TaskState::Unknown);
    t.restart();
    assert_eq!(t.state(job, 0), TaskState::Unknown);
    let report = t.next_report("1.0.1", running());
    t.hello("w1", "2cpu", vec![report]);
    assert_eq!(t.state(job, 0), TaskState::Running);
}

#[test]
fn a_restart_places_nothing_twice_and_forgets_nothing() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu array=0-9%2");
    t.report("w1", "1.0.1", Progress::Accepted);
    t.exit("w1", "1.1.1", 3);
    t.restart();
    t.sent();
    let report = t.next_report("1.0.1", Progress::Accepted);
    t.hello("w1", "2cpu", vec![report]);
    assert_eq!(t.sent(), "w1 welcome; w1 ack 1.0.1 #2; w1 start 1.2.1");
    assert_eq!(t.task(job, 1).exit_code(), Some(3));
}

#[test]
fn a_task_that_waited_for_its_back_off_is_tried_again_after_a_restart() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    let job = t.submit("1cpu retries=1");
    t.exit("w1", "1.0.1", 3);
    t.restart();
    t.hello("w1", "2cpu", Vec::new());
    t.sent();
    t.pass(2.0);
    assert_eq!((t.sent().as_str(), t.task(job, 0).failures), ("w1 start 1.0.2", 1));
}

#[test]
fn numbers_and_revisions_go_on_after_a_restart() {
    let mut t = Scenario::new();
    let first = t.submit("1cpu");
    let revision = t.cluster.revision();
    t.restart();
    assert!(t.submit("1cpu") > first);
    assert!(t.cluster.revision() > revision);
}

#[test]
fn the_next_number_of_a_group_that_was_cut_off_is_stored() {
    let mut t = Scenario::new();
    t.submit("1cpu");
    t.records.forget_numbers();
    let mut cluster = t.records.restore(Config::default(), Now::default());
    let first = cluster.step(Now::default(), Event::Tick { jitter: 0 });
    assert_eq!(first.dirty, BTreeSet::from([Record::Cluster]));
}
