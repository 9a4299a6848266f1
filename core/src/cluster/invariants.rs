//! A full recount of everything that is kept up to date piece by piece.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{AttemptId, NodeId};
use crate::outcome::TaskState;
use crate::spec::Resources;

use super::counts::{Counts, Totals};
use super::job::Job;
use super::state::Cluster;

/// What live attempts hold, by node.
type Held = BTreeMap<NodeId, (Resources, BTreeSet<AttemptId>)>;

impl Cluster {
    /// Recounts everything; the error names the first thing that does not hold. For tests: it costs what the cluster
    /// holds.
    pub fn check_invariants(&self) -> Result<(), String> {
        let mut held = Held::new();
        let mut totals = Totals { nodes: self.nodes.len() as u64, ..Totals::default() };
        for job in self.jobs.values() {
            check_job(job).map_err(|problem| format!("job {}: {problem}", job.id))?;
            self.check_queued(job)?;
            hold(job, &mut held)?;
            totals.add_tasks(job.counts);
            *totals.jobs(job.state()) += 1;
        }
        if totals != self.totals {
            return Err(format!("totals are {:?}, counted {totals:?}", self.totals));
        }
        if self.ended.len() as u64 != totals.ended_jobs() {
            return Err("an ended job is missing from the retention index".to_owned());
        }
        if self.specs.holders() != self.jobs.len() {
            return Err(format!("{} jobs share {} specs", self.jobs.len(), self.specs.holders()));
        }
        self.check_nodes(&held)
    }

    fn check_nodes(&self, held: &Held) -> Result<(), String> {
        if let Some(node) = held.keys().find(|node| !self.nodes.contains_key(node)) {
            return Err(format!("attempts are on node {node}, which is not registered"));
        }
        let nothing = (Resources::default(), BTreeSet::new());
        for node in self.nodes.values() {
            let (used, attempts) = held.get(&node.id).unwrap_or(&nothing);
            if node.host.used != *used || node.attempts != *attempts {
                let (has, name) = (node.host.used, &node.name);
                return Err(format!(
                    "node {name} holds {has} for {:?}, counted {used} for {attempts:?}",
                    node.attempts
                ));
            }
        }
        Ok(())
    }

    fn check_queued(&self, job: &Job) -> Result<(), String> {
        let queued = self.queue.contains(job.place_in_queue());
        if queued != job.next_ready().is_some() {
            return Err(format!(
                "job {} is queued: {queued}, its next task is {:?}",
                job.id,
                job.next_ready()
            ));
        }
        if job.ended.is_some() == job.shape.is_some() {
            return Err(format!("job {} holds its shape at the wrong time", job.id));
        }
        Ok(())
    }
}

fn check_job(job: &Job) -> Result<(), String> {
    let mut counts = Counts::default();
    for task in job.tasks.values() {
        counts.add(task.state, 1);
        if task.state.is_live() != job.live.contains(&task.position) {
            return Err(format!("task at {} is {} and in the wrong set", task.position, task.state));
        }
        let waits = job.ready.contains(&task.position) || job.waiting.contains(&task.position);
        if (task.state == TaskState::Queued) != waits {
            return Err(format!("task at {} is {} and queued wrongly", task.position, task.state));
        }
        if task.state.is_terminal() != task.end_reason.is_some() {
            return Err(format!(
                "task at {} is {} with end {:?}",
                task.position, task.state, task.end_reason
            ));
        }
        let open = task.attempts.iter().filter(|attempt| attempt.end.is_none()).count();
        if open != usize::from(task.state.is_live()) {
            return Err(format!("task at {} is {} with {open} open attempts", task.position, task.state));
        }
    }
    counts.add(job.untouched_state(), job.untouched());
    if counts != job.counts || counts.total() != job.task_count() {
        return Err(format!("counts are {:?}, counted {counts:?}", job.counts));
    }
    if (counts.active() == 0) != job.ended.is_some() || job.ended.is_some() != job.outcome.is_some() {
        return Err(format!("{} tasks are active, ended {:?}", counts.active(), job.ended));
    }
    let most = job.spec.array.and_then(crate::spec::ArraySpec::max_running);
    if most.is_some_and(|most| counts.live() > most) {
        return Err(format!("{} tasks are placed, {most:?} are allowed", counts.live()));
    }
    Ok(())
}

fn hold(job: &Job, held: &mut Held) -> Result<(), String> {
    for position in &job.live {
        let Some(attempt) = job.tasks.get(position).and_then(|task| task.current()) else {
            return Err(format!("job {}: live task at {position} has no attempt", job.id));
        };
        let (used, attempts) = held.entry(attempt.node).or_default();
        *used = used.plus(job.spec.resources);
        attempts.insert(job.attempt_id(*position, attempt.number));
    }
    Ok(())
}
