//! Loading the cluster from the store at the begin of a term.
//!
//! A group that was cut off between two of its transactions left a prefix. What that can leave is repaired here: keys whose
//! job was never stored and chunks without a job are left out, and removed by the first step. Everything else in the
//! records is believed.

use std::collections::BTreeMap;

use dockmgr_core::cluster::{Cluster, Config, Record, Restored, StoredJob};
use dockmgr_core::ids::{Epoch, JobId};
use dockmgr_core::time::Now;
use dockmgr_support::error_chain::Chain;

use super::codec;
use crate::store::{self, Entry, MAX_PAGE, Prefix, Store};

/// Reads all records and makes the cluster they describe; its revisions are larger than `revision`.
///
/// # Errors
/// [`store::Error::Corrupt`] naming the key of a record that does not decode; what reading fails with.
pub(super) async fn load(
    store: &Store,
    config: Config,
    now: Now,
    epoch: Epoch,
    revision: u64,
) -> Result<Cluster, store::Error> {
    let mut restored = Restored { revision, ..Restored::default() };
    each(store, epoch, "numbers/", |entry| {
        if entry.key == codec::numbers_key() {
            restored.next_job_id = decoded(entry, codec::decode_numbers(&entry.value))?;
        }
        Ok(())
    })
    .await?;
    let mut jobs: BTreeMap<JobId, StoredJob> = BTreeMap::new();
    each(store, epoch, "jobs/", |entry| {
        let job = decoded(entry, codec::decode_job(&entry.value))?;
        jobs.insert(job.id, job);
        Ok(())
    })
    .await?;
    each(store, epoch, "tasks/", |entry| {
        let tasks = decoded(entry, codec::decode_chunk(&entry.value))?;
        let job = codec::without_tasks(entry.key.as_str()).and_then(|id| jobs.get_mut(&id));
        if let Some(job) = job {
            job.tasks.extend(tasks);
        } else {
            tracing::warn!(key = %entry.key, "task states without a job are removed");
            restored.stale.extend(codec::chunk_of(entry.key.as_str()));
        }
        Ok(())
    })
    .await?;
    each(store, epoch, "nodes/", |entry| {
        restored.nodes.push(decoded(entry, codec::decode_node(&entry.value))?);
        Ok(())
    })
    .await?;
    each(store, epoch, "requests/", |entry| {
        let suffix = entry.key.as_str().strip_prefix("requests/").unwrap_or_default();
        let request = decoded(entry, codec::decode_request(suffix, &entry.value))?;
        // Numbers are stored after jobs: a job beyond them that does not exist was never stored. One below was forgotten.
        if request.1.jobs.iter().all(|id| jobs.contains_key(id) || id.get() < restored.next_job_id) {
            restored.requests.push(request);
        } else {
            restored.stale.push(Record::Request(request.0));
        }
        Ok(())
    })
    .await?;
    restored.jobs = jobs.into_values().collect();
    Ok(Cluster::restore(config, now, restored))
}

/// Visits every record under a prefix, page by page.
async fn each(
    store: &Store,
    epoch: Epoch,
    prefix: &str,
    mut visit: impl FnMut(&Entry) -> Result<(), store::Error>,
) -> Result<(), store::Error> {
    let prefix = Prefix::new(prefix)?;
    let mut after = None;
    loop {
        let page = store.list(&prefix, after.as_ref(), MAX_PAGE).await?;
        // On etcd an epoch is the revision at which it began to lead: an older page is a stale read, which some versions
        // give after a pause of a member although it was not asked for (etcd#20418).
        if store.kind() == "etcd" && page.revision.0 < epoch.0 {
            let source = "a page was older than this leadership".into();
            return Err(store::Error::Unavailable { action: "load the state", source });
        }
        for entry in &page.entries {
            visit(entry)?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

fn decoded<T>(entry: &Entry, result: Result<T, codec::Error>) -> Result<T, store::Error> {
    result.map_err(|error| store::Error::Corrupt {
        place: entry.key.to_string(),
        detail: Chain(&error).to_string(),
    })
}
