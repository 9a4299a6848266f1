//! Creating jobs: idempotency keys and their fingerprints, validation, batches.

use dockmgr_core::cluster::{Key, Reply, Request as Wish, Submission};
use dockmgr_core::ids::JobId;
use dockmgr_core::spec::{JobSpec, Violation};
use dockmgr_core::trace::{self, TraceParent};
use dockmgr_proto::convert;
use dockmgr_proto::v1;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{Jobs, new_uid, status, view};

/// Most jobs of one batch.
const MAX_BATCH: usize = 1000;
/// Longest key a person may choose, in bytes.
const MAX_KEY_BYTES: usize = 128;

/// Stores one job, or only checks it.
pub(super) async fn create(
    jobs: &Jobs,
    request: Request<v1::CreateJobRequest>,
) -> Result<v1::CreateJobResponse, Status> {
    let parent = trace_parent(&request);
    let request = request.into_inner();
    if request.validate_only {
        return forecast(jobs, request).await;
    }
    let submission = submission(jobs, request, parent).map_err(|wrong| status::invalid(&wrong))?;
    let made = store(jobs, vec![submission]).await?;
    let id = made.first().copied().ok_or_else(|| Status::internal("submit made no job"))?;
    Ok(v1::CreateJobResponse { job: Some(jobs.view(id).await?), verdicts: Vec::new() })
}

/// Stores several jobs, all or none.
pub(super) async fn batch(
    jobs: &Jobs,
    request: Request<v1::BatchCreateJobsRequest>,
) -> Result<v1::BatchCreateJobsResponse, Status> {
    let parent = trace_parent(&request);
    let request = request.into_inner();
    let count = request.requests.len();
    if count == 0 || count > MAX_BATCH {
        return Err(status::invalid_field(
            "requests",
            format!("a batch has 1 to {MAX_BATCH} jobs, this one {count}"),
        ));
    }
    let validate_only = request.requests[0].validate_only;
    if request.requests.iter().any(|one| one.validate_only != validate_only) {
        return Err(status::invalid_field("requests", "validate_only must be the same in all"));
    }
    let mut submissions = Vec::with_capacity(count);
    let mut wrong = Vec::new();
    for (at, one) in request.requests.into_iter().enumerate() {
        match submission(jobs, one, parent) {
            Ok(submission) => submissions.push(submission),
            Err(violations) => wrong.extend(violations.into_iter().map(|violation| Violation {
                field: format!("requests[{at}].{}", violation.field),
                ..violation
            })),
        }
    }
    if !wrong.is_empty() {
        return Err(status::invalid(&wrong));
    }
    if validate_only {
        let specs = submissions.into_iter().map(|submission| submission.spec);
        return Ok(v1::BatchCreateJobsResponse { jobs: specs.map(|spec| unstored(&spec)).collect() });
    }
    let made = store(jobs, submissions).await?;
    let views = jobs.handle.read(move |cluster, _| {
        made.into_iter().filter_map(|id| cluster.job(id)).map(|job| view::job(cluster, job)).collect()
    });
    Ok(v1::BatchCreateJobsResponse { jobs: views.await.map_err(|error| status::no_answer(&error))? })
}

/// The key of a retry.
pub(super) fn retry_key(request_id: &str, job: JobId) -> Result<Option<Key>, Status> {
    let fingerprint = Sha256::digest(format!("retry {job}")).into();
    key(request_id, "", fingerprint).map_err(|violation| status::invalid(&[violation]))
}

async fn store(jobs: &Jobs, submissions: Vec<Submission>) -> Result<Vec<JobId>, Status> {
    match jobs.wish(Wish::Submit(submissions)).await? {
        Reply::Submitted(made) => Ok(made),
        Reply::Done | Reply::NodeDeleted { .. } => {
            Err(Status::internal("submit was answered with something else"))
        }
    }
}

/// Checks a job and says where it could run.
async fn forecast(jobs: &Jobs, request: v1::CreateJobRequest) -> Result<v1::CreateJobResponse, Status> {
    let submission = submission(jobs, request, None).map_err(|wrong| status::invalid(&wrong))?;
    let spec = submission.spec;
    let job = Some(unstored(&spec));
    let verdicts =
        jobs.handle.read(move |cluster, _| cluster.verdicts(&spec).iter().map(view::verdict).collect());
    Ok(v1::CreateJobResponse { job, verdicts: verdicts.await.map_err(|error| status::no_answer(&error))? })
}

/// A job that is not stored: its number is 0.
fn unstored(spec: &JobSpec) -> v1::Job {
    v1::Job { spec: Some(convert::spec::to_wire(spec)), ..v1::Job::default() }
}

/// The span of the caller that the job's spans are to hang below: the header of W3C Trace Context.
fn trace_parent<T>(request: &Request<T>) -> Option<TraceParent> {
    TraceParent::parse(request.metadata().get("traceparent")?.to_str().ok()?)
}

fn submission(
    jobs: &Jobs,
    request: v1::CreateJobRequest,
    parent: Option<TraceParent>,
) -> Result<Submission, Vec<Violation>> {
    let fingerprint = request.spec.as_ref().map(v1::JobSpec::encode_to_vec).map(Sha256::digest);
    let mut spec = convert::spec::from_wire(request.spec, &jobs.defaults)?;
    // Not in the fingerprint: a call that is repeated under another span is the same call.
    if let Some(parent) = parent {
        trace::adopt(&mut spec, parent);
    }
    let fingerprint = fingerprint.map(Into::into).unwrap_or_default();
    let key = key(&request.request_id, &request.key, fingerprint).map_err(|violation| vec![violation])?;
    Ok(Submission { spec, uid: new_uid(), key })
}

/// The one key of a request: a UUID made by the client, or a text chosen by a person.
fn key(request_id: &str, chosen: &str, fingerprint: [u8; 32]) -> Result<Option<Key>, Violation> {
    let wrong = |field: &str, description: String| Violation { field: field.to_owned(), description };
    // A person's key wins: the client adds a request id of its own to every call.
    if !chosen.is_empty() {
        if chosen.len() > MAX_KEY_BYTES || chosen.contains(char::is_control) {
            return Err(wrong("key", format!("must be 1 to {MAX_KEY_BYTES} printable characters")));
        }
        return Ok(Some(Key { text: format!("key:{chosen}"), fingerprint }));
    }
    if request_id.is_empty() {
        return Ok(None);
    }
    let uuid = Uuid::try_parse(request_id).map_err(|_| wrong("request_id", "must be a UUID".to_owned()))?;
    Ok(Some(Key { text: format!("id:{uuid}"), fingerprint }))
}
