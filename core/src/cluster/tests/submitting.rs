use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::scenario::Scenario;
use super::spec_text::spec;
use crate::cluster::{Config, Record, Refusal, Reply, Request, Submission};
use crate::ids::{JobId, JobUid};
use crate::outcome::JobState;
use crate::retention::Reason;

#[test]
fn a_repeated_key_returns_the_first_job_and_another_request_under_it_is_refused() {
    let mut t = Scenario::new();
    let job = t.try_submit("1cpu", Some(("k", 1))).expect("taken");
    assert_eq!(t.try_submit("1cpu", Some(("k", 1))), Ok(job));
    let refused = t.try_submit("2cpu", Some(("k", 2))).expect_err("refused");
    assert!(matches!(refused, Refusal::KeyReused { ref key, .. } if key == "k"), "{refused}");
    t.restart();
    assert_eq!(t.try_submit("1cpu", Some(("k", 1))), Ok(job), "a restart forgets no key");
    t.pass(23.0 * 3600.0);
    assert_eq!(t.try_submit("1cpu", Some(("k", 1))), Ok(job), "nor do 23 hours");
    t.pass(3700.0);
    assert_ne!(t.try_submit("1cpu", Some(("k", 1))), Ok(job));
}

#[test]
fn a_batch_is_stored_whole_or_not_at_all() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let one = |text: &str, uid| Submission { spec: spec(text), uid: JobUid(Uuid::from_u128(uid)), key: None };
    let refused = t.ask(Request::Submit(vec![one("1cpu", 90), one("64cpu", 91)]));
    assert!(
        matches!(refused, Err(Refusal::Unschedulable(verdicts)) if verdicts[0].reason.contains("needs 64.000 cpu"))
    );
    assert_eq!((t.cluster.counts().active_jobs, t.last.dirty.len()), (0, 0));
    let taken = t.ask(Request::Submit(vec![one("1cpu", 92), one("2cpu", 93)]));
    assert_eq!(taken, Ok(Reply::Submitted(vec![JobId::new(1).unwrap(), JobId::new(2).unwrap()])));
    assert!(t.last.dirty.contains(&Record::Cluster));
}

#[test]
fn what_no_registered_node_can_run_waits_before_any_registered_or_with_a_queue_time_out() {
    let mut t = Scenario::new();
    t.submit("64cpu");
    t.hello("w1", "4cpu", Vec::new());
    assert!(t.try_submit("64cpu", None).is_err());
    t.submit("64cpu queue=10");
}

#[test]
fn jobs_that_ask_for_the_same_keep_it_once() {
    let mut t = Scenario::new();
    let jobs = [t.submit("1cpu"), t.submit("2cpu"), t.submit("1cpu")];
    t.restart();
    let specs = jobs.map(|id| Arc::clone(&t.cluster.job(id).expect("it is there").spec));
    assert!(Arc::ptr_eq(&specs[0], &specs[2]) && !Arc::ptr_eq(&specs[0], &specs[1]));
    assert_eq!(*specs[1], spec("2cpu"));
}

#[test]
fn a_full_queue_refuses_what_would_not_fit() {
    let mut t = Scenario::with(Config { queue_limit: 10, ..Config::default() });
    t.submit("1cpu array=1-9");
    assert_eq!(t.try_submit("1cpu array=1-2", None), Err(Refusal::QueueFull { queued: 9, limit: 10 }));
    t.submit("1cpu");
}

#[test]
fn a_retry_repeats_only_what_did_not_succeed_under_the_same_indices() {
    let mut t = Scenario::new().worker("w1", "8cpu");
    let job = t.submit("1cpu array=3-6");
    assert_eq!(t.retry(job), Err(Refusal::NotEnded(job)));
    for (attempt, code) in [("1.3.1", 1), ("1.4.1", 0), ("1.5.1", 0), ("1.6.1", 2)] {
        t.exit("w1", attempt, code);
    }
    t.sent();
    let again = t.retry(job).expect("taken");
    assert_eq!(t.sent(), "w1 start 2.3.1; w1 start 2.6.1");
    t.exit("w1", "2.3.1", 0);
    t.exit("w1", "2.6.1", 0);
    let record = t.cluster.job(again).expect("kept");
    assert_eq!((record.state(), record.retry_of), (JobState::Succeeded, Some(job)));
    assert_eq!(t.retry(again), Err(Refusal::NothingToRetry(again)));
}

#[test]
fn an_ended_job_can_be_deleted_and_an_old_one_is_forgotten() {
    let mut t = Scenario::new().worker("w1", "8cpu");
    let [first, second] = [t.submit("1cpu name=nightly"), t.submit("1cpu name=nightly")];
    assert_eq!(t.ask(Request::Delete { job: first, force: false }), Err(Refusal::NotEnded(first)));
    t.exit("w1", "1.0.1", 0);
    t.exit("w1", "2.0.1", 0);
    assert_eq!(t.cluster.resolve("nightly"), Some(second));
    t.ask(Request::Delete { job: second, force: false }).expect("taken");
    assert!(t.last.deleted.contains(&second) && t.last.dirty.contains(&Record::Chunk(second, 0)));
    assert_eq!(t.cluster.resolve("nightly"), Some(first));
    t.pass(Duration::from_secs(7 * 24 * 3600 + 1200).as_secs_f64());
    assert_eq!(t.cluster.job(first), None);
    assert_eq!(t.cluster.resolve("nightly"), None);
}

#[test]
fn a_pinned_job_is_kept_however_old_it_is_until_it_is_unpinned() {
    let mut t = Scenario::new().worker("w1", "8cpu");
    let [kept, other] = [t.submit("1cpu"), t.submit("1cpu")];
    let nobody = JobId::new(99).expect("not 0");
    assert_eq!(t.ask(Request::Pin { job: nobody, pinned: true }), Err(Refusal::UnknownJob(nobody)));
    // While it runs, and twice.
    for _ in 0..2 {
        t.ask(Request::Pin { job: kept, pinned: true }).expect("taken");
    }
    assert!(t.last.dirty.is_empty(), "the second time nothing changed");
    t.exit("w1", "1.0.1", 0);
    t.exit("w1", "2.0.1", 0);
    let weeks = Duration::from_secs(30 * 24 * 3600).as_secs_f64();
    t.pass(weeks);
    t.restart();
    t.pass(weeks);
    assert!(t.cluster.job(kept).is_some_and(|job| job.pinned) && t.cluster.job(other).is_none());
    assert_eq!(t.ask(Request::Delete { job: kept, force: false }), Err(Refusal::Pinned(kept)));
    t.ask(Request::Pin { job: kept, pinned: false }).expect("taken");
    t.pass(3600.0);
    assert_eq!(t.cluster.job(kept), None);
}

#[test]
fn output_of_an_ended_job_is_given_up_once_and_never_that_of_a_pinned_or_running_one() {
    let mut t = Scenario::new().worker("w1", "8cpu");
    let [job, pinned] = [t.submit("1cpu"), t.submit("1cpu")];
    let give_up = |job, reason| Request::GiveUpOutput { job, reason };
    assert_eq!(t.ask(give_up(job, Reason::ClusterFull)), Err(Refusal::NotEnded(job)));
    t.ask(Request::Pin { job: pinned, pinned: true }).expect("taken");
    t.exit("w1", "1.0.1", 0);
    t.exit("w1", "2.0.1", 0);
    assert_eq!(t.ask(give_up(pinned, Reason::ClusterFull)), Err(Refusal::Pinned(pinned)));
    t.ask(give_up(job, Reason::ClusterFull)).expect("taken");
    let known = t.cluster.job(job).expect("kept").output_deleted;
    assert!(known.is_some_and(|(_, reason)| reason == Reason::ClusterFull));
    t.pass(60.0);
    t.ask(give_up(job, Reason::JobTooLarge)).expect("no news");
    t.restart();
    assert_eq!(t.cluster.job(job).expect("kept").output_deleted, known);
    assert_eq!(t.cluster.job(pinned).expect("kept").output_deleted, None);
}
