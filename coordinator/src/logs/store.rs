//! All kept output: which logs are in memory, deleting, size.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use dockmgr_core::ids::{AttemptId, Epoch, JobId};
use dockmgr_core::log::{Entry, Offsets, Progress};
use dockmgr_core::time::WallTime;
use dockmgr_support::tasks::Tasks;
use tokio::sync::{Notify, watch};

use super::error::run;
use super::files::Files;
use super::sealed::{Number, OpenFrame, Place, Sealed, SealedAt, SealedFrame, Segment, Whereabouts};
use super::sealer::{self, Ended, Meter, Sealing, SealingNow};
use super::writer::{Sharing, Writer};
use super::{AttemptLog, Error, LogReader, layout, syncer};

/// Logs nobody uses that stay in memory, about a kilobyte each, so that opening them again reads nothing.
const IDLE: usize = 1024;

/// Folder of sealed output below the folder of the output of jobs; no job has such a name.
const SEALED: &str = "sealed";

/// The output of all jobs. Clones share it.
#[derive(Debug, Clone)]
pub struct LogStore {
    pub(super) shared: Arc<Shared>,
}

/// What the parts of the store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) root: PathBuf,
    pub(super) files: Files,
    pub(super) usage: AtomicU64,
    /// Told when a log is queued for a sync.
    pub(super) appended: Notify,
    /// Told when a sync should not be put off.
    pub(super) hurry: Notify,
    /// What segments have.
    pub(super) sealed: Arc<Sealed>,
    /// What may be sealed.
    pub(super) ended: Ended,
    /// What was sealed.
    pub(super) meter: Meter,
    /// The epoch in which this process leads, if it does.
    pub(super) term: watch::Sender<Option<Epoch>>,
    /// Written while folders that became empty go, read while a file is made in one.
    pub(super) folders: RwLock<()>,
    writer: Mutex<Writer>,
    logs: Mutex<BTreeMap<AttemptId, Arc<AttemptLog>>>,
    queued: Mutex<Vec<Arc<AttemptLog>>>,
    failed: OnceLock<String>,
}

impl LogStore {
    /// As [`LogStore::open_at`], with sealed output in a folder below `root`.
    pub fn open(root: PathBuf, sharing: Sharing, sealing: Sealing, tasks: &Tasks) -> Result<Self, Error> {
        let at = sealed_below(&root);
        Self::open_at(root, &at, sharing, sealing, tasks)
    }

    /// Opens the folder `root`, with sealed output at `at`, and starts the syncer and the sealer among `tasks`. Blocks while
    /// it adds up the sizes of what is there.
    ///
    /// With [`Sharing::Terms`] nothing is taken in before [`LogStore::begin_term`], and nothing is sealed before it
    /// anywhere.
    pub fn open_at(
        root: PathBuf,
        at: &SealedAt,
        sharing: Sharing,
        sealing: Sealing,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        fs::create_dir_all(&root).map_err(Error::io("create", &root))?;
        let mut usage = 0;
        for folder in layout::job_folders(&root)? {
            usage += size_of(&folder).map_err(Error::io("inspect", &root))?;
        }
        let sealed = Arc::new(Sealed::new(Place::open(at)?));
        let shared = Arc::new(Shared {
            root,
            files: Files::default(),
            usage: AtomicU64::new(usage),
            appended: Notify::new(),
            hurry: Notify::new(),
            sealed,
            ended: Ended::default(),
            meter: Meter::default(),
            term: watch::Sender::new(None),
            folders: RwLock::default(),
            writer: Mutex::new(match sharing {
                Sharing::Alone => Writer::Alone,
                Sharing::Terms => Writer::Reader,
            }),
            logs: Mutex::default(),
            queued: Mutex::default(),
            failed: OnceLock::new(),
        });
        tasks.spawn("log-syncer", syncer::run(Arc::clone(&shared), tasks.token().clone()));
        tasks.spawn("log-sealer", sealer::run(Arc::clone(&shared), sealing, tasks.token().clone()));
        Ok(Self { shared })
    }

    /// This process leads from now on and takes output in.
    pub fn begin_term(&self, epoch: Epoch) {
        self.shared.change_writer(Writer::Leader(epoch));
        self.shared.term.send_replace(Some(epoch));
    }

    /// This process does not lead any more: it takes nothing in, and reads what others write.
    pub fn end_term(&self) {
        self.shared.term.send_replace(None);
        self.shared.change_writer(Writer::Reader);
    }

    /// Appends entries of `attempt` in order; what is kept already is skipped. `Ok` means written and readable; when it
    /// is durable, [`LogStore::log`]'s durable watch says so.
    ///
    /// Dropping the future does not undo the append. After [`Error::Missing`] what came before the hole was written.
    pub(crate) async fn append(&self, attempt: AttemptId, entries: Vec<Entry>) -> Result<(), Error> {
        self.in_memory(attempt).append(&self.shared, entries).await
    }

    /// The log of `attempt`, recovered from the disk if it was not in use. Creates no file.
    pub(crate) async fn log(&self, attempt: AttemptId) -> Result<Arc<AttemptLog>, Error> {
        let log = self.in_memory(attempt);
        log.recover(&self.shared).await?;
        if log.progress() == Progress::default() {
            // Plain files have all there is, or nothing; then a segment may have it.
            self.shared.sealed.ready().await?;
            log.recover(&self.shared).await?;
        }
        Ok(log)
    }

    /// What is durable of an attempt whose output is being taken in, told anew whenever it grows; `None` if a segment has
    /// all of it. Never waits for the place of sealed output: what is there and not known yet is taken in once more, and
    /// compared later.
    pub(crate) async fn durable(
        &self,
        attempt: AttemptId,
    ) -> Result<Option<watch::Receiver<Progress>>, Error> {
        if self.is_sealed(attempt) {
            return Ok(None);
        }
        let log = self.in_memory(attempt);
        log.recover(&self.shared).await?;
        Ok(Some(log.durable()))
    }

    /// A reader of everything at and behind `from`; `u64::MAX` for a stream means nothing of it. An attempt that wrote
    /// nothing yet reads as empty and can be waited on.
    pub(crate) async fn reader(&self, attempt: AttemptId, from: Offsets) -> Result<LogReader, Error> {
        let log = self.log(attempt).await?;
        Ok(LogReader::new(Arc::clone(&self.shared), log, from))
    }

    /// Removes all output of `job`; users of it hear [`Error::Deleted`].
    pub async fn delete_job(&self, job: JobId) -> Result<(), Error> {
        self.shared.sealed.ready().await?;
        let epoch = self.shared.term.borrow().unwrap_or_default();
        // First what keeps sealed output from coming back: a segment with other jobs in it stays.
        let buried = self.shared.sealed.delete_job(epoch, job).await;
        let deleted = match buried {
            Ok(()) => self.delete_plain(job).await,
            Err(error) => Err(error),
        };
        self.shared.sealed.end_deleting(job);
        deleted
    }

    /// Removes the plain files of a job and what is in memory of it.
    async fn delete_plain(&self, job: JobId) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        run(move || {
            shared.lock_logs().retain(|attempt, log| {
                if attempt.job() == job {
                    log.delete();
                    shared.files.forget(*attempt);
                }
                attempt.job() != job
            });
            let folder = layout::job_folder(&shared.root, job);
            let size = size_of(&folder).unwrap_or(0);
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                removed => {
                    removed.map_err(Error::io("delete", &folder))?;
                    shared.shrink_usage(size);
                    Ok(())
                }
            }
        })
        .await
    }

    /// Jobs that have output, all of which is older than `age`: plain files by the disk's wall clock, sealed output by the
    /// times it was written at.
    pub async fn jobs_older_than(&self, age: Duration) -> Result<Vec<JobId>, Error> {
        self.shared.sealed.ready().await?;
        let shared = Arc::clone(&self.shared);
        run(move || {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let bound = WallTime(dockmgr_support::clock::wall_millis().saturating_sub(age));
            let mut latest = shared.sealed.jobs();
            for folder in layout::job_folders(&shared.root)? {
                let (Some(job), Some(at)) = (layout::job_of(&folder), changed(&folder)) else { continue };
                let latest = latest.entry(job).or_insert(at);
                *latest = at.max(*latest);
            }
            Ok(latest.into_iter().filter(|(_, at)| *at < bound).map(|(job, _)| job).collect())
        })
        .await
    }

    /// The jobs that have output here, newest first.
    pub(crate) async fn jobs(&self) -> Result<Vec<JobId>, Error> {
        self.shared.sealed.ready().await?;
        let shared = Arc::clone(&self.shared);
        run(move || {
            // Plain files first: what is sealed in between is found twice and not missed.
            let folders = layout::job_folders(&shared.root)?;
            let mut jobs: BTreeSet<JobId> =
                folders.iter().filter_map(|folder| layout::job_of(folder)).collect();
            jobs.extend(shared.sealed.jobs().into_keys());
            Ok(jobs.into_iter().rev().collect())
        })
        .await
    }

    /// What the output of each job takes: its plain files, and its share of segments.
    pub(crate) async fn sizes(&self) -> Result<BTreeMap<JobId, u64>, Error> {
        self.shared.sealed.ready().await?;
        let shared = Arc::clone(&self.shared);
        run(move || {
            let mut sizes = shared.sealed.sizes();
            for folder in layout::job_folders(&shared.root)? {
                let Some(job) = layout::job_of(&folder) else { continue };
                for (attempt, file) in layout::files_of(&shared.root, job)? {
                    // A file that has gone meanwhile takes nothing, and what was sealed a moment ago counts once.
                    let plain = fs::metadata(file).map_or(0, |about| about.len());
                    *sizes.entry(job).or_default() += if shared.sealed.has(attempt) { 0 } else { plain };
                }
            }
            Ok(sizes)
        })
        .await
    }

    /// The attempts of `job` that have output here, in order.
    pub(crate) async fn attempts_of(&self, job: JobId) -> Result<Vec<AttemptId>, Error> {
        self.shared.sealed.ready().await?;
        let shared = Arc::clone(&self.shared);
        run(move || {
            // Plain files first: what is sealed in between is found twice and not missed.
            let mut found = layout::attempts_of(&shared.root, job)?;
            found.extend(shared.sealed.attempts_of(job));
            found.sort_unstable();
            found.dedup();
            Ok(found)
        })
        .await
    }

    /// The frames of sealed output from `since` on and before `until`, earliest first. What segments have of an attempt
    /// is not in its plain files, once [`LogStore::is_sealed`] says so.
    pub async fn sealed_frames(
        &self,
        since: Option<WallTime>,
        until: Option<WallTime>,
    ) -> Result<Vec<SealedFrame>, Error> {
        self.shared.sealed.ready().await?;
        Ok(self.shared.sealed.frames(since, until))
    }

    /// Opens one of [`LogStore::sealed_frames`]; `None` if it is gone and what it had is in another one. Blocks.
    pub fn open_frame(&self, frame: &SealedFrame) -> Result<Option<OpenFrame>, Error> {
        self.shared.sealed.open_frame(frame)
    }

    /// Where to look for output of each of these attempts from `since` on and before `until`. It may be somewhere else a
    /// moment later: who finds no segment asks again.
    pub(crate) async fn whereabouts(
        &self,
        attempts: impl Iterator<Item = AttemptId>,
        times: (Option<WallTime>, Option<WallTime>),
    ) -> Result<Vec<Whereabouts>, Error> {
        self.shared.sealed.ready().await?;
        Ok(self.shared.sealed.whereabouts(attempts, times))
    }

    /// A segment by its number; `None` if it is gone: all in it was deleted, or is in another one. Blocks.
    pub(crate) fn segment(&self, number: Number) -> Result<Option<Arc<Segment>>, Error> {
        self.shared.sealed.segment(number)
    }

    /// Whether a segment has the output of `attempt`.
    pub fn is_sealed(&self, attempt: AttemptId) -> bool {
        self.shared.sealed.has(attempt)
    }

    /// Bytes of all kept output.
    pub fn usage(&self) -> u64 {
        self.shared.usage.load(Ordering::Relaxed) + self.shared.sealed.bytes()
    }

    /// How sealing stands, for who shows numbers.
    pub(crate) fn sealing(&self) -> SealingNow {
        let (sealed, ended) = (&self.shared.sealed, &self.shared.ended);
        self.shared.meter.now((sealed.count() as u64, sealed.bytes()), ended.count() as u64)
    }

    fn in_memory(&self, attempt: AttemptId) -> Arc<AttemptLog> {
        self.shared.in_memory(attempt)
    }
}

impl Shared {
    /// The log of an attempt as it is in use, or a new one that knows nothing yet.
    pub(super) fn in_memory(&self, attempt: AttemptId) -> Arc<AttemptLog> {
        let writer = *self.lock_writer();
        let mut logs = self.lock_logs();
        if let Some(log) = logs.get(&attempt) {
            return Arc::clone(log);
        }
        if logs.len() >= 2 * IDLE {
            // A log somebody holds, or that has something to sync, must stay the only one of its attempt.
            let mut excess = logs.len() - IDLE;
            logs.retain(|_, log| {
                let drop = excess > 0 && Arc::strong_count(log) == 1 && log.is_idle();
                excess -= usize::from(drop);
                !drop
            });
        }
        let log = Arc::new(AttemptLog::new(attempt, writer));
        logs.insert(attempt, Arc::clone(&log));
        log
    }

    /// Drops what is in memory of an attempt whose segment cannot be believed; it takes nothing in any more.
    pub(super) fn forget(&self, attempt: AttemptId) {
        self.lock_logs().remove(&attempt);
    }

    /// Fails once a sync has failed.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.failed.get().map_or(Ok(()), |reason| Err(Error::SyncFailed(reason.clone())))
    }

    pub(super) fn fail(&self, reason: String) {
        // The first reason is the one to tell.
        let _first = self.failed.set(reason);
    }

    pub(super) fn queue_sync(&self, log: Arc<AttemptLog>) {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner).push(log);
        self.appended.notify_one();
    }

    pub(super) fn take_queued(&self) -> Vec<Arc<AttemptLog>> {
        std::mem::take(&mut *self.queued.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn shrink_usage(&self, by: u64) {
        let shrunk = |usage: u64| Some(usage.saturating_sub(by));
        // The closure never refuses.
        let _before = self.usage.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shrunk);
    }

    /// Retires what the process had open in its earlier capacity.
    fn change_writer(&self, writer: Writer) {
        let mut now = self.lock_writer();
        if *now == Writer::Alone {
            return;
        }
        *now = writer;
        let retired = std::mem::take(&mut *self.lock_logs());
        drop(now);
        for log in retired.into_values() {
            log.retire();
        }
        self.files.forget_all();
    }

    /// In what capacity this process uses the folder now.
    pub(super) fn writer(&self) -> Writer {
        *self.lock_writer()
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_logs(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Arc<AttemptLog>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where sealed output is unless a person said otherwise.
pub(super) fn sealed_below(root: &Path) -> SealedAt {
    SealedAt::Folder(root.join(SEALED))
}

/// Bytes of all files under `folder`; zero if there is none.
fn size_of(folder: &Path) -> std::io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut sum = 0;
    for entry in entries {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() { size_of(&entry.path())? } else { about.len() };
    }
    Ok(sum)
}

/// When a job's folder or one of its shards last changed.
fn changed(folder: &Path) -> Option<WallTime> {
    let at = |path: &Path| {
        let since = fs::metadata(path).ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok().map(WallTime)
    };
    let shards = fs::read_dir(folder).ok()?.filter_map(Result::ok).filter_map(|entry| at(&entry.path()));
    shards.chain(at(folder)).max()
}
