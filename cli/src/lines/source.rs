//! The lines of one job that are to be shown, as its output gives them.

use std::collections::BTreeMap;

use dockmgr_client::LogFollow;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::search::{AttemptFacts, JobFacts, Line, LineSplitter, Query};
use dockmgr_core::spec::{LabelKey, LabelValue};
use dockmgr_proto::v1::tail_logs_response::Event;
use dockmgr_proto::v1::{AttemptRef, Job, LogBatch};
use dockmgr_proto::{convert, v1};

use super::Shown;
use crate::failure::Failure;
use crate::follow;

/// Most places of the query in a line that are marked.
const MOST_MARKED: usize = 64;

/// A tail whose lines are looked at.
pub(super) struct Source {
    pub(super) job: u64,
    name: String,
    labels: BTreeMap<LabelKey, LabelValue>,
    query: Query,
    tail: LogFollow,
    follows: bool,
    /// By task and attempt.
    attempts: BTreeMap<(u32, u32), Attempt>,
}

struct Attempt {
    query: Query,
    lines: LineSplitter,
}

impl Source {
    /// A tail of a job; of a forgotten one only the number is known.
    pub(super) fn new(job: &Job, query: Query, tail: LogFollow, follows: bool) -> Self {
        let spec = job.spec.as_ref();
        let label = |(key, value): (&String, &String)| {
            Some((LabelKey::parse(key).ok()?, LabelValue::parse(value).ok()?))
        };
        Self {
            job: job.id,
            name: spec.map(|spec| spec.name.clone()).unwrap_or_default(),
            labels: spec.map(|spec| spec.labels.iter().filter_map(label).collect()).unwrap_or_default(),
            query,
            tail,
            follows,
            attempts: BTreeMap::new(),
        }
    }

    /// The next lines that match, at least one; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Shown>>, Failure> {
        let mut found = Vec::new();
        while found.is_empty() {
            let Some(event) = self.tail.next().await? else {
                for ((task, _), attempt) in std::mem::take(&mut self.attempts) {
                    attempt.finish(self.job, task, &mut found);
                }
                return Ok((!found.is_empty()).then_some(found));
            };
            follow::note(&event, self.follows);
            match event {
                Event::Begin(begin) => {
                    self.attempt(begin.attempt, &begin.node_name)?;
                }
                Event::Batch(batch) => self.look(batch, &mut found)?,
                Event::End(end) => {
                    let at = end.attempt.unwrap_or_default();
                    if let Some(attempt) = self.attempts.remove(&(at.task_index, at.attempt)) {
                        attempt.finish(self.job, at.task_index, &mut found);
                    }
                }
                Event::Idle(_) | Event::JobEnd(_) => {}
            }
        }
        Ok(Some(found))
    }

    fn look(&mut self, batch: LogBatch, found: &mut Vec<Shown>) -> Result<(), Failure> {
        let (job, task) = (self.job, batch.attempt.unwrap_or_default().task_index);
        let attempt = self.attempt(batch.attempt, "")?;
        for record in batch.records {
            let record = convert::log::record_from_wire("record", record).map_err(|error| odd(&error))?;
            let Attempt { query, lines } = attempt;
            lines.push(&record, |line| found.extend(shown(query, job, task, line)));
        }
        Ok(())
    }

    fn attempt(&mut self, at: Option<AttemptRef>, node: &str) -> Result<&mut Attempt, Failure> {
        let id: AttemptId = convert::ids::attempt_from_wire("attempt", at).map_err(|error| odd(&error))?;
        let v1::AttemptRef { task_index, attempt, .. } = at.unwrap_or_default();
        let job = JobFacts { id: id.job(), name: &self.name, labels: &self.labels };
        let about = AttemptFacts { id, state: None, reason: None, node, node_id: node };
        let new = || Attempt { query: self.query.within(&job, Some(&about)), lines: LineSplitter::default() };
        Ok(self.attempts.entry((task_index, attempt)).or_insert_with(new))
    }
}

impl Attempt {
    fn finish(self, job: u64, task: u32, found: &mut Vec<Shown>) {
        let Self { query, lines } = self;
        lines.finish(|line| found.extend(shown(&query, job, task, line)));
    }
}

fn shown(query: &Query, job: u64, task: u32, line: Line<'_>) -> Option<Shown> {
    query.matches(line.stream, line.bytes).then(|| Shown {
        job,
        task,
        stream: line.stream,
        time: line.time,
        bytes: line.bytes.to_vec(),
        marked: query.ranges(line.bytes, MOST_MARKED),
    })
}

fn odd(error: &convert::Error) -> Failure {
    Failure::failed(format!("the coordinator's answer is none: {error}"))
}
