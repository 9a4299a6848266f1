//! The generated stubs with the cluster's token, for what a well-behaved client never sends.

use dockmgr_proto::v1::event_service_client::EventServiceClient;
use dockmgr_proto::v1::job_service_client::JobServiceClient;
use dockmgr_proto::v1::log_service_client::LogServiceClient;
use dockmgr_proto::v1::node_service_client::NodeServiceClient;
use dockmgr_proto::v1::worker_service_client::WorkerServiceClient;
use dockmgr_support::channel::Bearer;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::Cluster;

/// A connection that carries the token.
pub type Link = InterceptedService<Channel, Bearer>;

/// All services over one connection.
#[derive(Debug, Clone)]
pub struct Api {
    channel: Channel,
    bearer: Bearer,
}

impl Api {
    /// Connects to a cluster.
    pub async fn of(cluster: &Cluster) -> Self {
        Self::at(cluster, &cluster.server()).await.expect("the coordinator listens")
    }

    /// Connects to one coordinator of a cluster.
    pub async fn at(cluster: &Cluster, server: &str) -> Result<Self, tonic::transport::Error> {
        let channel = Endpoint::from_shared(server.to_owned())?.connect().await?;
        Ok(Self { channel, bearer: Bearer::new(Some(cluster.token())) })
    }

    /// The connection itself, without the token.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    fn link(&self) -> Link {
        InterceptedService::new(self.channel.clone(), self.bearer.clone())
    }

    /// Jobs.
    pub fn jobs(&self) -> JobServiceClient<Link> {
        JobServiceClient::new(self.link()).max_decoding_message_size(64 << 20)
    }

    /// Output.
    pub fn logs(&self) -> LogServiceClient<Link> {
        LogServiceClient::new(self.link())
    }

    /// Nodes.
    pub fn nodes(&self) -> NodeServiceClient<Link> {
        NodeServiceClient::new(self.link())
    }

    /// Events.
    pub fn events(&self) -> EventServiceClient<Link> {
        EventServiceClient::new(self.link())
    }

    /// What workers use.
    pub fn workers(&self) -> WorkerServiceClient<Link> {
        WorkerServiceClient::new(self.link())
    }
}
