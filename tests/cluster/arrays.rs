//! Array jobs: indices, limits, codes, output.

use std::time::Duration;

use dockmgr_proto::v1::{ListTasksRequest, TaskState};
use dockmgr_tests::{Cluster, Store, wait_until};

use crate::on_both_stores;

on_both_stores!(every_task_knows_its_index_and_its_lines_carry_it);

async fn every_task_knows_its_index_and_its_lines_carry_it(store: Store) {
    let cluster = Cluster::builder().store(store).workers(2).start().await;
    let job = cluster.submit(["--array", "3-12", "echo task $DOCKMGR_TASK of $DOCKMGR_TASK_COUNT"]).await;
    cluster.wait(job).await.expect_code(0);
    let mut lines: Vec<String> = cluster.logs(job).await.text().lines().map(str::to_owned).collect();
    lines.sort();
    let mut due: Vec<String> = (3..=12).map(|n| format!("{job}.{n}| task {n} of 10")).collect();
    due.sort();
    assert_eq!(lines, due);
    let one = cluster.cli(["logs", &format!("{job}.7")]).ok().await;
    assert_eq!(one.stdout, b"task 7 of 10\n");
}

#[tokio::test]
async fn an_array_exits_with_the_highest_code_and_names_the_failed_tasks() {
    let cluster = Cluster::fake().await;
    let job = cluster.submit(["--array", "0-9", "exit $DOCKMGR_TASK"]).await;
    cluster.wait(job).await.expect_code(9);
    let counts = cluster.job(job).await.tasks.expect("counts");
    assert_eq!((counts.total, counts.succeeded, counts.failed), (10, 1, 9));
    let page = cluster.cli(["describe", &job.to_string()]).ok().await;
    assert!(page.text().contains("1-9"), "{}", page.describe());
}

#[tokio::test]
async fn no_more_tasks_run_at_a_time_than_the_array_allows() {
    let cluster = Cluster::builder().cpus("16").start().await;
    let job = cluster.submit(["--array", "0-11%3", "--cpus", "0.5", "sleep 0.5"]).await;
    let mut most = 0;
    wait_until("the array to end", Duration::from_secs(60), async || {
        let counts = cluster.job(job).await.tasks.expect("counts");
        let running = counts.starting + counts.running;
        most = most.max(running);
        assert!(running <= 3, "{running} tasks at a time: {counts:?}");
        if counts.succeeded == 12 { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
    assert!(most >= 2, "tasks of an array run side by side, at most {most} did");
}

#[tokio::test]
async fn one_task_of_an_array_can_be_stopped_alone() {
    let cluster = Cluster::fake().await;
    let job = cluster.submit(["--array", "0-2", "sleep 600"]).await;
    let client = cluster.client().await;
    let states = async || {
        let request = ListTasksRequest { job: job.to_string(), ..ListTasksRequest::default() };
        let tasks = client.list_tasks(request).await.expect("the job is known").tasks;
        tasks.iter().map(dockmgr_proto::v1::Task::state).collect::<Vec<_>>()
    };
    let due = async |what: &str, due: [TaskState; 3]| {
        wait_until(what, Duration::from_secs(30), async || {
            let seen = states().await;
            if seen == due { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .await;
    };
    due("all to run", [TaskState::Running; 3]).await;
    cluster.cli(["stop", &format!("{job}.1")]).ok().await;
    due("one to end", [TaskState::Running, TaskState::Cancelled, TaskState::Running]).await;
    cluster.cli(["kill", &job.to_string()]).ok().await;
    cluster.wait(job).await.expect_code(143);
}

#[tokio::test]
async fn a_retried_array_runs_only_what_failed() {
    let cluster = Cluster::fake().await;
    let job = cluster.submit(["--array", "0-3", "exit $DOCKMGR_TASK"]).await;
    cluster.wait(job).await.expect_code(3);
    let again = cluster.cli(["retry", &job.to_string()]).ok().await.text();
    let again: u64 = again.parse().expect("a job number");
    cluster.wait(again).await.expect_code(3);
    let record = cluster.job(again).await;
    assert_eq!(record.retry_of, job);
    assert_eq!(record.tasks.expect("counts").total, 3);
}
