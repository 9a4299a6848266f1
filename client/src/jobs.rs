//! Calls of the job service.

use dockmgr_proto::v1;
use dockmgr_proto::v1::job_service_client::JobServiceClient;
use uuid::Uuid;

use crate::call::Repeat;
use crate::connection::{Client, Link};
use crate::error::Error;

/// Largest answer that is taken: a page of jobs with large specs.
pub(crate) const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A fresh idempotency key; `UUIDv7`, so that keys sort by time.
pub fn new_request_id() -> String {
    Uuid::now_v7().to_string()
}

/// Fills an idempotency key in where the caller gave none.
pub(crate) fn fill(request_id: &mut String) {
    if request_id.is_empty() {
        *request_id = new_request_id();
    }
}

pub(crate) fn service(link: Link) -> JobServiceClient<Link> {
    JobServiceClient::new(link).max_decoding_message_size(MAX_ANSWER)
}

impl Client {
    /// Returns one job.
    pub async fn get_job(&self, request: v1::GetJobRequest) -> Result<v1::GetJobResponse, Error> {
        self.unary(
            Repeat::Harmless,
            request,
            |link, message| async move { service(link).get_job(message).await },
        )
        .await
    }

    /// Returns what an attempt used over time.
    pub async fn get_usage(&self, request: v1::GetUsageRequest) -> Result<v1::GetUsageResponse, Error> {
        self.unary(Repeat::Harmless, request, |link, message| async move {
            service(link).get_usage(message).await
        })
        .await
    }

    /// Returns one page of jobs, newest first.
    pub async fn list_jobs(&self, request: v1::ListJobsRequest) -> Result<v1::ListJobsResponse, Error> {
        self.unary(Repeat::Harmless, request, |link, message| async move {
            service(link).list_jobs(message).await
        })
        .await
    }

    /// Returns one page of the tasks of a job.
    pub async fn list_tasks(&self, request: v1::ListTasksRequest) -> Result<v1::ListTasksResponse, Error> {
        self.unary(Repeat::Harmless, request, |link, message| async move {
            service(link).list_tasks(message).await
        })
        .await
    }

    /// Blocks on the server for at most the time asked for, which must be well below the call deadline.
    pub async fn wait_job(&self, request: v1::WaitJobRequest) -> Result<v1::WaitJobResponse, Error> {
        self.unary(
            Repeat::Harmless,
            request,
            |link, message| async move { service(link).wait_job(message).await },
        )
        .await
    }

    /// Stores a job and queues it; its request id is filled in if it has none.
    pub async fn create_job(
        &self,
        mut request: v1::CreateJobRequest,
    ) -> Result<v1::CreateJobResponse, Error> {
        fill(&mut request.request_id);
        self.unary(Repeat::Harmless, request, |link, message| async move {
            service(link).create_job(message).await
        })
        .await
    }

    /// Ends a job or a task in an orderly way.
    pub async fn stop_job(&self, mut request: v1::StopJobRequest) -> Result<v1::StopJobResponse, Error> {
        fill(&mut request.request_id);
        self.unary(
            Repeat::Harmless,
            request,
            |link, message| async move { service(link).stop_job(message).await },
        )
        .await
    }

    /// Ends a job or a task at once.
    pub async fn kill_job(&self, mut request: v1::KillJobRequest) -> Result<v1::KillJobResponse, Error> {
        fill(&mut request.request_id);
        self.unary(
            Repeat::Harmless,
            request,
            |link, message| async move { service(link).kill_job(message).await },
        )
        .await
    }

    /// Makes a new job from an ended one.
    pub async fn retry_job(&self, mut request: v1::RetryJobRequest) -> Result<v1::RetryJobResponse, Error> {
        fill(&mut request.request_id);
        self.unary(Repeat::Harmless, request, |link, message| async move {
            service(link).retry_job(message).await
        })
        .await
    }

    /// Keeps a job and its output.
    pub async fn pin_job(&self, request: v1::PinJobRequest) -> Result<v1::PinJobResponse, Error> {
        self.unary(
            Repeat::Harmless,
            request,
            |link, message| async move { service(link).pin_job(message).await },
        )
        .await
    }

    /// Takes a pin back.
    pub async fn unpin_job(&self, request: v1::UnpinJobRequest) -> Result<v1::UnpinJobResponse, Error> {
        self.unary(Repeat::Harmless, request, |link, message| async move {
            service(link).unpin_job(message).await
        })
        .await
    }

    /// Forgets an ended job. A try whose outcome stays open is repeated; what is gone by then counts as removed.
    pub async fn delete_job(&self, request: v1::DeleteJobRequest) -> Result<v1::DeleteJobResponse, Error> {
        self.unary(Repeat::Removes, request, |link, message| async move {
            service(link).delete_job(message).await
        })
        .await
    }
}
