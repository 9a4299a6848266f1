//! `WorkerService`: what workers call.

use dockmgr_proto::v1::{self, worker_service_server::WorkerService};
use tonic::{Request, Response, Status, Streaming};

use super::log_upload::{Acks, UploadDesk};
use super::session::{Commands, SessionDesk};

/// Serves the workers.
#[derive(Debug)]
pub(crate) struct Workers {
    sessions: SessionDesk,
    uploads: UploadDesk,
}

impl Workers {
    /// Serves sessions and uploads.
    pub(crate) fn new(sessions: SessionDesk, uploads: UploadDesk) -> Self {
        Self { sessions, uploads }
    }
}

#[tonic::async_trait]
impl WorkerService for Workers {
    type SessionStream = Commands;
    type UploadLogsStream = Acks;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.sessions.open(request).await
    }

    async fn upload_logs(
        &self,
        request: Request<Streaming<v1::UploadLogsRequest>>,
    ) -> Result<Response<Self::UploadLogsStream>, Status> {
        self.uploads.open(request).await
    }
}
