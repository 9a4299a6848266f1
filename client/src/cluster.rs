//! Calls of the cluster service.

use dockmgr_proto::v1;
use dockmgr_proto::v1::cluster_service_client::ClusterServiceClient;

use crate::call::Repeat;
use crate::connection::Client;
use crate::error::Error;

impl Client {
    /// Returns how the cluster stands.
    pub async fn get_overview(
        &self,
        request: v1::GetOverviewRequest,
    ) -> Result<v1::GetOverviewResponse, Error> {
        self.unary(Repeat::Harmless, request, |link, message| async move {
            ClusterServiceClient::new(link).get_overview(message).await
        })
        .await
    }
}
