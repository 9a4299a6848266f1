//! Lists of jobs and tasks, in pages.

use dockmgr_core::cluster::{Cluster, Job};
use dockmgr_core::filter::{Filter, Subject};
use dockmgr_core::ids::JobId;
use dockmgr_proto::convert;
use dockmgr_proto::v1;
use tonic::Status;

use super::super::{page, references, status, times, view};
use crate::controller::Handle;

/// Most jobs looked at for one page: a filter that matches little must not hold the controller for long. A page may so
/// be short, or even empty, and still have a next one.
const MAX_LOOKED_AT: usize = 20_000;

/// A page of jobs.
pub(super) async fn jobs(
    handle: &Handle,
    request: v1::ListJobsRequest,
) -> Result<v1::ListJobsResponse, Status> {
    let size = page::size(request.page_size)?;
    let ascending = match request.order_by.trim() {
        "" | "id desc" => false,
        "id" | "id asc" => true,
        _ => return Err(status::invalid_field("order_by", "orders are 'id desc' and 'id asc'")),
    };
    let filter = filter(&request.filter)?;
    let question = format!("jobs {ascending} {}", request.filter);
    let after = match page::after(&question, &request.page_token)? {
        None => None,
        Some(number) => {
            Some(JobId::new(number).ok_or_else(|| status::invalid_field("page_token", "is forged"))?)
        }
    };
    let found = handle.read(move |cluster, _| {
        let (jobs, last) = if ascending {
            select(cluster, cluster.jobs_oldest_first(after), &filter, size)
        } else {
            select(cluster, cluster.jobs_newest_first(after), &filter, size)
        };
        (jobs, last, cluster.revision())
    });
    let (jobs, last, revision) = found.await.map_err(|error| status::no_answer(&error))?;
    let next_page_token = last.map(|id| page::token(&question, id.get())).unwrap_or_default();
    Ok(v1::ListJobsResponse { jobs, next_page_token, revision })
}

/// The first jobs that match, and the last one looked at if there may be more.
fn select<'a>(
    cluster: &'a Cluster,
    jobs: impl Iterator<Item = &'a Job>,
    filter: &Filter,
    size: usize,
) -> (Vec<v1::Job>, Option<JobId>) {
    let mut found = Vec::new();
    let mut last = None;
    for (looked_at, job) in jobs.enumerate() {
        if found.len() == size || looked_at == MAX_LOOKED_AT {
            return (found, last);
        }
        last = Some(job.id);
        if filter.matches(subject(job)) {
            found.push(view::job(cluster, job));
        }
    }
    (found, None)
}

/// A page of tasks.
pub(super) async fn tasks(
    handle: &Handle,
    request: v1::ListTasksRequest,
) -> Result<v1::ListTasksResponse, Status> {
    let size = page::size(request.page_size)?;
    let states = request
        .states
        .iter()
        .map(|state| convert::outcome::task_state_from_wire("states", *state))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| status::invalid(&[error.into()]))?;
    let question = format!("tasks {} {:?}", request.job, request.states);
    let after = page::after(&question, &request.page_token)?;
    let id = references::job(handle, &request.job).await?;
    let from = after.map_or(0, |after| u32::try_from(after).unwrap_or(u32::MAX).saturating_add(1));
    let found = handle.read(move |cluster, _| {
        let job = cluster.job(id)?;
        let mut tasks = Vec::new();
        let mut last = None;
        for (looked_at, task) in job.tasks_from(from).enumerate() {
            if tasks.len() == size || looked_at == MAX_LOOKED_AT {
                return Some((tasks, last));
            }
            last = Some(task.position);
            if states.is_empty() || states.contains(&task.state) {
                tasks.push(view::task(cluster, job, &task));
            }
        }
        Some((tasks, None))
    });
    let found = found.await.map_err(|error| status::no_answer(&error))?;
    let (tasks, last) = found.ok_or_else(|| super::gone(id))?;
    let next_page_token = last.map(|position| page::token(&question, position.into())).unwrap_or_default();
    Ok(v1::ListTasksResponse { tasks, next_page_token })
}

/// Parses a filter.
pub(super) fn filter(text: &str) -> Result<Filter, Status> {
    Filter::parse(text, times::rfc3339).map_err(|error| status::invalid_field("filter", error.to_string()))
}

/// What a filter sees of a job.
pub(super) fn subject(job: &Job) -> Subject<'_> {
    Subject {
        id: job.id.get(),
        name: job.spec.name.as_ref().map_or("", |name| name.as_str()),
        state: job.state(),
        labels: &job.spec.labels,
        created: job.created,
    }
}
