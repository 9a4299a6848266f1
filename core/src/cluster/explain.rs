//! Why a job waits, node by node, and what becomes of silent nodes.

use std::time::Duration;

use crate::ids::JobId;
use crate::outcome::TaskState;
use crate::scheduler::{Misfit, Shape};
use crate::spec::{JobSpec, OnLost};
use crate::time::BootTime;

use super::effect::Verdict;
use super::job::Job;
use super::node::Node;
use super::state::Cluster;
use super::task::TaskEntry;

impl Cluster {
    /// What each node says about a spec, by node id.
    pub fn verdicts(&self, spec: &JobSpec) -> Vec<Verdict> {
        self.verdicts_of(&Shape::of(spec)).collect()
    }

    /// What each node says about the next queued task of a job; empty if nothing of it is queued.
    pub fn explain(&self, id: JobId) -> Vec<Verdict> {
        match self.jobs.get(&id) {
            Some(job) if job.counts.queued > 0 => self.verdicts(&job.spec),
            Some(_) | None => Vec::new(),
        }
    }

    /// What a job waits for whatever the nodes say, in words; `None` if it only waits for a node.
    pub fn waits_for(&self, id: JobId) -> Option<String> {
        let job = self.jobs.get(&id).filter(|job| job.ended.is_none())?;
        if job.counts.queued == 0 {
            return job.live.iter().find_map(|position| self.worker_awaited(job, job.tasks.get(position)?));
        }
        if job.is_at_limit() {
            let running = job.counts.live();
            return Some(format!("{running} of its tasks are placed, as many as the array allows at a time"));
        }
        if job.next_ready().is_some() {
            return self.nodes.is_empty().then(|| "no worker has registered yet".to_owned());
        }
        let next = job
            .waiting
            .iter()
            .filter_map(|position| job.tasks.get(position)?.retry_at)
            .min_by_key(|at| at.boot)?;
        let left = next.boot.since(self.now.boot).as_secs_f64();
        Some(format!("it is tried again in {left:.1} s"))
    }

    /// What a task waits for whose worker is silent, and how long; `None` if it is not unknown.
    pub fn worker_awaited(&self, job: &Job, task: &TaskEntry) -> Option<String> {
        let attempt = task.current().filter(|_| task.state == TaskState::Unknown)?;
        let node = self.nodes.get(&attempt.node)?;
        let (name, now) = (&node.name, self.now.boot);
        let silence = now.since(node.last_heard.unwrap_or(node.window_from)).as_secs();
        let since = match node.last_heard {
            Some(_) => format!("its worker {name} has been silent for {silence} s"),
            None => format!("its worker {name} was not heard since the coordinator started {silence} s ago"),
        };
        let by_hand = format!("`node rm --declare-lost {name}`");
        let then = match (job.spec.on_lost, self.brake, self.loss_due(node)) {
            (OnLost::Wait, _, _) | (_, _, None) => format!("it waits for it, or for {by_hand}"),
            (_, Some(census), _) => format!("{census}, so none is given up by time; {by_hand} gives it up"),
            (on_lost, None, Some(due)) => {
                let left = due.since(now).as_secs();
                let then = match on_lost {
                    OnLost::Retry | OnLost::Wait => "tried again elsewhere",
                    OnLost::Fail => "not tried again",
                };
                format!("unless it is heard, the attempt ends as lost in {left} s and is {then}")
            }
        };
        Some(format!("{since}: {then}"))
    }

    /// Why a node takes no new work, and what becomes of it while it is silent, in words; empty when it takes work.
    pub fn node_reasons(&self, node: &Node, now: BootTime) -> Vec<String> {
        let mut reasons = node.reasons(now);
        match (self.loss_due(node), self.brake) {
            (None, _) => {}
            (Some(_), Some(census)) => reasons.push(format!("not given up by time: {census}")),
            (Some(due), None) => {
                let left = due.since(now).max(Duration::from_secs(1)).as_secs();
                reasons.push(format!("given up in {left} s"));
            }
        }
        reasons
    }

    pub(super) fn verdicts_of(&self, shape: &Shape) -> impl Iterator<Item = Verdict> + '_ {
        let shape = shape.clone();
        self.nodes.values().map(move |node| self.verdict(&shape, node))
    }

    fn verdict(&self, shape: &Shape, node: &Node) -> Verdict {
        let misfits = shape.misfits_idle(&node.host);
        let fits_ever = misfits.is_empty();
        let mut reasons: Vec<String> = misfits.iter().map(Misfit::to_string).collect();
        reasons.extend(self.node_reasons(node, self.now.boot));
        reasons.extend(shape.misfit_now(&node.host).map(|misfit| misfit.to_string()));
        Verdict {
            node: node.id,
            name: node.name.to_string(),
            fits_now: shape.fits_now(&node.host),
            fits_ever,
            reason: reasons.join("; "),
        }
    }
}
