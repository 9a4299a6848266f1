//! `JobService`: thin handlers that convert, ask the controller and convert back.

mod list;
mod submit;
mod watch;

use std::pin::Pin;
use std::time::Duration;

use dockmgr_core::cluster::{Reply, Request as Wish};
use dockmgr_core::ids::{AttemptNumber, JobId, JobUid, TaskId, TaskIndex};
use dockmgr_core::samples::Point;
use dockmgr_core::spec::{Defaults, Signal};
use dockmgr_proto::convert;
use dockmgr_proto::v1::{self, job_service_server::JobService};
use futures_util::Stream;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{references, status, view};
use crate::controller::Handle;
use crate::usage::UsageBook;

/// Longest time one `WaitJob` call blocks: shorter than what proxies between us and a client tolerate.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Serves the jobs.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    handle: Handle,
    defaults: Defaults,
    /// Where jobs are announced whose output is to be deleted.
    doomed_logs: mpsc::Sender<JobId>,
    usage: UsageBook,
}

impl Jobs {
    /// Serves the jobs of the controller behind `handle`.
    pub(crate) fn new(
        handle: Handle,
        defaults: Defaults,
        doomed_logs: mpsc::Sender<JobId>,
        usage: UsageBook,
    ) -> Self {
        Self { handle, defaults, doomed_logs, usage }
    }

    async fn wish(&self, wish: Wish) -> Result<Reply, Status> {
        let answer = self.handle.request(wish).await.map_err(|error| status::no_answer(&error))?;
        answer.map_err(|refusal| status::refused(&refusal))
    }

    async fn view(&self, id: JobId) -> Result<v1::Job, Status> {
        let found =
            self.handle.read(move |cluster, _| cluster.job(id).map(|job| view::job(cluster, job))).await;
        found.map_err(|error| status::no_answer(&error))?.ok_or_else(|| gone(id))
    }

    /// Stores a wish about one job and returns the job after it.
    async fn act(&self, id: JobId, wish: Wish) -> Result<v1::Job, Status> {
        self.wish(wish).await?;
        self.view(id).await
    }
}

#[tonic::async_trait]
impl JobService for Jobs {
    type WatchJobsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchJobsResponse, Status>> + Send>>;

    async fn create_job(
        &self,
        request: Request<v1::CreateJobRequest>,
    ) -> Result<Response<v1::CreateJobResponse>, Status> {
        submit::create(self, request).await.map(Response::new)
    }

    async fn batch_create_jobs(
        &self,
        request: Request<v1::BatchCreateJobsRequest>,
    ) -> Result<Response<v1::BatchCreateJobsResponse>, Status> {
        submit::batch(self, request).await.map(Response::new)
    }

    async fn get_job(
        &self,
        request: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::GetJobResponse>, Status> {
        let request = request.into_inner();
        let explain = request.explain;
        let seen = references::look_at_job(&self.handle, &request.job, move |cluster, job| {
            let verdicts = if explain { cluster.explain(job.id) } else { Vec::new() };
            v1::GetJobResponse {
                job: Some(view::job(cluster, job)),
                verdicts: verdicts.iter().map(view::verdict).collect(),
                failed_tasks: view::failed_tasks(job),
            }
        });
        seen.await.map(Response::new)
    }

    async fn list_jobs(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        list::jobs(&self.handle, request.into_inner()).await.map(Response::new)
    }

    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        list::tasks(&self.handle, request.into_inner()).await.map(Response::new)
    }

    async fn stop_job(
        &self,
        request: Request<v1::StopJobRequest>,
    ) -> Result<Response<v1::StopJobResponse>, Status> {
        let request = request.into_inner();
        let job = references::job(&self.handle, &request.job).await?;
        let grace = convert::time::optional_grace_from_wire("grace_period", request.grace_period)
            .map_err(|error| status::invalid(&[error.into()]))?;
        let wish = Wish::Stop {
            job,
            task: request.task_index.map(TaskIndex),
            signal: signal(&request.signal)?,
            grace,
        };
        Ok(Response::new(v1::StopJobResponse { job: Some(self.act(job, wish).await?) }))
    }

    async fn kill_job(
        &self,
        request: Request<v1::KillJobRequest>,
    ) -> Result<Response<v1::KillJobResponse>, Status> {
        let request = request.into_inner();
        let job = references::job(&self.handle, &request.job).await?;
        let wish =
            Wish::Kill { job, task: request.task_index.map(TaskIndex), signal: signal(&request.signal)? };
        Ok(Response::new(v1::KillJobResponse { job: Some(self.act(job, wish).await?) }))
    }

    async fn retry_job(
        &self,
        request: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        let request = request.into_inner();
        let job = references::job(&self.handle, &request.job).await?;
        let key = submit::retry_key(&request.request_id, job)?;
        let reply = self.wish(Wish::Retry { job, uid: new_uid(), key }).await?;
        let made = match reply {
            Reply::Submitted(jobs) => jobs.first().copied(),
            Reply::Done | Reply::NodeDeleted { .. } => None,
        };
        let made = made.ok_or_else(|| Status::internal("retry made no job"))?;
        Ok(Response::new(v1::RetryJobResponse { job: Some(self.view(made).await?) }))
    }

    async fn get_usage(
        &self,
        request: Request<v1::GetUsageRequest>,
    ) -> Result<Response<v1::GetUsageResponse>, Status> {
        let request = request.into_inner();
        let wanted = request.task_index.map(TaskIndex);
        let task = references::look_at_job(&self.handle, &request.job, move |_, job| TaskId {
            job: job.id,
            index: wanted
                .unwrap_or_else(|| job.spec.array.map_or(TaskIndex(0), |array| TaskIndex(array.first()))),
        });
        let Some((attempt, points)) = self.usage.of(task.await?, request.attempt.map(AttemptNumber)) else {
            return Ok(Response::new(v1::GetUsageResponse::default()));
        };
        let point = |point: Point| v1::UsagePoint {
            time: Some(view::time(point.at.wall)),
            cpu_millis: point.cpu_millis,
            memory_bytes: point.memory,
        };
        Ok(Response::new(v1::GetUsageResponse {
            attempt: Some(convert::ids::attempt_to_wire(attempt)),
            points: points.into_iter().map(point).collect(),
        }))
    }

    async fn wait_job(
        &self,
        request: Request<v1::WaitJobRequest>,
    ) -> Result<Response<v1::WaitJobResponse>, Status> {
        let request = request.into_inner();
        let limit = convert::time::optional_duration_from_wire("timeout", request.timeout)
            .map_err(|error| status::invalid(&[error.into()]))?
            .map_or(LONGEST_WAIT, |limit| limit.min(LONGEST_WAIT));
        let id = references::job(&self.handle, &request.job).await?;
        let job = match tokio::time::timeout(limit, watch::ended(&self.handle, id)).await {
            Ok(job) => job?,
            Err(_) => self.view(id).await?,
        };
        let done = job.state() != v1::job::State::Active;
        Ok(Response::new(v1::WaitJobResponse { job: Some(job), done }))
    }

    async fn watch_jobs(
        &self,
        request: Request<v1::WatchJobsRequest>,
    ) -> Result<Response<Self::WatchJobsStream>, Status> {
        let stream = watch::jobs(self.handle.clone(), request.into_inner()).await?;
        Ok(Response::new(Box::pin(stream)))
    }

    async fn pin_job(
        &self,
        request: Request<v1::PinJobRequest>,
    ) -> Result<Response<v1::PinJobResponse>, Status> {
        let job = references::job(&self.handle, &request.into_inner().job).await?;
        let pinned = self.act(job, Wish::Pin { job, pinned: true }).await?;
        Ok(Response::new(v1::PinJobResponse { job: Some(pinned) }))
    }

    async fn unpin_job(
        &self,
        request: Request<v1::UnpinJobRequest>,
    ) -> Result<Response<v1::UnpinJobResponse>, Status> {
        let job = references::job(&self.handle, &request.into_inner().job).await?;
        let unpinned = self.act(job, Wish::Pin { job, pinned: false }).await?;
        Ok(Response::new(v1::UnpinJobResponse { job: Some(unpinned) }))
    }

    async fn delete_job(
        &self,
        request: Request<v1::DeleteJobRequest>,
    ) -> Result<Response<v1::DeleteJobResponse>, Status> {
        let request = request.into_inner();
        let job = references::job(&self.handle, &request.job).await?;
        self.wish(Wish::Delete { job, force: request.force }).await?;
        if request.delete_logs && self.doomed_logs.send(job).await.is_err() {
            tracing::warn!(job_id = %job, "output of a deleted job is left for the next sweep");
        }
        Ok(Response::new(v1::DeleteJobResponse {}))
    }
}

fn signal(text: &str) -> Result<Option<Signal>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    Signal::parse(text).map(Some).map_err(|error| status::invalid_field("signal", error.to_string()))
}

fn new_uid() -> JobUid {
    JobUid(Uuid::now_v7())
}

fn gone(id: JobId) -> Status {
    status::not_found("JOB_NOT_FOUND", "job", &id.to_string(), &format!("no job {id}"))
}
