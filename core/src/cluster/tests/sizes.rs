//! Bounds on memory by structure, not by timing.

use super::scenario::Scenario;
use crate::cluster::TaskEntry;
use crate::outcome::TaskState;

#[test]
fn a_million_queued_tasks_have_no_records() {
    let mut t = Scenario::new().worker("w1", "3cpu");
    let job = t.submit("1cpu array=0-999999");
    let record = t.cluster.job(job).expect("kept");
    assert_eq!((record.tasks.len(), record.live.len(), record.ready.len()), (3, 3, 0));
    assert_eq!(record.counts.queued, 999_997);
    assert_eq!(t.cluster.queue.len(), 1);
    assert_eq!(record.chunks().collect::<Vec<_>>(), [0]);
    assert_eq!(t.state(job, 999_999), TaskState::Queued);
    t.exit("w1", "1.1.1", 0);
    assert_eq!(
        t.last.dirty.len(),
        2,
        "one task's end touches its chunk and, once, the job's digest: {:?}",
        t.last.dirty
    );
    t.exit("w1", "1.2.1", 0);
    assert_eq!(t.last.dirty.len(), 1);
}

#[test]
fn jobs_of_one_shape_share_one_row_of_the_queue() {
    let mut t = Scenario::new();
    for _ in 0..50 {
        t.submit("1cpu");
    }
    assert_eq!((t.cluster.queue.len(), t.cluster.queue.heads().count()), (50, 1));
}

#[test]
fn an_ended_task_stays_small() {
    assert!(std::mem::size_of::<TaskEntry>() <= 200, "{}", std::mem::size_of::<TaskEntry>());
    assert!(std::mem::size_of::<crate::cluster::AttemptEntry>() <= 160);
}
