//! Load for measurements: many submits at once, output that does not end.

use std::time::Duration;

use dockmgr_proto::v1;

use crate::Cluster;

/// Submits that are under way at a time.
const AT_ONCE: usize = 64;

/// A small job that runs `script`.
pub fn spec(script: &str) -> v1::JobSpec {
    let args = vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    let form = Some(v1::command::Form::Argv(v1::Argv { args }));
    let resources = v1::Resources { cpu_millis: 10, memory_bytes: 8 << 20, ..v1::Resources::default() };
    v1::JobSpec {
        command: Some(v1::Command { form, entrypoint: None }),
        resources: Some(resources),
        ..v1::JobSpec::default()
    }
}

/// Submits one job and gives its number.
pub async fn submit(client: &dockmgr_client::Client, spec: v1::JobSpec) -> u64 {
    let request = v1::CreateJobRequest { spec: Some(spec), ..v1::CreateJobRequest::default() };
    client.create_job(request).await.expect("it is taken in").job.expect("an answer has a job").id
}

/// Submits `count` jobs of one task.
pub async fn submit_many(cluster: &Cluster, count: usize) {
    let mut submitting = tokio::task::JoinSet::new();
    for n in 0..AT_ONCE {
        let client = cluster.client().await;
        let share = count / AT_ONCE + usize::from(n < count % AT_ONCE);
        submitting.spawn(async move {
            for _ in 0..share {
                submit(&client, spec("exit 0")).await;
            }
        });
    }
    while let Some(done) = submitting.join_next().await {
        done.expect("no submit fails");
    }
}

/// Submits one array of `count` tasks.
pub async fn submit_array(cluster: &Cluster, count: usize) {
    let last = u32::try_from(count - 1).expect("a possible array");
    let array = v1::ArraySpec { first: 0, last, max_running: 0 };
    let spec = v1::JobSpec { array: Some(array), ..spec("exit 0") };
    submit(&cluster.client().await, spec).await;
}

/// Submits small jobs one after the other until it is aborted, `pause` between two.
pub async fn keep_submitting(client: dockmgr_client::Client, pause: Duration) {
    loop {
        submit(&client, spec("exit 0")).await;
        // The load is what a rate makes, not what the machine can bear.
        tokio::time::sleep(pause).await;
    }
}
