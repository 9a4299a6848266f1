//! Calls of the node service.

use dockmgr_proto::v1;
use dockmgr_proto::v1::node_service_client::NodeServiceClient;

use crate::call::Repeat;
use crate::connection::{Client, Link};
use crate::error::Error;
use crate::jobs::fill;

fn service(link: Link) -> NodeServiceClient<Link> {
    NodeServiceClient::new(link).max_decoding_message_size(crate::jobs::MAX_ANSWER)
}

impl Client {
    /// Returns one node.
    pub async fn get_node(&self, request: v1::GetNodeRequest) -> Result<v1::GetNodeResponse, Error> {
        self.unary(
            Repeat::Harmless,
            request,
            |link, message| async move { service(link).get_node(message).await },
        )
        .await
    }

    /// Returns one page of nodes.
    pub async fn list_nodes(&self, request: v1::ListNodesRequest) -> Result<v1::ListNodesResponse, Error> {
        self.unary(Repeat::Harmless, request, |link, message| async move {
            service(link).list_nodes(message).await
        })
        .await
    }

    /// Gives a node no new work.
    pub async fn drain_node(
        &self,
        mut request: v1::DrainNodeRequest,
    ) -> Result<v1::DrainNodeResponse, Error> {
        fill(&mut request.request_id);
        self.unary(Repeat::Harmless, request, |link, message| async move {
            service(link).drain_node(message).await
        })
        .await
    }

    /// Gives a drained node work again.
    pub async fn resume_node(
        &self,
        mut request: v1::ResumeNodeRequest,
    ) -> Result<v1::ResumeNodeResponse, Error> {
        fill(&mut request.request_id);
        self.unary(Repeat::Harmless, request, |link, message| async move {
            service(link).resume_node(message).await
        })
        .await
    }

    /// Forgets a silent node. A try whose outcome stays open is repeated; what is gone by then counts as removed.
    pub async fn delete_node(&self, request: v1::DeleteNodeRequest) -> Result<v1::DeleteNodeResponse, Error> {
        self.unary(Repeat::Removes, request, |link, message| async move {
            service(link).delete_node(message).await
        })
        .await
    }

    /// All nodes, by name.
    pub async fn all_nodes(&self) -> Result<Vec<v1::Node>, Error> {
        let mut nodes = Vec::new();
        let mut request = v1::ListNodesRequest { page_size: 1000, page_token: String::new() };
        loop {
            let page = self.list_nodes(request.clone()).await?;
            nodes.extend(page.nodes);
            if page.next_page_token.is_empty() {
                return Ok(nodes);
            }
            request.page_token = page.next_page_token;
        }
    }
}
