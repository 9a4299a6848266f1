//! A store in memory that keeps what a cluster marks as dirty, and says whether it tells the same story.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{
    AttemptEntry, Cluster, Config, Loss, Record, Restored, StoredJob, StoredNode, StoredRequest, TaskEntry,
};
use crate::ids::{JobId, NodeId};
use crate::outcome::TaskState;
use crate::time::Now;

#[derive(Default, Clone)]
pub(super) struct Records {
    next_job_id: u64,
    jobs: BTreeMap<JobId, StoredJob>,
    chunks: BTreeMap<(JobId, u32), Vec<TaskEntry>>,
    nodes: BTreeMap<NodeId, StoredNode>,
    requests: BTreeMap<String, StoredRequest>,
}

impl Records {
    /// Stores the records a step marked.
    pub(super) fn commit<'a>(&mut self, cluster: &Cluster, dirty: impl IntoIterator<Item = &'a Record>) {
        for record in dirty {
            match record {
                Record::Cluster => self.next_job_id = cluster.next_job_id(),
                Record::Job(id) => put(&mut self.jobs, *id, stored_job(cluster, *id)),
                Record::Chunk(id, number) => {
                    let tasks = cluster.job(*id).map(|job| job.chunk(*number).map(as_stored).collect());
                    put(&mut self.chunks, (*id, *number), tasks);
                }
                Record::Node(id) => put(&mut self.nodes, *id, stored_node(cluster, *id)),
                Record::Request(key) => {
                    put(&mut self.requests, key.clone(), cluster.request(key).cloned());
                }
            }
        }
    }

    /// As if the last transaction of the first group had been cut off.
    pub(super) fn forget_numbers(&mut self) {
        self.next_job_id = 0;
    }

    /// A cluster made from the records.
    pub(super) fn restore(&self, config: Config, now: Now) -> Cluster {
        let mut jobs = self.jobs.clone();
        for ((id, _), tasks) in &self.chunks {
            jobs.get_mut(id).expect("a chunk without its job").tasks.extend(tasks.iter().cloned());
        }
        let restored = Restored {
            next_job_id: self.next_job_id,
            revision: 1 << 32,
            jobs: jobs.into_values().collect(),
            stale: Vec::new(),
            nodes: self.nodes.values().cloned().collect(),
            requests: self.requests.clone().into_iter().collect(),
        };
        Cluster::restore(config, now, restored)
    }

    /// Fails unless a restart now would lose nothing that matters.
    pub(super) fn assert_tell_the_story_of(&self, cluster: &Cluster) {
        let restored = self.restore(cluster.config.clone(), cluster.now);
        restored.check_invariants().expect("a restored cluster is sound");
        assert_eq!(restored.next_job_id(), cluster.next_job_id());
        assert_eq!(restored.requests, cluster.requests);
        assert_eq!(durable_jobs(&restored), durable_jobs(cluster));
        let nodes = |cluster: &Cluster| -> Vec<_> {
            cluster.nodes().map(|node| (stored_node(cluster, node.id), node.host.used)).collect()
        };
        assert_eq!(nodes(&restored), nodes(cluster));
    }
}

/// A task without what is only known to one process.
fn as_stored(task: &TaskEntry) -> TaskEntry {
    let attempts = task.attempts.iter().map(|attempt| AttemptEntry {
        heard_running: None,
        loss: attempt.loss.clone().map(|loss| Box::new(Loss { given_up_at: None, ..*loss })),
        ..attempt.clone()
    });
    TaskEntry { attempts: attempts.collect(), ..task.clone() }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    if let Some(value) = value {
        map.insert(key, value);
    } else {
        map.remove(&key);
    }
}

fn stored_job(cluster: &Cluster, id: JobId) -> Option<StoredJob> {
    cluster.job(id).map(|job| StoredJob {
        id,
        uid: job.uid,
        spec: Arc::clone(&job.spec),
        created: job.created,
        started: job.started,
        ended: job.ended,
        retry_of: job.retry_of,
        stop: job.stop,
        rest: job.rest,
        pinned_digest: job.pinned_digest.clone(),
        overlap_possible: job.overlap_possible,
        pinned: job.pinned,
        output_deleted: job.output_deleted,
        indices: job.indices.clone(),
        revision: 0,
        tasks: Vec::new(),
    })
}

fn stored_node(cluster: &Cluster, id: NodeId) -> Option<StoredNode> {
    cluster.node(id).map(|node| StoredNode {
        id,
        incarnation: node.incarnation,
        name: Arc::clone(&node.name),
        labels: node.host.labels.clone(),
        capacity: node.host.capacity,
        allowed_mounts: node.host.allowed_mounts.clone(),
        draining: node.drain.is_some(),
        drain_left: node.drain.and_then(|drain| drain.left),
        given_up: node.given_up,
        registered: node.registered,
        worker_version: node.worker_version.clone(),
        runtime_version: node.runtime_version.clone(),
        boot_id: node.boot_id.clone(),
    })
}

/// What of the jobs must survive: everything but how far a live attempt had come, which its worker tells again.
fn durable_jobs(cluster: &Cluster) -> Vec<(StoredJob, String)> {
    cluster
        .jobs_oldest_first(None)
        .map(|job| {
            let mut stored = stored_job(cluster, job.id).expect("it is there");
            stored.tasks = job.tasks.values().map(durable_task).collect();
            (stored, format!("{:?}", job.outcome))
        })
        .collect()
}

fn durable_task(task: &TaskEntry) -> TaskEntry {
    let message = if task.state.is_live() { String::new() } else { task.message.clone() };
    TaskEntry {
        state: durable_state(task.state),
        attempts: task.attempts.iter().map(durable_attempt).collect(),
        retry_at: None,
        message,
        ..task.clone()
    }
}

fn durable_attempt(attempt: &AttemptEntry) -> AttemptEntry {
    let live = attempt.end.is_none();
    AttemptEntry {
        state: durable_state(attempt.state),
        pull: None,
        report_sequence: attempt.report_sequence.min(1),
        heard_running: None,
        loss: attempt.loss.clone().map(|loss| Box::new(Loss { given_up_at: None, ..*loss })),
        image_digest: attempt.image_digest.clone().filter(|_| !live),
        ..attempt.clone()
    }
}

fn durable_state(state: TaskState) -> TaskState {
    if state.is_live() && state != TaskState::Unknown { TaskState::Placed } else { state }
}
