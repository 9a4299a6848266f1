//! Why a job waits, node by node.

use crate::ids::JobId;
use crate::scheduler::{Misfit, Shape};
use crate::spec::JobSpec;

use super::effect::Verdict;
use super::node::Node;
use super::state::Cluster;

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
        let job = self.jobs.get(&id).filter(|job| job.counts.queued > 0)?;
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

    pub(super) fn verdicts_of(&self, shape: &Shape) -> impl Iterator<Item = Verdict> + '_ {
        let shape = shape.clone();
        self.nodes.values().map(move |node| self.verdict(&shape, node))
    }

    fn verdict(&self, shape: &Shape, node: &Node) -> Verdict {
        let misfits = shape.misfits_idle(&node.host);
        let fits_ever = misfits.is_empty();
        let mut reasons: Vec<String> = misfits.iter().map(Misfit::to_string).collect();
        reasons.extend(node.reasons(self.now.boot));
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
