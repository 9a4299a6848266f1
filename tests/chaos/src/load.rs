//! The users: submitters with idempotency keys, followers who keep every byte, people who stop jobs.
//!
//! Owns what they do and what they saw ([`Seen`]); judges only what is wrong at once, such as a job that was acknowledged and
//! is unknown later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockmgr_client::{Client, Error};
use dockmgr_proto::v1;
use dockmgr_proto::v1::tail_logs_response::Event;
use dockmgr_support::tasks::Tasks;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::job::{Job, Size};

/// Pause before a refused call is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// What users saw of one job.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// Its number in the cluster, once acknowledged.
    pub(crate) id: Option<u64>,
    /// How it was seen to end.
    pub(crate) end: Option<End>,
    /// Whether its stop was acknowledged.
    pub(crate) stopped: bool,
    /// What a follower got, by attempt and stream.
    pub(crate) followed: BTreeMap<(u32, usize), Vec<u8>>,
    /// Whether the follower was told of the job's end.
    pub(crate) follow_ended: bool,
}

/// An end, as the cluster told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) reason: v1::EndReason,
    pub(crate) attempts: usize,
}

impl End {
    /// The end of a job; `None` while it is active.
    pub(crate) fn of(job: &v1::Job) -> Option<Self> {
        if job.state() == v1::job::State::Active {
            return None;
        }
        let attempts = job.task.as_ref().map_or(0, |task| task.attempts.len());
        Some(Self { code: job.exit_code, reason: job.end_reason(), attempts })
    }
}

/// What all users saw. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    jobs: Arc<Mutex<BTreeMap<u64, Sight>>>,
    violations: Arc<Mutex<Vec<String>>>,
}

impl Seen {
    /// What was seen of the jobs, by their number in the run.
    pub(crate) fn jobs(&self) -> MutexGuard<'_, BTreeMap<u64, Sight>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something that must not be.
    pub(crate) fn violation(&self, what: String) {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// What must not have been.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, number: u64, what: impl FnOnce(&mut Sight)) {
        what(self.jobs().entry(number).or_default());
    }
}

/// The users of a run.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) clients: Vec<Client>,
    pub(crate) seen: Seen,
    pub(crate) seed: u64,
    pub(crate) size: Size,
    /// Jobs a second.
    pub(crate) rate: f64,
    /// Most jobs under way.
    pub(crate) most: usize,
    pub(crate) image: String,
    pub(crate) mounts: Vec<v1::Mount>,
    /// Makes the text in front of a script.
    pub(crate) prefix: fn(u64) -> String,
}

impl Load {
    /// Submits until `stop` is cancelled; the users of unended jobs go on in `tasks`.
    pub(crate) async fn run(self, tasks: Tasks, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(self.most));
        let mut next = Instant::now();
        for number in 0.. {
            let permit = tokio::select! {
                // No more jobs.
                () = stop.cancelled() => return,
                // Room for one more, at the pace.
                permit = async {
                    tokio::time::sleep_until(next).await;
                    Arc::clone(&room).acquire_owned().await
                } => permit,
            };
            next = Instant::now() + Duration::from_secs_f64(1.0 / self.rate);
            let (load, own) = (self.clone(), tasks.clone());
            tasks.spawn("user", async move {
                load.user(Job::new(load.seed, number, load.size), &own).await;
                drop(permit);
            });
        }
    }

    /// One job from its submit to its end.
    async fn user(&self, job: Job, tasks: &Tasks) {
        self.seen.note(job.number, |_| {});
        let client = self.client(job.number);
        let Some(id) = self.submit(&client, &job).await else { return };
        self.seen.note(job.number, |sight| sight.id = Some(id));
        let others = [
            job.followed.then(|| {
                let (load, job, client) = (self.clone(), job.clone(), self.client(job.number + 1));
                tasks.spawn("follower", async move { load.follow(&client, &job, id).await })
            }),
            job.stop.map(|(after, kill)| {
                let (load, job, client) = (self.clone(), job.clone(), self.client(job.number + 2));
                tasks.spawn("stopper", async move {
                    tokio::time::sleep(after).await;
                    load.stop(&client, &job, id, kill).await;
                })
            }),
        ];
        self.wait(&client, &job, id).await;
        for other in others.into_iter().flatten() {
            if other.await.is_err() {
                self.seen.violation(format!("job {}: a user panicked", job.number));
            }
        }
    }

    async fn submit(&self, client: &Client, job: &Job) -> Option<u64> {
        let spec = job.spec(&self.image, &(self.prefix)(job.number), &self.mounts);
        let request = v1::CreateJobRequest {
            spec: Some(spec),
            // One key for all tries: a second job would be found by the oracle.
            request_id: dockmgr_client::new_request_id(),
            ..v1::CreateJobRequest::default()
        };
        loop {
            match client.create_job(request.clone()).await {
                Ok(answer) => return answer.job.map(|job| job.id),
                Err(error) if may_pass(&error) => tokio::time::sleep(AGAIN).await,
                Err(error) => {
                    self.seen.violation(format!("job {}: the submit was refused: {error}", job.number));
                    return None;
                }
            }
        }
    }

    async fn stop(&self, client: &Client, job: &Job, id: u64, kill: bool) {
        let (name, request_id) = (id.to_string(), dockmgr_client::new_request_id());
        loop {
            let asked = if kill {
                let request = v1::KillJobRequest {
                    job: name.clone(),
                    request_id: request_id.clone(),
                    ..Default::default()
                };
                client.kill_job(request).await.map(drop)
            } else {
                let request = v1::StopJobRequest {
                    job: name.clone(),
                    request_id: request_id.clone(),
                    ..Default::default()
                };
                client.stop_job(request).await.map(drop)
            };
            match asked {
                Ok(()) => return self.seen.note(job.number, |sight| sight.stopped = true),
                Err(error) if may_pass(&error) => tokio::time::sleep(AGAIN).await,
                Err(error) => {
                    return self.seen.violation(format!("job {}: the stop was refused: {error}", job.number));
                }
            }
        }
    }

    async fn wait(&self, client: &Client, job: &Job, id: u64) {
        loop {
            match client.wait_until_ended(&id.to_string(), None).await {
                Ok(Some(ended)) => return self.seen.note(job.number, |sight| sight.end = End::of(&ended)),
                Ok(None) => {}
                Err(error) if may_pass(&error) => tokio::time::sleep(AGAIN).await,
                Err(error) => {
                    return self
                        .seen
                        .violation(format!("job {} (id {id}) was acknowledged: {error}", job.number));
                }
            }
        }
    }

    async fn follow(&self, client: &Client, job: &Job, id: u64) {
        let request = v1::TailLogsRequest { job: id.to_string(), follow: true, ..Default::default() };
        let mut follow = client.tail_logs(request);
        loop {
            match follow.next().await {
                Ok(Some(Event::Batch(batch))) => self.take(job, &batch),
                Ok(Some(Event::JobEnd(_))) => {
                    return self.seen.note(job.number, |sight| sight.follow_ended = true);
                }
                Ok(Some(Event::Begin(_) | Event::End(_) | Event::Idle(_))) => {}
                Ok(None) => {
                    return self.seen.violation(format!("job {}: a follow ended before the job", job.number));
                }
                Err(error) if may_pass(&error) => tokio::time::sleep(AGAIN).await,
                Err(error) => {
                    return self.seen.violation(format!("job {}: a follow broke: {error}", job.number));
                }
            }
        }
    }

    /// Keeps what a follower got; each record must continue the one before.
    fn take(&self, job: &Job, batch: &v1::LogBatch) {
        let attempt = batch.attempt.as_ref().map_or(0, |attempt| attempt.attempt);
        for record in &batch.records {
            let stream = usize::from(record.stream() == v1::LogStream::Stderr);
            let mut expected = 0;
            self.seen.note(job.number, |sight| {
                let bytes = sight.followed.entry((attempt, stream)).or_default();
                expected = bytes.len() as u64;
                bytes.extend_from_slice(&record.data);
            });
            if expected != record.offset {
                let offset = record.offset;
                self.seen.violation(format!(
                    "job {} attempt {attempt} stream {stream}: live output went on at {offset} instead of {expected}",
                    job.number
                ));
            }
        }
    }

    fn client(&self, number: u64) -> Client {
        let count = self.clients.len() as u64;
        self.clients[usize::try_from(number % count).unwrap_or(0)].clone()
    }
}

/// Whether the same call may succeed later.
pub(crate) fn may_pass(error: &Error) -> bool {
    let passes = |code: i32| PASSING.contains(&code);
    error.is_retryable()
        || matches!(error, Error::Deadline { .. } | Error::NotGrpc { .. })
        || error.code().is_some_and(|code| passes(code as i32))
}

/// gRPC's numbers of the codes that pass: cancelled, deadline exceeded, resource exhausted, aborted, unavailable.
const PASSING: [i32; 5] = [1, 4, 8, 10, 14];
