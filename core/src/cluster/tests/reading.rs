use std::time::Duration;

use super::scenario::{Scenario, node};
use crate::cluster::{Backlog, Ends, Totals};
use crate::ids::JobId;
use crate::time::WallTime;

#[test]
fn a_job_is_found_by_number_name_uid_and_last() {
    let mut t = Scenario::new();
    let first = t.submit("name=build");
    let second = t.submit("name=build");
    let third = t.submit("1cpu");
    let uid = t.cluster.job(first).expect("kept").uid.to_string();
    let rows = [
        ("1", Some(first)),
        ("namespaces/default/jobs/2", Some(second)),
        ("build", Some(second)),
        ("last", Some(third)),
        (uid.as_str(), Some(first)),
        ("99", None),
        ("", None),
        ("0", None),
        ("Build", None),
        ("namespaces/other/jobs/2", None),
    ];
    for (text, expected) in rows {
        assert_eq!(t.cluster.resolve(text), expected, "{text:?}");
    }
    let newest: Vec<JobId> = t.cluster.jobs_newest_first(Some(third)).map(|job| job.id).collect();
    let oldest: Vec<JobId> = t.cluster.jobs_oldest_first(Some(first)).map(|job| job.id).collect();
    assert_eq!((newest, oldest), (vec![second, first], vec![second, third]));
}

#[test]
fn a_node_is_found_by_name_and_id() {
    let t = Scenario::new().worker("w1", "1cpu").worker("w2", "1cpu");
    let id = node("w2");
    for text in ["w2".to_owned(), id.to_string(), format!("nodes/{id}"), "nodes/w2".to_owned()] {
        assert_eq!(t.cluster.resolve_node(&text), Some(id), "{text}");
    }
    assert_eq!(t.cluster.resolve_node("w3"), None);
}

#[test]
fn the_backlog_says_what_waits_for_room_and_what_for_a_node_that_does_not_exist() {
    let mut t = Scenario::new();
    assert_eq!(t.cluster.backlog(), Backlog::default());
    t.submit("16cpu priority=-1");
    let oldest = t.now().wall;
    t.pass(60.0);
    let mut t = t.worker("w1", "2cpu");
    for text in ["2cpu", "2cpu priority=7", "1cpu"] {
        t.submit(text);
    }
    let expected = Backlog { no_room: 2, no_node: 1, unlooked: 0, oldest: Some(oldest) };
    assert_eq!(t.cluster.backlog(), expected);
    t.exit("w1", "2.0.1", 0);
    t.exit("w1", "3.0.1", 0);
    assert_eq!(t.cluster.backlog(), Backlog { no_room: 0, ..expected });
}

#[test]
fn the_totals_tell_jobs_and_tasks_by_state() {
    let mut t = Scenario::new().worker("w1", "2cpu");
    for text in ["1cpu", "1cpu", "1cpu", "1cpu"] {
        t.submit(text);
    }
    t.exit("w1", "1.0.1", 0);
    t.exit("w1", "2.0.1", 3);
    t.run("w1", "3.0.1");
    let fourth = JobId::new(4).expect("not 0");
    t.kill(fourth);
    let totals = t.cluster.counts();
    let expected = Totals {
        active_jobs: 2,
        succeeded_jobs: 1,
        failed_jobs: 1,
        starting_tasks: 0,
        running_tasks: 2,
        nodes: 1,
        ..Totals::default()
    };
    assert_eq!(totals, expected);
    t.pass(31.0);
    let totals = t.cluster.counts();
    assert_eq!((totals.running_tasks, totals.unknown_tasks, totals.live_tasks()), (0, 2, 2));
    let unheard = t.cluster.node(node("w1")).expect("known").unheard(t.now().boot);
    assert!(unheard >= Duration::from_secs(31), "{unheard:?}");
}

#[test]
fn what_ended_lately_is_counted_by_the_minute_and_the_failed_are_named() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let jobs = [(); 3].map(|()| t.submit("1cpu"));
    t.exit("w1", "1.0.1", 0);
    t.exit("w1", "2.0.1", 3);
    t.pass(120.0);
    t.exit("w1", "3.0.1", 4);
    let now = t.now().wall;
    let lately = t.cluster.lately(now);
    assert_eq!(lately.minutes[57], Ends { succeeded: 1, failed: 1, cancelled: 0 });
    assert_eq!(lately.minutes[59], Ends { failed: 1, ..Ends::default() });
    assert_eq!((lately.failed, lately.cut), (vec![jobs[2], jobs[1]], false));
    let later = WallTime(now.0 + 3_600_000);
    assert!(t.cluster.lately(later).failed.is_empty(), "an hour later that is history");
}
