//! `LogService`: reading the kept and the live output of jobs.
//!
//! Owns conversion and statuses; which output follows which is `logs::Tail`'s.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dockmgr_core::ids::{AttemptId, AttemptNumber, JobId, TaskIndex};
use dockmgr_core::log::{Entry, Offsets, Progress, ResumeToken, Stream as LogStream};
use dockmgr_proto::convert;
use dockmgr_proto::v1::{self, log_service_server::LogService, tail_logs_response::Event};
use dockmgr_support::error_chain::Chain;
use futures_util::Stream;
use prometheus_client::metrics::counter::Counter;
use tonic::{Code, Request, Response, Status};

use super::log_source::{Kept, Source};
use super::search::{SearchDesk, Steps};
use super::{references, status, view};
use crate::controller::{self, Handle};
use crate::logs::{self, LogStore, Step, Tail, TailError, Wanted};

/// Most bytes of one range.
const RANGE: u32 = 512 * 1024;
/// Longest resume token that is read: a window of tasks and a thousand ranges of finished ones fit.
const MAX_TOKEN: usize = 64 * 1024;

/// Serves output.
#[derive(Debug)]
pub(crate) struct Logs {
    handle: Handle,
    store: LogStore,
    search: SearchDesk,
    read: Counter,
}

impl Logs {
    /// Serves what `store` keeps of the jobs `handle` knows; `read` counts the bytes.
    pub(crate) fn new(handle: Handle, store: LogStore, read: Counter) -> Self {
        let search = SearchDesk::new(handle.clone(), store.clone());
        Self { handle, store, search, read }
    }
}

#[tonic::async_trait]
impl LogService for Logs {
    type TailLogsStream = Pin<Box<dyn Stream<Item = Result<v1::TailLogsResponse, Status>> + Send>>;

    async fn tail_logs(
        &self,
        request: Request<v1::TailLogsRequest>,
    ) -> Result<Response<Self::TailLogsStream>, Status> {
        let request = request.into_inner();
        let (job, source) = self.source(&request.job).await?;
        check_kept(&self.handle, job).await?;
        let token = token(job, &request.resume_token)?;
        let wanted = wanted(job, &request)?;
        if let Source::Cluster(_) = source {
            self.check_wanted(&wanted).await?;
        }
        let tail = Tail::new(source, self.store.clone(), wanted, token);
        let tail = tail.map_err(|error| status::no_answer(&error))?;
        let (handle, read) = (self.handle.clone(), self.read.clone());
        let from = (tail, handle, read);
        let steps = futures_util::stream::try_unfold(from, move |(mut tail, handle, read)| async move {
            let next = match tail.next().await {
                Ok(next) => next,
                Err(error) => return Err(broken(&handle, job, &error).await),
            };
            if let None | Some((Step::Idle | Step::JobEnd, _)) = next {
                // Attempts that were opened after a deletion read as if they had written nothing.
                check_kept(&handle, job).await?;
            }
            let Some((step, token)) = next else { return Ok(None) };
            if let Step::Records(_, records) = &step {
                read.inc_by(records.iter().map(|record| record.bytes.len() as u64).sum());
            }
            let event = event(&handle, job, step).await?;
            let response = v1::TailLogsResponse { resume_token: token.to_string(), event: Some(event) };
            Ok(Some((response, (tail, handle, read))))
        });
        Ok(Response::new(Box::pin(steps)))
    }

    async fn get_logs(
        &self,
        request: Request<v1::GetLogsRequest>,
    ) -> Result<Response<v1::GetLogsResponse>, Status> {
        let request = request.into_inner();
        let invalid = |error: convert::Error| status::invalid(&[error.into()]);
        let attempt = convert::ids::attempt_from_wire("attempt", request.attempt).map_err(invalid)?;
        let stream = convert::log::stream_from_wire("stream", request.stream).map_err(invalid)?;
        let most = match request.max_bytes {
            0 => RANGE,
            asked => asked.min(RANGE),
        };
        self.check_known(attempt).await?;
        let read = self.range(attempt, stream, request.offset, most as usize).await;
        // After the read: what was deleted meanwhile must not read as empty.
        check_kept(&self.handle, attempt.job()).await?;
        let (kept, data) = read.map_err(|error| unreadable(&error))?;
        self.read.inc_by(data.len() as u64);
        Ok(Response::new(v1::GetLogsResponse {
            data,
            available_bytes: kept.offsets.of(stream),
            end: kept.end.as_ref().map(convert::log::end_to_wire),
        }))
    }

    type SearchLogsStream = Steps;

    async fn search_logs(&self, request: Request<v1::SearchLogsRequest>) -> Result<Response<Steps>, Status> {
        self.search.open(request.get_ref()).await.map(Response::new)
    }
}

impl Logs {
    /// The job a client means. One that the cluster has forgotten is found by its number while its output is kept.
    async fn source(&self, text: &str) -> Result<(JobId, Source), Status> {
        let unknown = match references::job(&self.handle, text).await {
            Ok(job) => return Ok((job, Source::Cluster(self.handle.clone()))),
            Err(unknown) if unknown.code() == Code::NotFound => unknown,
            Err(error) => return Err(error),
        };
        let Ok(job) = text.parse::<JobId>() else { return Err(unknown) };
        let kept = Kept::find(&self.store, job).await.map_err(|error| unreadable(&error))?;
        kept.map(|kept| (job, Source::Kept(Arc::new(kept)))).ok_or(unknown)
    }

    /// Refuses a task the job does not have, and, from a reader who does not wait for it, an attempt there was not.
    async fn check_wanted(&self, wanted: &Wanted) -> Result<(), Status> {
        let (job, index, attempt, follow) = (wanted.job, wanted.task, wanted.attempt, wanted.follow);
        let known = self.handle.read(move |cluster, _| {
            let job = cluster.job(job)?;
            let index = index.or_else(|| job.spec.array.is_none().then_some(TaskIndex(0)));
            let Some(index) = index else { return Some(()) };
            let task = job.task(job.indices.position_of(index)?)?;
            (follow || attempt.is_none_or(|attempt| attempt.0 <= task.last_attempt)).then_some(())
        });
        if known.await.map_err(|error| status::no_answer(&error))?.is_some() {
            return Ok(());
        }
        let index = index.unwrap_or_default();
        let name =
            attempt.map_or_else(|| format!("{job}.{index}"), |attempt| format!("{job}.{index}.{attempt}"));
        Err(status::not_found("ATTEMPT_NOT_FOUND", "attempt", &name, &format!("job {job} has no {name}")))
    }

    /// Refuses an attempt that neither the cluster nor the disk knows.
    async fn check_known(&self, attempt: AttemptId) -> Result<(), Status> {
        let known = self.handle.read(move |cluster, _| {
            let job = cluster.job(attempt.job())?;
            let task = job.task(job.indices.position_of(attempt.task.index)?)?;
            (attempt.number.0 <= task.last_attempt).then_some(())
        });
        if known.await.map_err(|error| status::no_answer(&error))?.is_some() {
            return Ok(());
        }
        let kept = self.store.attempts_of(attempt.job()).await.map_err(|error| unreadable(&error))?;
        if kept.contains(&attempt) {
            return Ok(());
        }
        let text = format!("no attempt {attempt}");
        Err(status::not_found("ATTEMPT_NOT_FOUND", "attempt", &attempt.to_string(), &text))
    }

    /// A piece of one stream, and what of the attempt is kept.
    async fn range(
        &self,
        attempt: AttemptId,
        stream: LogStream,
        offset: u64,
        most: usize,
    ) -> Result<(Progress, Bytes), logs::Error> {
        let kept = self.store.log(attempt).await?.progress();
        let mut from = Offsets { stdout: u64::MAX, stderr: u64::MAX };
        from.set(stream, offset);
        let mut reader = self.store.reader(attempt, from).await?;
        let mut data = BytesMut::new();
        while data.len() < most {
            let entries = reader.read().await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                if let Entry::Data(record) = entry {
                    let take = record.bytes.len().min(most - data.len());
                    data.extend_from_slice(&record.bytes[..take]);
                }
            }
        }
        Ok((kept, data.freeze()))
    }
}

/// Refuses a job whose output was deleted while the job is still known, and says when and why.
async fn check_kept(handle: &Handle, job: JobId) -> Result<(), Status> {
    let deleted = handle.read(move |cluster, _| cluster.job(job)?.output_deleted);
    match deleted.await.map_err(|error| status::no_answer(&error))? {
        None => Ok(()),
        Some((at, reason)) => Err(status::output_deleted(job, at, reason)),
    }
}

fn wanted(job: JobId, request: &v1::TailLogsRequest) -> Result<Wanted, Status> {
    let invalid = |error: convert::Error| status::invalid(&[error.into()]);
    if request.attempt == Some(0) {
        return Err(status::invalid_field("attempt", "attempts are numbered from 1"));
    }
    Ok(Wanted {
        job,
        task: request.task_index.map(TaskIndex),
        attempt: request.attempt.map(AttemptNumber),
        follow: request.follow,
        last_lines: request.tail_lines.map(u64::from),
        since: convert::time::optional_wall_from_wire("since_time", request.since_time).map_err(invalid)?,
        until: convert::time::optional_wall_from_wire("until_time", request.until_time).map_err(invalid)?,
        only: convert::log::optional_stream_from_wire("stream", request.stream).map_err(invalid)?,
    })
}

fn token(job: JobId, text: &str) -> Result<Option<ResumeToken>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let token: Option<ResumeToken> = if text.len() > MAX_TOKEN { None } else { text.parse().ok() };
    match token {
        Some(token) if token.job == job => Ok(Some(token)),
        Some(_) | None => Err(status::invalid_field("resume_token", "is no resume token of this job")),
    }
}

async fn event(handle: &Handle, job: JobId, step: Step) -> Result<Event, Status> {
    let attempt = |id| Some(convert::ids::attempt_to_wire(id));
    Ok(match step {
        Step::Begin(id, node_name) => Event::Begin(v1::LogAttemptBegin { attempt: attempt(id), node_name }),
        Step::Records(id, records) => Event::Batch(v1::LogBatch {
            attempt: attempt(id),
            records: records.iter().map(convert::log::record_to_wire).collect(),
        }),
        Step::End(id, end) => {
            Event::End(v1::LogAttemptEnd { attempt: attempt(id), end: Some(convert::log::end_to_wire(&end)) })
        }
        Step::Idle => Event::Idle(v1::LogIdle {}),
        Step::JobEnd => {
            let found =
                handle.read(move |cluster, _| cluster.job(job).map(|job| view::job(cluster, job))).await;
            let found = found.map_err(|error| status::no_answer(&error))?;
            // A forgotten job has no record any more; its output still has an end.
            Event::JobEnd(v1::LogJobEnd { job: found })
        }
    })
}

async fn broken(handle: &Handle, job: JobId, error: &TailError<controller::Error>) -> Status {
    match error {
        TailError::Directory(error) => status::no_answer(error),
        TailError::Store(logs::Error::Deleted) | TailError::NoSuchJob => {
            check_kept(handle, job).await.err().unwrap_or_else(|| gone(job))
        }
        TailError::Store(error) => unreadable(error),
    }
}

fn gone(job: JobId) -> Status {
    status::not_found("JOB_NOT_FOUND", "job", &job.to_string(), &format!("job {job} was deleted"))
}

/// Output that cannot be read; the cause is logged, not sent.
pub(super) fn unreadable(error: &logs::Error) -> Status {
    tracing::warn!(error = %Chain(error), "output could not be read");
    if error.is_retryable() {
        Status::unavailable("the output cannot be read right now")
    } else {
        Status::data_loss("the output is damaged on the coordinator's disk")
    }
}
