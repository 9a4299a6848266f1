//! The spans of a job that went through the cluster.

use super::scenario::Scenario;
use crate::cluster::{Note, NoteKind};
use crate::ids::{AttemptId, ClusterId, JobId};
use crate::time::WallTime;
use crate::trace::{JobTrace, Span, TraceParent, Value, spans as of_note};

const CLUSTER: ClusterId = ClusterId(uuid::Uuid::from_u128(7));
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn of(t: &Scenario, job: JobId, attempt: Option<u32>) -> Vec<Span> {
    let kind = if attempt.is_some() { NoteKind::AttemptEnded } else { NoteKind::JobEnded };
    let attempt = attempt.map(|number| AttemptId::from_parts(job.get(), 0, number).expect("well formed"));
    let note = Note { kind, job: Some(job), attempt, node: None, message: String::new() };
    of_note(CLUSTER, &t.cluster, &note, t.now().wall)
}

fn root(t: &Scenario, job: JobId) -> Span {
    of(t, job, None).pop().expect("ended")
}

fn spans(t: &Scenario, job: JobId, attempt: u32) -> Vec<Span> {
    of(t, job, Some(attempt))
}

#[test]
fn a_job_and_its_attempts_are_one_tree_below_the_submitters_span() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit(&format!("retries=1 parent={PARENT}"));
    t.exit("w1", "1.0.1", 3);
    t.pass(3.0);
    t.exit("w1", "1.0.2", 0);
    let root = root(&t, job);
    let given = TraceParent::parse(PARENT).expect("well formed");
    assert_eq!((root.trace, root.parent), (given.trace, Some(given.span)));
    let (first, second) = (spans(&t, job, 1), spans(&t, job, 2));
    for span in first.iter().chain(&second) {
        assert_eq!((span.trace, span.parent), (root.trace, Some(root.id)), "{span:?}");
        assert!(span.end >= span.start);
    }
    assert_eq!(first.iter().map(|span| span.name).collect::<Vec<_>>(), ["schedule", "attempt"]);
    assert_eq!(first[1].error.as_deref(), Some("exited 3"));
    assert_eq!(second[1].error, None);
    assert!(second[1].attributes.contains(&("process.exit.code", Value::Number(0))));
    assert!(second[0].end.0 - second[0].start.0 >= 750, "the second wait holds the pause before it");
    let all = first.iter().chain(&second).chain([&root]);
    let ids: std::collections::BTreeSet<_> = all.map(|span| span.id).collect();
    assert_eq!(ids.len(), 5, "no span twice");
}

#[test]
fn the_command_hangs_below_its_run_and_the_run_below_its_attempt() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu");
    t.exit("w1", "1.0.1", 0);
    let id = AttemptId::from_parts(job.get(), 0, 1).expect("well formed");
    let trace = JobTrace::of(CLUSTER, job, &t.cluster.job(job).expect("kept").spec);
    let run = trace.worker_span(id, crate::trace::Step::Run, (WallTime(5), WallTime(6)));
    assert_eq!(trace.for_command(id), TraceParent { trace: run.trace, span: run.id, sampled: true });
    assert_eq!(run.parent, Some(spans(&t, job, 1)[1].id));
}

#[test]
fn jobs_of_one_submitter_share_a_trace_and_no_span() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let jobs = [(); 2].map(|()| t.submit(&format!("1cpu parent={PARENT}")));
    t.exit("w1", "1.0.1", 0);
    t.exit("w1", "2.0.1", 0);
    let [one, two] = jobs.map(|job| root(&t, job));
    assert_eq!(one.trace, two.trace);
    assert_ne!(one.id, two.id);
    assert_ne!(spans(&t, jobs[0], 1)[1].id, spans(&t, jobs[1], 1)[1].id);
}

#[test]
fn what_has_not_ended_has_no_spans_and_a_submitter_may_want_none() {
    let mut t = Scenario::new().worker("w1", "4cpu");
    let job = t.submit("1cpu");
    t.run("w1", "1.0.1");
    assert_eq!(spans(&t, job, 1), []);
    assert_eq!(of(&t, job, None), []);
    let silent = t.submit(&format!("1cpu parent={}00", PARENT.strip_suffix("01").expect("flags")));
    t.exit("w1", "2.0.1", 0);
    assert_eq!(spans(&t, silent, 1), []);
    assert_eq!(of(&t, silent, None), []);
}
