//! `NodeService`: the hosts of the cluster.

use dockmgr_core::cluster::{Reply, Request as Wish};
use dockmgr_core::ids::NodeId;
use dockmgr_proto::convert;
use dockmgr_proto::v1::{self, node_service_server::NodeService};
use tonic::{Request, Response, Status};

use super::{page, references, status, view};
use crate::controller::Handle;

/// What binds the page tokens of the one list there is.
const QUESTION: &str = "nodes";

/// Serves the nodes.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    handle: Handle,
}

impl Nodes {
    /// Serves the nodes of the controller behind `handle`.
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    async fn view(&self, id: NodeId) -> Result<v1::Node, Status> {
        let notice = self.handle.read_only();
        let found = self
            .handle
            .read(move |cluster, now| {
                cluster.node(id).map(|node| noticed(view::node(cluster, node, now), notice.as_deref()))
            })
            .await;
        found.map_err(|error| status::no_answer(&error))?.ok_or_else(|| {
            status::not_found("NODE_NOT_FOUND", "node", &id.to_string(), &format!("no node {id}"))
        })
    }

    async fn wish(&self, wish: Wish) -> Result<Reply, Status> {
        let answer = self.handle.request(wish).await.map_err(|error| status::no_answer(&error))?;
        answer.map_err(|refusal| status::refused(&refusal))
    }
}

/// A node of a cluster that may be kept from giving work: then that is the reason.
fn noticed(mut node: v1::Node, notice: Option<&str>) -> v1::Node {
    if let Some(notice) = notice {
        node.set_state(v1::node::State::NotReady);
        node.reasons = vec![notice.to_owned()];
    }
    node
}

#[tonic::async_trait]
impl NodeService for Nodes {
    async fn get_node(
        &self,
        request: Request<v1::GetNodeRequest>,
    ) -> Result<Response<v1::GetNodeResponse>, Status> {
        let id = references::node(&self.handle, &request.into_inner().node).await?;
        Ok(Response::new(v1::GetNodeResponse { node: Some(self.view(id).await?) }))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let skip = page::after(QUESTION, &request.page_token)?.unwrap_or(0);
        let notice = self.handle.read_only();
        let nodes = self
            .handle
            .read(move |cluster, now| {
                let mut nodes: Vec<_> = cluster.nodes().collect();
                nodes.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
                let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                nodes
                    .into_iter()
                    .skip(skip)
                    .take(size + 1)
                    .map(|node| noticed(view::node(cluster, node, now), notice.as_deref()))
                    .collect::<Vec<_>>()
            })
            .await
            .map_err(|error| status::no_answer(&error))?;
        let more = nodes.len() > size;
        let next = skip.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        let next_page_token = if more { page::token(QUESTION, next) } else { String::new() };
        let nodes = nodes.into_iter().take(size).collect();
        Ok(Response::new(v1::ListNodesResponse { nodes, next_page_token }))
    }

    async fn drain_node(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::DrainNodeResponse>, Status> {
        let request = request.into_inner();
        let node = references::node(&self.handle, &request.node).await?;
        let deadline = convert::time::optional_duration_from_wire("deadline", request.deadline)
            .map_err(|error| status::invalid(&[error.into()]))?;
        self.wish(Wish::Drain { node, deadline }).await?;
        Ok(Response::new(v1::DrainNodeResponse { node: Some(self.view(node).await?) }))
    }

    async fn resume_node(
        &self,
        request: Request<v1::ResumeNodeRequest>,
    ) -> Result<Response<v1::ResumeNodeResponse>, Status> {
        let node = references::node(&self.handle, &request.into_inner().node).await?;
        self.wish(Wish::Resume { node }).await?;
        Ok(Response::new(v1::ResumeNodeResponse { node: Some(self.view(node).await?) }))
    }

    async fn delete_node(
        &self,
        request: Request<v1::DeleteNodeRequest>,
    ) -> Result<Response<v1::DeleteNodeResponse>, Status> {
        let request = request.into_inner();
        let node = references::node(&self.handle, &request.node).await?;
        let reply = self.wish(Wish::DeleteNode { node, declare_lost: request.declare_lost }).await?;
        let lost_attempts = match reply {
            Reply::NodeDeleted { lost } => lost,
            Reply::Submitted(_) | Reply::Done => 0,
        };
        Ok(Response::new(v1::DeleteNodeResponse { lost_attempts }))
    }
}
