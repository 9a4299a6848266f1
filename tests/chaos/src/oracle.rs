//! The judge: compares what the cluster says, what users saw and what really ran.
//!
//! Owns every rule of what is a violation:
//! - every acknowledged job exists exactly once and has ended; its end never changed after a user saw it;
//! - its code is its own, unless it was stopped, lost or hidden by the infrastructure, which must be said;
//! - one attempt runs at most once; a `wait` job never runs again after it ran; other attempts that overlap are flagged;
//! - kept and followed bytes are the job's, byte by byte, or a mark says what is missing;
//! - nothing is left behind.

mod executions;
mod leaks;
mod logs;

pub(crate) use executions::{Execution, read_fake, read_marks};
pub(crate) use leaks::{Leaks, settle};

use std::collections::{BTreeMap, BTreeSet};

use dockmgr_client::Client;
use dockmgr_proto::v1;
use dockmgr_proto::v1::EndReason;

use crate::faults::Done;
use crate::job::{CAUGHT, Job, LABEL};
use crate::load::{End, Load, Sight};

/// Jobs in one page of the list.
const PAGE: i32 = 500;

/// How many attempts the infrastructure may take from a task before it has failed.
const INFRA_ATTEMPTS: usize = 4;

/// What the oracle found out.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Everything that must not be, by rule.
    pub(crate) violations: BTreeMap<&'static str, Vec<String>>,
    /// Jobs judged.
    pub(crate) jobs: usize,
    /// Attempts of all jobs.
    pub(crate) attempts: usize,
    /// Executions that really happened.
    pub(crate) executions: usize,
    /// Jobs by how they ended.
    pub(crate) ends: BTreeMap<String, u32>,
    /// Overlaps that happened and were flagged.
    pub(crate) flagged: u32,
    /// Streams whose bytes were compared.
    pub(crate) streams: usize,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Attempts with marks on their output, by mark.
    pub(crate) marks: BTreeMap<String, u32>,
}

/// The rules of the table, in its order.
pub(crate) const RULES: [&str; 8] = [
    "lost or doubled jobs",
    "run twice (wait)",
    "unflagged overlaps (retry)",
    "second starts of an attempt",
    "wrong exit codes",
    "wrong log bytes",
    "wrong answers to users",
    "leaks after 60 s",
];

impl Verdict {
    /// Notes a violation.
    pub(crate) fn blame(&mut self, rule: &'static str, what: String) {
        self.violations.entry(rule).or_default().push(what);
    }

    /// Judges all jobs of the run.
    pub(crate) async fn judge(
        &mut self,
        load: &Load,
        client: &Client,
        executions: &[Execution],
        done: &Done,
    ) -> anyhow::Result<()> {
        for what in load.seen.violations() {
            self.blame("wrong answers to users", what);
        }
        let listed = list(client).await?;
        self.executions = executions.len();
        let mut runs: BTreeMap<u64, Vec<&Execution>> = BTreeMap::new();
        for execution in executions {
            runs.entry(execution.job).or_default().push(execution);
        }
        let sights = std::mem::take(&mut *load.seen.jobs());
        self.count(&sights, &listed);
        let by_id: BTreeMap<u64, &v1::Job> = listed.iter().map(|job| (job.id, job)).collect();
        for (number, sight) in &sights {
            let Some(id) = sight.id else { continue };
            let Some(found) = by_id.get(&id) else {
                self.blame(
                    "lost or doubled jobs",
                    format!("job {number} (id {id}) was acknowledged and is gone"),
                );
                continue;
            };
            let job = Job::new(load.seed, *number, load.size);
            self.jobs += 1;
            let runs = runs.get(&id).map_or(&[][..], Vec::as_slice);
            self.end(&job, sight, found, runs, done);
            self.runs(&job, found, runs, done);
            self.logs(client, &job, sight, found).await?;
        }
        Ok(())
    }

    /// Each job of a user exists once, and none exists that nobody submitted.
    fn count(&mut self, sights: &BTreeMap<u64, Sight>, listed: &[v1::Job]) {
        let mut ids: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for job in listed {
            let number = job.spec.as_ref().and_then(|spec| spec.labels.get(LABEL)?.parse().ok());
            match number.filter(|number| sights.contains_key(number)) {
                Some(number) => ids.entry(number).or_default().push(job.id),
                None => self.blame("lost or doubled jobs", format!("nobody submitted job {}", job.id)),
            }
        }
        for (number, ids) in ids {
            if ids.len() > 1 {
                self.blame(
                    "lost or doubled jobs",
                    format!("job {number} exists {} times: {ids:?}", ids.len()),
                );
            }
        }
    }

    /// The job has ended, as it must and as it was seen to.
    fn end(&mut self, job: &Job, sight: &Sight, found: &v1::Job, runs: &[&Execution], done: &Done) {
        let number = job.number;
        let Some(end) = End::of(found) else {
            return self.blame("lost or doubled jobs", format!("job {number} never ended: {:?}", found.task));
        };
        self.attempts += end.attempts;
        let word = end.reason.as_str_name().trim_start_matches("END_REASON_").to_lowercase();
        *self.ends.entry(word).or_default() += 1;
        if let Some(seen) = &sight.end
            && *seen != end
        {
            self.blame("wrong exit codes", format!("job {number} ended as {seen:?} and now as {end:?}"));
        }
        if job.followed && !sight.follow_ended {
            self.blame(
                "wrong answers to users",
                format!("job {number}: its follower never heard of its end"),
            );
        }
        if let Err(why) = expected(job, sight, found, &end, runs, done) {
            let attempts: Vec<_> = found.task.iter().flat_map(|task| &task.attempts).collect();
            self.blame(
                "wrong exit codes",
                format!("job {number} (id {}): {why}: {end:?} {attempts:?}", found.id),
            );
        }
    }
}

/// Whether an end is one that the job may have.
fn expected(
    job: &Job,
    sight: &Sight,
    found: &v1::Job,
    end: &End,
    runs: &[&Execution],
    done: &Done,
) -> Result<(), String> {
    // The request may have arrived although its answer did not.
    let stopped = job.stop.is_some() || sight.stopped;
    let attempts: Vec<&v1::Attempt> = found.task.iter().flat_map(|task| &task.attempts).collect();
    let infra = |attempt: &&v1::Attempt| {
        matches!(attempt.end_reason(), EndReason::Lost | EndReason::InfraUnknown | EndReason::StartFailed)
    };
    let wrong = |why: &str| Err(why.to_owned());
    // Fenced with the stop signal before the kill could reach it, which is still what the person wanted.
    let fenced = attempts.last().is_some_and(|last| last.end_reason() == EndReason::Lost);
    // A signal that comes before the program meets the runtime's own first process, which ends as it likes (runc: with 2).
    let never_ran = attempts.last().is_some_and(|last| runs.iter().all(|run| run.attempt != last.number));
    match end.reason {
        EndReason::Exited if job.endless => wrong("it never ends by itself"),
        EndReason::Exited if end.code == Some(job.code) => Ok(()),
        EndReason::Exited => Err(format!("its code is {}", job.code)),
        EndReason::Stopped | EndReason::Killed if !stopped => wrong("nobody stopped it"),
        EndReason::Stopped => match end.code {
            // Its own trap, the signal, the signal after the grace; or it never started.
            Some(CAUGHT | 143 | 137) | None => Ok(()),
            Some(_) if never_ran => Ok(()),
            // It ended by itself while the signal was under way.
            Some(code) if !job.endless && code == job.code => Ok(()),
            Some(_) => wrong("no stop ends it so"),
        },
        EndReason::Killed => match end.code {
            Some(137) | None => Ok(()),
            Some(CAUGHT | 143) if fenced => Ok(()),
            Some(_) => wrong("no kill ends it so"),
        },
        // Legal when the infrastructure took all the attempts it may.
        EndReason::Lost | EndReason::InfraUnknown | EndReason::StartFailed => {
            let removed = attempts.iter().any(|attempt| done.removed.contains(&(found.id, attempt.number)));
            match job.on_lost {
                v1::OnLost::Wait if end.reason == EndReason::Lost => wrong("a job that waits is never lost"),
                // After a stop nothing is started any more.
                v1::OnLost::Retry
                    if end.reason == EndReason::Lost && attempts.len() < INFRA_ATTEMPTS && !stopped =>
                {
                    wrong("it was to be tried again")
                }
                v1::OnLost::Wait if !removed && attempts.len() < 2 => wrong("nobody took its container away"),
                _ if attempts.iter().all(infra) && !attempts.is_empty() => Ok(()),
                _ => wrong("an attempt of it had ended by itself"),
            }
        }
        _ => wrong("nothing can end it so"),
    }
}

/// All jobs of the cluster.
async fn list(client: &Client) -> anyhow::Result<Vec<v1::Job>> {
    let (mut jobs, mut token, mut known) = (Vec::new(), String::new(), BTreeSet::new());
    loop {
        let request = v1::ListJobsRequest { page_size: PAGE, page_token: token, ..Default::default() };
        let page = client.list_jobs(request).await?;
        // A page may repeat a job when the leader changed in between; a job that exists twice has two ids.
        jobs.extend(page.jobs.into_iter().filter(|job| known.insert(job.id)));
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(jobs);
        }
    }
}
