//! `ClusterService`: numbers about everything there is.

use dockmgr_core::cluster::{Cluster, NodeState};
use dockmgr_core::spec::Resources;
use dockmgr_core::time::Now;
use dockmgr_proto::convert;
use dockmgr_proto::v1::{self, cluster_service_server::ClusterService};
use tonic::{Request, Response, Status};

use super::{status, view};
use crate::controller::Handle;

/// Serves the overview.
#[derive(Debug, Clone)]
pub(crate) struct Overview {
    handle: Handle,
}

impl Overview {
    /// Serves what the controller behind `handle` knows.
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

#[tonic::async_trait]
impl ClusterService for Overview {
    async fn get_overview(
        &self,
        _request: Request<v1::GetOverviewRequest>,
    ) -> Result<Response<v1::GetOverviewResponse>, Status> {
        let seen = self.handle.read(overview).await;
        Ok(Response::new(seen.map_err(|error| status::no_answer(&error))?))
    }
}

fn overview(cluster: &Cluster, now: Now) -> v1::GetOverviewResponse {
    let (totals, backlog, lately) = (cluster.counts(), cluster.backlog(), cluster.lately(now.wall));
    let mut capacity = Resources::default();
    let mut used = Resources::default();
    let mut ready_nodes = 0;
    for node in cluster.nodes() {
        ready_nodes += u64::from(node.state() == NodeState::Ready && node.drain.is_none());
        if matches!(node.state(), NodeState::Ready | NodeState::NotReady) {
            add(&mut capacity, node.host.capacity);
            add(&mut used, node.host.used);
        }
    }
    let minute = |ends: dockmgr_core::cluster::Ends| v1::EndedMinute {
        succeeded: ends.succeeded,
        failed: ends.failed,
        cancelled: ends.cancelled,
    };
    v1::GetOverviewResponse {
        time: Some(view::time(now.wall)),
        active_jobs: totals.active_jobs,
        succeeded_jobs: totals.succeeded_jobs,
        failed_jobs: totals.failed_jobs,
        cancelled_jobs: totals.cancelled_jobs,
        queued_tasks: totals.queued_tasks,
        starting_tasks: totals.starting_tasks,
        running_tasks: totals.running_tasks,
        unknown_tasks: totals.unknown_tasks,
        no_room_jobs: backlog.no_room,
        no_node_jobs: backlog.no_node,
        oldest_queued_time: backlog.oldest.map(view::time),
        nodes: totals.nodes,
        ready_nodes,
        capacity: Some(convert::resources::resources_to_wire(capacity)),
        used: Some(convert::resources::resources_to_wire(used)),
        ended: lately.minutes.map(minute).to_vec(),
        failed_job_ids: lately.failed.iter().map(|id| id.get()).collect(),
        ended_incomplete: lately.cut,
    }
}

fn add(sum: &mut Resources, more: Resources) {
    sum.cpu_millis = sum.cpu_millis.saturating_add(more.cpu_millis);
    sum.memory = sum.memory.saturating_add(more.memory);
    sum.gpus = sum.gpus.saturating_add(more.gpus);
}
