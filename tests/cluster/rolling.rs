//! Every program is restarted in turn while work goes on: nobody who uses the cluster notices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockmgr_client::JobWatch;
use dockmgr_proto::v1;
use dockmgr_proto::v1::watch_jobs_response::Event;
use dockmgr_tests::cluster::bare_cli;
use dockmgr_tests::{CliCall, Cluster, STEP_LIMIT, needs};
use tokio::sync::watch;

/// Lines of the job that runs all the time, five a second: longer than all restarts take.
const LINES: u32 = 300;
/// Submits that must have gone well between two restarts.
const BETWEEN: usize = 6;
const FOLLOW_LIMIT: Duration = Duration::from_mins(3);

#[tokio::test]
async fn a_rolling_restart_under_load_loses_nothing_and_shows_nobody_an_error() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(3).workers(2).start().await;
    let script = format!("for i in $(seq 1 {LINES}); do echo line $i; sleep 0.2; done; exit 9");
    let run = cluster.cli(["run", &script]).limit(FOLLOW_LIMIT).spawn();
    run.expect_stdout("line 2\n", STEP_LIMIT).await;
    let follow = cluster
        .cli(["logs", "-f", "1"])
        .env("DOCKMGR_SERVER", cluster.server_of(2))
        .limit(FOLLOW_LIMIT)
        .spawn();
    let (stop, stopped) = watch::channel(false);
    let (count, mut counted) = watch::channel(0_usize);
    let shell = Shell::of(&cluster);
    let submitters: Vec<_> = ["a", "b"]
        .map(|name| tokio::spawn(submit_until(shell.clone(), name, stopped.clone(), count.clone())))
        .into();
    let watching =
        tokio::spawn(watch_ends(cluster.client().await.watch_jobs(v1::WatchJobsRequest::default()), stopped));

    for n in 0..3 {
        submits_go_on(&mut counted).await;
        cluster.stop_coordinator_n(n).await;
        submits_go_on(&mut counted).await;
        cluster.start_coordinator_n(n).await;
    }
    for n in 0..2 {
        submits_go_on(&mut counted).await;
        cluster.stop_worker(n).await;
        submits_go_on(&mut counted).await;
        cluster.start_worker(n).await;
    }
    submits_go_on(&mut counted).await;
    stop.send_replace(true);

    let mut due = BTreeMap::new();
    for submitter in submitters {
        for (job, text, code) in submitter.await.expect("no submit was refused") {
            assert!(due.insert(job, (text, code)).is_none(), "job {job} was given out twice");
        }
    }
    for (job, (text, code)) in &due {
        cluster.wait(*job).await.expect_code(*code);
        assert_eq!(cluster.logs(*job).await.text(), *text, "job {job}");
    }
    let lines: String = (1..=LINES).map(|n| format!("line {n}\n")).collect();
    for following in [run, follow] {
        let output = following.wait(FOLLOW_LIMIT).await;
        assert_eq!(String::from_utf8_lossy(&output.stdout), lines, "{}", output.describe());
    }
    let mut all: BTreeSet<u64> = due.keys().copied().collect();
    all.insert(1);
    let jobs = all_jobs(&cluster).await;
    assert_eq!(
        jobs.iter().map(|job| job.id).collect::<BTreeSet<_>>(),
        all,
        "no job but those of the submits"
    );
    for job in jobs {
        assert_eq!(cluster.job(job.id).await.task.expect("one task").attempts.len(), 1, "job {}", job.id);
    }
    let ends = watching.await.expect("the watch goes on");
    assert!(
        all.is_subset(&ends),
        "the watch missed the end of {:?}",
        all.difference(&ends).collect::<Vec<_>>()
    );
    let starts = starts(&cluster);
    assert_eq!(starts.len(), all.len(), "one container a job");
    assert!(starts.values().all(|count| *count == 1), "started once: {starts:?}");
}

/// Calls of the command line from a task of its own.
#[derive(Debug, Clone)]
struct Shell {
    folder: PathBuf,
    servers: String,
    token_file: PathBuf,
}

impl Shell {
    fn of(cluster: &Cluster) -> Self {
        Self {
            folder: cluster.folder().to_owned(),
            servers: cluster.servers(),
            token_file: cluster.token_file(),
        }
    }

    fn cli(&self, args: &[&str]) -> CliCall {
        let mut command = bare_cli(&self.folder);
        command.env("DOCKMGR_SERVER", &self.servers).env("DOCKMGR_TOKEN_FILE", &self.token_file);
        CliCall::new(command, args)
    }
}

/// Submits until it is told to stop; the jobs, what they write and what they exit with. Panics at the first error.
async fn submit_until(
    shell: Shell,
    name: &'static str,
    stop: watch::Receiver<bool>,
    count: watch::Sender<usize>,
) -> Vec<(u64, String, i32)> {
    let mut submitted = Vec::new();
    for n in 0.. {
        if *stop.borrow() {
            break;
        }
        let (text, code) = (format!("{name} {n}"), n % 100);
        let script = format!("echo {text}; sleep 0.3; exit {code}");
        let output = shell.cli(&["submit", "--key", &format!("{name}-{n}"), &script]).ok().await;
        let job = output.text().parse().unwrap_or_else(|_| panic!("no number: {}", output.describe()));
        submitted.push((job, text, code));
        count.send_modify(|count| *count += 1);
    }
    submitted
}

async fn submits_go_on(count: &mut watch::Receiver<usize>) {
    let due = *count.borrow() + BETWEEN;
    let reached = tokio::time::timeout(STEP_LIMIT, count.wait_for(|count| *count >= due)).await;
    assert!(reached.is_ok_and(|reached| reached.is_ok()), "submits stand still");
}

/// Watches until everything it has heard of has ended and no more is submitted; the jobs whose end it saw.
async fn watch_ends(mut watch: JobWatch, stop: watch::Receiver<bool>) -> BTreeSet<u64> {
    let (mut open, mut ended) = (BTreeSet::new(), BTreeSet::new());
    loop {
        // The time-out is a look at whether this is over.
        let Ok(step) = tokio::time::timeout(Duration::from_secs(2), watch.next()).await else {
            if *stop.borrow() && open.is_empty() {
                return ended;
            }
            continue;
        };
        if let Event::Changed(job) = step.expect("the watch outlives restarts") {
            if job.end_time.is_some() {
                open.remove(&job.id);
                ended.insert(job.id);
            } else {
                open.insert(job.id);
            }
        }
    }
}

async fn all_jobs(cluster: &Cluster) -> Vec<v1::Job> {
    let (client, mut jobs) = (cluster.client().await, Vec::new());
    let mut request = v1::ListJobsRequest::default();
    loop {
        let page = client.list_jobs(request.clone()).await.expect("a list");
        jobs.extend(page.jobs);
        if page.next_page_token.is_empty() {
            return jobs;
        }
        request.page_token = page.next_page_token;
    }
}

/// How often each container was started, as the fake runtimes tell.
fn starts(cluster: &Cluster) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    for n in 0..2 {
        let mut files = Vec::new();
        find(&cluster.worker_folder(n), &mut files);
        for file in files {
            let text = std::fs::read_to_string(file).expect("a readable file");
            for name in text.lines().filter_map(|line| line.strip_prefix("S ")?.split(' ').next()) {
                *starts.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    starts
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, found);
        } else if path.file_name().is_some_and(|name| name == "executions") {
            found.push(path);
        }
    }
}
