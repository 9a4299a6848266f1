//! What the store holds: the records of the cluster as values, where the coordinator keeps encoded messages.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use dockmgr_core::cluster::{
    AttemptEntry, Cluster, Config, Loss, Record, Restored, StoredJob, StoredNode, StoredRequest, TaskEntry,
};
use dockmgr_core::ids::{Epoch, JobId};
use dockmgr_core::time::Now;
use dockmgr_model::store::State;

/// A stored value; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Numbers(u64),
    Job(Arc<StoredJob>),
    Chunk(Arc<Vec<TaskEntry>>),
    Node(Arc<StoredNode>),
    Request(Arc<StoredRequest>),
}

/// All of them.
pub(crate) type Records = State<Record, Value>;

/// Every record with its value.
pub(crate) fn all(records: &Records) -> impl Iterator<Item = (&Record, &Value)> {
    records.range::<Record>(Bound::Unbounded).map(|(record, (_, value))| (record, value))
}

/// One write: the value, or nothing to delete it.
pub(crate) type Write = (Record, Option<Value>);

/// Records in the order in which they are stored: keys before the jobs they made, numbers last.
pub(crate) fn in_order(dirty: &BTreeSet<Record>) -> impl Iterator<Item = &Record> {
    let rank = |record: &Record| match record {
        Record::Request(_) => 0,
        Record::Job(_) | Record::Chunk(..) | Record::Node(_) => 1,
        Record::Cluster => 2,
    };
    (0..3).flat_map(move |wanted| dirty.iter().filter(move |record| rank(record) == wanted))
}

/// The write that brings a record to the state it has in the cluster.
pub(crate) fn write(cluster: &Cluster, record: &Record) -> Write {
    let value = match record {
        Record::Cluster => Some(Value::Numbers(cluster.next_job_id())),
        Record::Job(id) => stored_job(cluster, *id).map(|job| Value::Job(Arc::new(job))),
        Record::Chunk(id, number) => {
            cluster.job(*id).map(|job| Value::Chunk(Arc::new(job.chunk(*number).map(stored_task).collect())))
        }
        Record::Node(id) => cluster.node(*id).map(|node| {
            Value::Node(Arc::new(StoredNode {
                id: *id,
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
            }))
        }),
        Record::Request(key) => cluster.request(key).map(|request| Value::Request(Arc::new(request.clone()))),
    };
    (record.clone(), value)
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
        revision: job.revision,
        tasks: Vec::new(),
    })
}

/// What of a task is stored: not its back-off, not how far a pull is.
fn stored_task(task: &TaskEntry) -> TaskEntry {
    let attempts = task
        .attempts
        .iter()
        .map(|entry| {
            let loss = entry.loss.as_deref().map(|loss| Box::new(Loss { given_up_at: None, ..loss.clone() }));
            AttemptEntry { pull: None, heard_running: None, loss, ..entry.clone() }
        })
        .collect();
    TaskEntry { attempts, retry_at: None, ..task.clone() }
}

/// A cluster made from the records, as the coordinator loads it.
pub(crate) fn restore<'a>(
    entries: impl Iterator<Item = (&'a Record, &'a Value)>,
    config: Config,
    now: Now,
    epoch: Epoch,
) -> Cluster {
    let mut restored = Restored { revision: epoch.0 << 32, ..Restored::default() };
    let mut jobs: BTreeMap<JobId, StoredJob> = BTreeMap::new();
    let mut chunks = Vec::new();
    let mut requests: Vec<(String, Arc<StoredRequest>)> = Vec::new();
    for (record, value) in entries {
        match (record, value) {
            (_, Value::Numbers(next)) => restored.next_job_id = *next,
            (_, Value::Job(job)) => drop(jobs.insert(job.id, job.as_ref().clone())),
            (Record::Chunk(id, number), Value::Chunk(tasks)) => {
                chunks.push((*id, *number, Arc::clone(tasks)));
            }
            (_, Value::Node(node)) => restored.nodes.push(node.as_ref().clone()),
            (Record::Request(key), Value::Request(request)) => {
                requests.push((key.clone(), Arc::clone(request)));
            }
            (_, Value::Chunk(_) | Value::Request(_)) => {}
        }
    }
    for (id, number, tasks) in chunks {
        match jobs.get_mut(&id) {
            Some(job) => job.tasks.extend(tasks.iter().cloned()),
            None => restored.stale.push(Record::Chunk(id, number)),
        }
    }
    for (key, request) in requests {
        if request.jobs.iter().all(|id| jobs.contains_key(id) || id.get() < restored.next_job_id) {
            restored.requests.push((key, request.as_ref().clone()));
        } else {
            restored.stale.push(Record::Request(key));
        }
    }
    restored.jobs = jobs.into_values().collect();
    Cluster::restore(config, now, restored)
}

/// The records of all jobs in words, but for what counts changes.
pub(crate) fn jobs(cluster: &Cluster) -> Vec<String> {
    let jobs = cluster
        .jobs_oldest_first(None)
        .filter_map(|job| stored_job(cluster, job.id).map(|stored| (job, stored)));
    jobs.map(|(job, stored)| {
        let tasks: Vec<TaskEntry> = job.tasks_from(0).map(|task| stored_task(&task)).collect();
        format!("{:?} {tasks:?}", StoredJob { revision: 0, ..stored })
    })
    .collect()
}
