//! The cursor of an exporter in the state store: `exports/NAME/done` and `exports/NAME/jobs/JOB`.

use dockmgr_core::export::{Change, Cursor};
use dockmgr_core::ids::{Epoch, JobId};

use super::Error;
use crate::controller::commit_in_parts;
use crate::store::{Key, MAX_PAGE, Prefix, Store, Write};

/// Where one exporter's cursor is kept.
#[derive(Debug, Clone)]
pub(super) struct Places {
    store: Store,
    name: String,
}

impl Places {
    /// The place of the exporter `name` in `store`.
    pub(super) fn new(store: Store, name: &str) -> Self {
        Self { store, name: name.to_owned() }
    }

    /// Reads the cursor; that of a new exporter is at the begin of everything.
    pub(super) async fn load(&self) -> Result<Cursor, Error> {
        let done = self.store.get(&self.done()?).await?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let done = done.map(|entry| text(&entry.value));
        let prefix = Prefix::new(&format!("exports/{}/jobs/", self.name))?;
        let (mut places, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list(&prefix, after.as_ref(), MAX_PAGE).await?;
            places.extend(page.entries.iter().map(|entry| text(&entry.value)));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(Cursor::restore(done.as_deref(), places.iter().map(String::as_str))?)
    }

    /// Stores what changed, while `epoch` leads. Repeating it after a failure is harmless.
    pub(super) async fn store(&self, epoch: Epoch, changes: &[Change]) -> Result<(), Error> {
        let writes: Result<Vec<Write>, Error> = changes.iter().map(|change| self.write(change)).collect();
        Ok(commit_in_parts(self.store.clone(), epoch, writes?).await?)
    }

    fn write(&self, change: &Change) -> Result<Write, Error> {
        Ok(match change {
            Change::Done(text) => Write::put(self.done()?, text.clone()),
            Change::Place(job, text) => Write::put(self.job(*job)?, text.clone()),
            Change::Remove(job) => Write::delete(self.job(*job)?),
        })
    }

    fn done(&self) -> Result<Key, Error> {
        Ok(Key::new(format!("exports/{}/done", self.name))?)
    }

    fn job(&self, job: JobId) -> Result<Key, Error> {
        Ok(Key::new(format!("exports/{}/jobs/{:016x}", self.name, job.get()))?)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::store::{Candidate, Outlook};

    #[tokio::test]
    async fn a_cursor_is_kept_and_a_done_job_leaves_nothing_behind() {
        let store = Store::memory();
        let candidate = Candidate { name: "test".to_owned(), address: String::new() };
        let seen = watch::Sender::new(Outlook::default());
        let led = store.campaign(&candidate, &seen, &CancellationToken::new()).await;
        let (lease, _keeper) = led.expect("nobody else leads");
        let places = Places::new(store.clone(), "a.b");
        let mut cursor = places.load().await.expect("empty");
        let job = JobId::new(7).expect("not 0");
        let task = dockmgr_core::ids::TaskId { job, index: dockmgr_core::ids::TaskIndex(3) };
        cursor.finish_task(task);
        places.store(lease.epoch(), &cursor.changes()).await.expect("stored");
        let mut again = places.load().await.expect("there");
        assert!(again.is_task_done(task) && !again.is_done(job));
        again.finish_job(job);
        places.store(lease.epoch(), &again.changes()).await.expect("stored");
        assert!(places.load().await.expect("there").is_done(job));
        let keys = store.list(&Prefix::new("exports/").expect("valid"), None, 10).await.expect("listed");
        assert_eq!(keys.entries.len(), 1, "{keys:?}");
    }
}
