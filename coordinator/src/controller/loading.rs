//! Loading the cluster from the store at the begin of a term.
//!
//! A group that was cut off between two of its transactions left a prefix. What that can leave is repaired here: keys whose
//! job was never stored and chunks without a job are left out, and removed by the first step. Everything else in the
//! records is believed.
//!
//! A value in etcd that does not decode was written by somebody else: the embedded store has checksums, etcd has many users.
//! It is set aside: left as it is and told, so that one record costs its job and not the cluster. Only without the numbers of
//! the cluster nothing is done, because those of jobs could be given out again.

use std::collections::{BTreeMap, BTreeSet};

use dockmgr_core::cluster::{Cluster, Config, Record, Restored, StoredJob};
use dockmgr_core::ids::JobId;
use dockmgr_core::time::Now;
use dockmgr_support::error_chain::Chain;
use futures_util::future::maybe_done;

use super::codec;
use crate::store::{self, Entry, Key, MAX_PAGE, Prefix, Revision, Store};

/// Reads all records and makes the cluster they describe; its revisions are larger than `revision`. The leadership that reads
/// began at the store's revision `since`.
///
/// # Errors
/// [`store::Error::Corrupt`] naming the key of a record that does not decode and cannot be set aside; what reading fails with.
pub(super) async fn load(
    store: &Store,
    config: Config,
    now: Now,
    since: Revision,
    revision: u64,
) -> Result<Cluster, store::Error> {
    let mut found = Found {
        restored: Restored { revision, ..Restored::default() },
        ..Found::new(store.kind() == "etcd")
    };
    each(store, since, "numbers/", |entry| found.numbers(entry)).await?;
    each(store, since, "jobs/", |entry| found.job(entry)).await?;
    each(store, since, "tasks/", |entry| found.tasks(entry)).await?;
    if let Some(last) = found.lost.last() {
        found.restored.next_job_id = found.restored.next_job_id.max(last.get() + 1);
    }
    each(store, since, "nodes/", |entry| found.node(entry)).await?;
    each(store, since, "requests/", |entry| found.request(entry)).await?;
    found.restored.jobs = found.jobs.into_values().collect();
    Ok(Cluster::restore(config, now, found.restored))
}

/// What was read so far.
struct Found {
    restored: Restored,
    jobs: BTreeMap<JobId, StoredJob>,
    /// Jobs of which a record was set aside: their numbers are taken, their other records are left alone.
    lost: BTreeSet<JobId>,
    /// Whether records of others may be among ours.
    shared: bool,
}

impl Found {
    fn new(shared: bool) -> Self {
        Self { restored: Restored::default(), jobs: BTreeMap::new(), lost: BTreeSet::new(), shared }
    }

    fn numbers(&mut self, entry: &Entry) -> Result<(), store::Error> {
        if entry.key == codec::numbers_key() {
            self.restored.next_job_id = decoded(entry, codec::decode_numbers(&entry.value))?;
        }
        Ok(())
    }

    fn job(&mut self, entry: &Entry) -> Result<(), store::Error> {
        match decoded(entry, codec::decode_job(&entry.value)) {
            Ok(job) => drop(self.jobs.insert(job.id, job)),
            Err(error) => {
                self.lost.extend(codec::job_of(entry.key.as_str()));
                self.set_aside(error)?;
            }
        }
        Ok(())
    }

    fn tasks(&mut self, entry: &Entry) -> Result<(), store::Error> {
        let id = codec::without_tasks(entry.key.as_str());
        if id.is_some_and(|id| self.lost.contains(&id)) {
            return Ok(());
        }
        let tasks = match decoded(entry, codec::decode_chunk(&entry.value)) {
            Ok(tasks) => tasks,
            Err(error) => {
                // Without these tasks the job is not what it was: what they have done would be done again.
                self.lost.extend(id.filter(|id| self.jobs.remove(id).is_some()));
                return self.set_aside(error);
            }
        };
        if let Some(job) = id.and_then(|id| self.jobs.get_mut(&id)) {
            job.tasks.extend(tasks);
        } else {
            tracing::warn!(key = %entry.key, "task states without a job are removed");
            self.restored.stale.extend(codec::chunk_of(entry.key.as_str()));
        }
        Ok(())
    }

    fn node(&mut self, entry: &Entry) -> Result<(), store::Error> {
        match decoded(entry, codec::decode_node(&entry.value)) {
            Ok(node) => self.restored.nodes.push(node),
            Err(error) => self.set_aside(error)?,
        }
        Ok(())
    }

    fn request(&mut self, entry: &Entry) -> Result<(), store::Error> {
        let suffix = entry.key.as_str().strip_prefix("requests/").unwrap_or_default();
        let request = match decoded(entry, codec::decode_request(suffix, &entry.value)) {
            Ok(request) => request,
            Err(error) => return self.set_aside(error),
        };
        // Numbers are stored after jobs: a job beyond them that does not exist was never stored. One below was forgotten.
        let next = self.restored.next_job_id;
        if request.1.jobs.iter().all(|id| self.jobs.contains_key(id) || id.get() < next) {
            self.restored.requests.push(request);
        } else {
            self.restored.stale.push(Record::Request(request.0));
        }
        Ok(())
    }

    /// Tells of a record that cannot be read, where the store may hold what is not ours.
    fn set_aside(&self, error: store::Error) -> Result<(), store::Error> {
        if !self.shared {
            return Err(error);
        }
        tracing::error!(error = %Chain(&error), "a record is set aside: restore or delete it");
        Ok(())
    }
}

/// Visits every record under a prefix, page by page; the next page is on its way while one is visited.
async fn each(
    store: &Store,
    since: Revision,
    prefix: &str,
    mut visit: impl FnMut(&Entry) -> Result<(), store::Error>,
) -> Result<(), store::Error> {
    let prefix = &Prefix::new(prefix)?;
    let list = |after: Option<Key>| async move { store.list(prefix, after.as_ref(), MAX_PAGE).await };
    let mut next = Some(Box::pin(maybe_done(list(None))));
    while let Some(mut reading) = next.take() {
        reading.as_mut().await;
        let page = reading.as_mut().take_output().expect("it was awaited a moment ago")?;
        // A page older than the leadership is a stale read, which some versions of etcd give after a pause of a member
        // although it was not asked for (etcd#20418).
        if page.revision < since {
            let source = "a page was older than this leadership".into();
            return Err(store::Error::Unavailable { action: "load the state", source });
        }
        next = page.next.map(|after| Box::pin(maybe_done(list(Some(after)))));
        if let Some(reading) = &mut next {
            // Asked once, so that it leaves now; what it answers is taken above.
            let _not_yet = futures_util::poll!(reading.as_mut());
        }
        page.entries.iter().try_for_each(&mut visit)?;
    }
    Ok(())
}

fn decoded<T>(entry: &Entry, result: Result<T, codec::Error>) -> Result<T, store::Error> {
    result.map_err(|error| store::Error::Corrupt {
        place: entry.key.to_string(),
        detail: Chain(&error).to_string(),
    })
}
