//! What `top` shows of a cluster, read in a few calls whose answers are bounded, again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use dockmgr_client::Client;
use dockmgr_proto::v1::{GetOverviewRequest, GetOverviewResponse, Job, ListJobsRequest, Node};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::failure::Failure;

/// Jobs of each kind that are read: no screen has more rows.
const MOST_JOBS: i32 = 100;
/// Between two looks: numbers that change faster cannot be read.
const PAUSE: Duration = Duration::from_secs(1);
/// A look that takes longer is given up: then a person should know that the screen is old.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// A cluster at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) overview: GetOverviewResponse,
    pub(super) nodes: Vec<Node>,
    /// Active jobs and the newest ones, the newest first.
    pub(super) jobs: Vec<Job>,
    /// The newest that failed.
    pub(super) failed: Vec<Job>,
}

/// What a look brought: facts, or why there are none.
pub(super) type Look = Result<Facts, String>;

/// Looks at the cluster for ever, and gives every look to `out`. Dropping it ends that.
pub(super) async fn looks(client: &Client, out: watch::Sender<Option<Look>>) {
    loop {
        let look = match timeout(PATIENCE, Facts::read(client)).await {
            Ok(Ok(facts)) => Ok(facts),
            Ok(Err(failure)) => Err(failure.what),
            Err(_elapsed) => Err("no answer".to_owned()),
        };
        // Without a reader the screen is being left, and this is dropped.
        out.send_replace(Some(look));
        sleep(PAUSE).await;
    }
}

impl Facts {
    async fn read(client: &Client) -> Result<Self, Failure> {
        let list = async |filter: &str| {
            let filter = filter.to_owned();
            client.list_jobs(ListJobsRequest { page_size: MOST_JOBS, filter, ..Default::default() }).await
        };
        let overview = client.get_overview(GetOverviewRequest {}).await?;
        let nodes = client.all_nodes().await?;
        let (active, newest) = (list("state = ACTIVE").await?, list("").await?);
        let failed = list("state = FAILED").await?.jobs;
        // What changed its state between two calls counts as the later call saw it.
        let both: BTreeMap<u64, Job> =
            active.jobs.into_iter().chain(newest.jobs).map(|job| (job.id, job)).collect();
        Ok(Self { overview, nodes, jobs: both.into_values().rev().collect(), failed })
    }
}
