//! The death of a leader, timed.

use std::time::{Duration, Instant};

use dockmgr_proto::v1;
use tokio::task::JoinSet;

use crate::raw::Api;
use crate::{Cluster, load};

/// What a trial may take before it has failed altogether.
const LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for one answer; a coordinator without a leader says so within five seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);

/// Pause between two questions: short against what is measured.
const PAUSE: Duration = Duration::from_millis(20);

/// How long it took from the death of the leader.
#[derive(Debug, Clone, Copy)]
pub struct Failover {
    /// Until each of the others had answered a call.
    pub answered: Duration,
    /// Until a job that was submitted after it had run.
    pub ran: Duration,
}

impl Failover {
    /// Kills the leader as a power cut would, waits until the others serve, and starts it again.
    pub async fn of(cluster: &mut Cluster) -> Self {
        let leader = cluster.leader().await;
        let others: Vec<String> =
            (0..cluster.coordinators()).filter(|n| *n != leader).map(|n| cluster.server_of(n)).collect();
        let mut asking = JoinSet::new();
        let client = cluster.client_at(&others.join(",")).await.expect("they answer");
        let mut apis = Vec::new();
        for server in &others {
            apis.push(Api::at(cluster, server).await.expect("it listens"));
        }
        cluster.kill_coordinator_n(leader).await;
        let dead = Instant::now();
        for api in apis {
            asking.spawn(answer(api, dead));
        }
        asking.spawn(async move {
            let job = load::submit(&client, load::spec("exit 0")).await;
            let ended = client.wait_until_ended(&job.to_string(), Some(LIMIT)).await;
            ended.expect("it runs").expect("it ends");
            (None, Some(dead.elapsed()))
        });
        let mut failover = Self { answered: Duration::ZERO, ran: Duration::ZERO };
        while let Some(done) = asking.join_next().await {
            let (answered, ran) = done.expect("served again");
            failover.answered = failover.answered.max(answered.unwrap_or_default());
            failover.ran = failover.ran.max(ran.unwrap_or_default());
        }
        cluster.start_coordinator_n(leader).await;
        failover
    }
}

/// Asks one coordinator until it answers with the word of a leader.
async fn answer(api: Api, dead: Instant) -> (Option<Duration>, Option<Duration>) {
    let request = v1::ListJobsRequest { page_size: 1, ..v1::ListJobsRequest::default() };
    let mut last = "silence".to_owned();
    while dead.elapsed() < LIMIT {
        let asked = tokio::time::timeout(ANSWER_LIMIT, api.jobs().list_jobs(request.clone())).await;
        match asked {
            Ok(Ok(_)) => return (Some(dead.elapsed()), None),
            Ok(Err(status)) => last = status.to_string(),
            Err(_) => "silence".clone_into(&mut last),
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no answer within {LIMIT:?}: {last}");
}
