//! Kills a real coordinator, or makes its disk fail, before the n-th system call that changes a file, for one n after the
//! other, while a job is submitted, runs, ends and has its output packed. The next start must know every acknowledged job, once
//! and with its end and its output, and what had ended must not change.
//!
//! The calls are counted by strace for each thread, and the store writes from few threads, so counting up reaches every
//! kind of moment, the start included. Without `DOCKMGR_FULL=1` a sample of the points is taken, chosen by a seed that
//! is printed and can be given as `DOCKMGR_SEED`. The same is done operation by operation, and with power losses, on a
//! disk in memory in the coordinator's own tests of its store.

mod traced;

use std::collections::BTreeMap;
use std::time::Duration;

use dockmgr_proto::v1;
use dockmgr_tests::{Cluster, STEP_LIMIT, needs};

use traced::{Fault, Traced};

/// Points of each fault in a short run.
const SAMPLE: usize = 12;
/// No start and one job make this many calls in one thread.
const BEYOND: usize = 400;
/// What a whole run must reach at least of each fault.
const LEAST_WHOLE: usize = 10;

/// What is known of every job so far: its record when it had ended.
type Known = BTreeMap<u64, v1::Job>;

#[tokio::test]
async fn killed_before_any_call_that_changes_a_file_nothing_is_lost_or_done_twice() {
    needs::strace();
    sweep(&[Fault::Kill]).await;
}

#[tokio::test]
async fn a_disk_that_fails_ends_the_coordinator_and_loses_nothing() {
    needs::strace();
    sweep(&[Fault::SyncFails, Fault::DiskFull]).await;
}

#[expect(clippy::print_stderr, reason = "the seed and the count are wanted beside the verdict")]
async fn sweep(faults: &[Fault]) {
    let seed = traced::seed();
    // Output is packed as soon as it has ended, so that the points lie in the middle of that, too.
    let mut cluster = Cluster::builder().coordinator_args(&["--seal-after", "1ms"]).coordinator_only().await;
    cluster.stop_coordinator().await;
    let mut known = Known::new();
    let mut hit = 0;
    for &fault in faults {
        let points = if needs::full() { (1..BEYOND).collect() } else { traced::sample(fault, seed, SAMPLE) };
        for point in points {
            let reached = one(&mut cluster, fault, point, &mut known).await;
            hit += usize::from(reached);
            // The whole life of the process had fewer calls: there is nothing behind it.
            if !reached && needs::full() {
                break;
            }
        }
    }
    eprintln!("crash points {faults:?}: {hit} hit, {} jobs, seed {seed}", known.len());
    assert!(hit >= faults.len(), "only {hit} points were reached");
    assert!(!needs::full() || hit >= faults.len() * LEAST_WHOLE, "only {hit} points");
}

/// One life with one fault; whether the fault came.
async fn one(cluster: &mut Cluster, fault: Fault, point: usize, known: &mut Known) -> bool {
    let place = format!("{fault:?} at call {point}");
    let mut traced = Traced::start(cluster, fault, point);
    let n = known.len() as u64 + 1;
    cluster.launch_worker(0);
    let story = tokio::spawn(story(cluster.server(), cluster.token().clone(), n));
    let mut reached = false;
    while !story.is_finished() {
        if !reached && traced.has_ended() {
            reached = true;
            cluster.start_coordinator().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = story.await.unwrap_or_else(|error| panic!("{place}: {error}"));
    if reached {
        assert!(fault.ended_well(&mut traced).await, "{place}: {}", traced.log_tail());
    } else {
        reached = traced.stop().await;
        cluster.start_coordinator().await;
    }
    let task = ended.task.as_ref().expect("a plain job has one task");
    assert_eq!((ended.exit_code, task.attempts.len()), (Some(7), 1), "{place}: {ended:?}");
    known.insert(ended.id, ended.clone());
    let all = all_jobs(cluster).await;
    assert_eq!(all.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>(), "{place}: jobs");
    for (id, job) in &all {
        let (then, now) = (ends(&known[id]), ends(job));
        assert_eq!(then, now, "{place}: the end of job {id} changed");
    }
    for (life, id) in (1..).zip(all.keys()) {
        assert_eq!(cluster.logs(*id).await.text(), format!("life {life}"), "{place}: output of job {id}");
    }
    cluster.stop_worker(0).await;
    cluster.stop_coordinator().await;
    reached
}

/// Submits one job and waits for its end, through whatever happens to the coordinator.
async fn story(server: String, token: dockmgr_support::secret::ApiToken, n: u64) -> v1::Job {
    let args = vec!["sh".to_owned(), "-c".to_owned(), format!("echo life {n}; exit 7")];
    let form = Some(v1::command::Form::Argv(v1::Argv { args }));
    let spec =
        v1::JobSpec { command: Some(v1::Command { form, entrypoint: None }), ..v1::JobSpec::default() };
    let request = v1::CreateJobRequest {
        spec: Some(spec),
        key: format!("life-{n}"),
        ..v1::CreateJobRequest::default()
    };
    let client = traced::patient_client(&server, &token).await;
    let submitted = loop {
        // The key makes every repeat the same submit.
        match client.create_job(request.clone()).await {
            Ok(answer) => break answer.job.expect("a stored job"),
            Err(error) if error.is_retryable() => {}
            Err(error) => panic!("submit {n}: {error}"),
        }
    };
    let ended = client.wait_until_ended(&submitted.id.to_string(), Some(STEP_LIMIT * 2)).await;
    ended.unwrap_or_else(|error| panic!("job {n}: {error}")).unwrap_or_else(|| panic!("job {n} never ended"))
}

async fn all_jobs(cluster: &Cluster) -> Known {
    let client = cluster.client().await;
    let mut request = v1::ListJobsRequest { page_size: 1000, ..v1::ListJobsRequest::default() };
    let mut all = Known::new();
    loop {
        let page = client.list_jobs(request.clone()).await.expect("an answer");
        all.extend(page.jobs.into_iter().map(|job| (job.id, job)));
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

/// What must never change of a job that has ended.
fn ends(job: &v1::Job) -> String {
    format!("{:?}", (job.state, job.exit_code, job.end_reason, &job.end_time, &job.task))
}
