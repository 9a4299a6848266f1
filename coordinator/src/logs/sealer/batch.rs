//! One batch: from plain files to a segment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufWriter, Seek as _};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use dockmgr_archive::Writer;
use dockmgr_core::ids::{AttemptId, Epoch, JobId};
use dockmgr_core::log::{Offsets, Progress};
use dockmgr_support::error_chain::Chain;

use super::Sealing;
use super::compare::Comparison;
use crate::logs::error::run;
use crate::logs::plain::PlainOutput;
use crate::logs::sealed::Fresh;
use crate::logs::store::Shared;
use crate::logs::{AttemptLog, Error, layout};

/// Attempts of a batch: what a batch of tiny ones keeps in memory and looks at one by one.
const ATTEMPTS: usize = 4096;
/// Larger plain files stay what they are: a segment holds about a GiB.
const LARGEST: u64 = 768 * 1024 * 1024;

/// The logs of a batch.
type Logs = BTreeMap<AttemptId, Arc<AttemptLog>>;
/// The plain files of an attempt, and whose they are.
type Files = Vec<(Epoch, PathBuf)>;
/// Attempts whose segment has what these files have.
type Same = BTreeMap<AttemptId, Files>;

/// Seals what waits, about one segment of it.
pub(super) async fn seal(shared: &Arc<Shared>, sealing: Sealing, epoch: Epoch) -> Result<(), Error> {
    look(shared).await?;
    let attempts = shared.ended.take(sealing.bytes, ATTEMPTS);
    let jobs: BTreeSet<JobId> = attempts.iter().map(|attempt| attempt.job()).collect();
    let gone = shared.sealed.begin_sealing(&jobs);
    let wanted = attempts.iter().copied().filter(|attempt| !gone.contains(&attempt.job()));
    let sealed = seal_these(shared, sealing, epoch, wanted.collect()).await;
    shared.sealed.end_sealing();
    shared.ended.finish();
    if sealed.is_err() {
        shared.ended.put_back(attempts);
    }
    sealed
}

/// Looks through the folders of plain files, as far as there is room for what is found.
async fn look(shared: &Arc<Shared>) -> Result<(), Error> {
    let Some(from) = shared.ended.look_from() else { return Ok(()) };
    let this = Arc::clone(shared);
    run(move || {
        let mut jobs: Vec<JobId> =
            layout::job_folders(&this.root)?.iter().filter_map(|folder| layout::job_of(folder)).collect();
        jobs.sort_unstable();
        let room = this.ended.room();
        let mut found = Vec::new();
        for job in jobs.into_iter().filter(|job| *job >= from) {
            if found.len() >= room {
                this.ended.looked(found, Some(job));
                return Ok(());
            }
            for attempt in layout::attempts_of(&this.root, job)? {
                // How long they are shows when they are read.
                found.push((attempt, 0));
            }
        }
        this.ended.looked(found, None);
        Ok(())
    })
    .await
}

async fn seal_these(
    shared: &Arc<Shared>,
    sealing: Sealing,
    epoch: Epoch,
    attempts: Vec<AttemptId>,
) -> Result<(), Error> {
    let (mut fresh, mut twice) = (Logs::new(), Logs::new());
    let mut bytes = 0;
    let mut left = attempts.into_iter();
    while bytes < sealing.bytes
        && let Some(attempt) = left.next()
    {
        let log = shared.in_memory(attempt);
        if let Err(error) = log.recover(shared).await {
            tracing::warn!(%attempt, error = %Chain(&error), "output cannot be sealed");
            continue;
        }
        if shared.sealed.has(attempt) {
            twice.insert(attempt, log);
        } else if log.is_complete() && log.len() <= LARGEST {
            bytes += log.len();
            fresh.insert(attempt, log);
        }
    }
    // What was found in folders may be more than it seemed.
    shared.ended.put_back_at_once(left);
    if !fresh.is_empty() {
        let segment = make(shared, epoch, fresh.keys().copied().collect()).await?;
        let same = match compare(shared, &segment, &fresh).await {
            Ok(same) => same,
            Err(error) => {
                shared.sealed.discard(&segment).await?;
                return Err(error);
            }
        };
        // What is removed from here on is in the catalogue of whoever leads now: it looked at the place when it began.
        if *shared.term.borrow() != Some(epoch) {
            return Ok(());
        }
        if same.is_empty() {
            return shared.sealed.discard(&segment).await;
        }
        shared.sealed.adopt(&segment, &same.keys().copied().collect());
        shared.meter.sealed(segment.len());
        tracing::debug!(attempts = same.len(), segment = %segment.name(), "output sealed");
        remove(shared, epoch, fresh, same).await?;
    }
    tidy(shared, epoch, twice).await
}

/// Writes a segment of what is in the plain files of `attempts`, and stores it.
async fn make(shared: &Arc<Shared>, epoch: Epoch, attempts: Vec<AttemptId>) -> Result<Fresh, Error> {
    let this = Arc::clone(shared);
    let file = run(move || {
        let file = tempfile::tempfile_in(&this.root).map_err(Error::Spool)?;
        let mut writer = Writer::new(BufWriter::new(file)).map_err(Error::Segment)?;
        for attempt in attempts {
            match write_attempt(&this, &mut writer, attempt) {
                Ok(()) => {}
                Err(Error::Segment(dockmgr_archive::Error::Full)) => break,
                Err(_) if this.sealed.is_deleted(attempt.job()) => {}
                Err(error) => return Err(error),
            }
        }
        let finished = writer.finish().map_err(Error::Segment)?;
        let mut file: File = finished.out.into_inner().map_err(|error| Error::Spool(error.into_error()))?;
        file.rewind().map_err(Error::Spool)?;
        Ok(file)
    });
    shared.sealed.store(epoch, file.await?).await
}

fn write_attempt(
    shared: &Shared,
    writer: &mut Writer<BufWriter<File>>,
    attempt: AttemptId,
) -> Result<(), Error> {
    let mut plain = PlainOutput::open(&shared.root, attempt, shared.writer())?;
    let mut to = writer.attempt(attempt, Offsets::default()).map_err(Error::Segment)?;
    while let Some(entry) = plain.next_entry()? {
        to.push(entry).map_err(Error::Segment)?;
    }
    Ok(())
}

/// Which attempts the stored segment has as the plain files have them, and these files.
async fn compare(shared: &Arc<Shared>, fresh: &Fresh, logs: &Logs) -> Result<Same, Error> {
    let (this, segment) = (Arc::clone(shared), Arc::clone(&fresh.segment));
    let whole = |attempt: &AttemptId| segment.kept(*attempt).is_some_and(|kept| kept.end.is_some());
    let attempts: Vec<_> = logs.keys().copied().filter(whole).collect();
    run(move || {
        let mut comparison = Comparison::with(&segment);
        let mut same = Same::new();
        for attempt in attempts {
            let plain = PlainOutput::open(&this.root, attempt, this.writer())?;
            let files = plain.files();
            match comparison.is_same(attempt, plain) {
                Ok(true) => {
                    same.insert(attempt, files);
                }
                Ok(false) | Err(_) if this.sealed.is_deleted(attempt.job()) => {}
                Ok(false) => {
                    tracing::error!(%attempt, "sealed output differs from its plain files, which stay");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(same)
    })
    .await
}

/// Removes plain files of attempts that the catalogue has.
async fn remove(shared: &Arc<Shared>, epoch: Epoch, logs: Logs, same: Same) -> Result<(), Error> {
    let this = Arc::clone(shared);
    run(move || {
        for (attempt, files) in same {
            // A job that is deleted now takes its files with it; and after a term the next one looks again.
            if logs.get(&attempt).is_some_and(|log| log.seal(&this, &log.progress())) {
                remove_files(&this, epoch, attempt, &files)?;
            }
        }
        Ok(())
    })
    .await
}

/// Removes plain files of attempts that a segment has, too: as a crash leaves them, or a worker that sent them again.
async fn tidy(shared: &Arc<Shared>, epoch: Epoch, twice: Logs) -> Result<(), Error> {
    let this = Arc::clone(shared);
    run(move || twice.iter().try_for_each(|(attempt, log)| tidy_one(&this, epoch, *attempt, log))).await
}

fn tidy_one(shared: &Shared, epoch: Epoch, attempt: AttemptId, log: &AttemptLog) -> Result<(), Error> {
    let open = || PlainOutput::open(&shared.root, attempt, shared.writer());
    let plain = open()?;
    let files = plain.files();
    if files.is_empty() {
        return Ok(());
    }
    let found = shared.sealed.find(attempt, |segment, _| {
        // Of what was sent again the end may not have come yet: the segment has more.
        let same = !plain.progress().is_ended() || Comparison::with(segment).is_same(attempt, open()?)?;
        let kept = segment.kept(attempt).filter(|_| same);
        Ok(kept.map(|kept| Progress { offsets: kept.to, end: kept.end }))
    });
    match found?.flatten() {
        Some(progress) if log.seal(shared, &progress) => remove_files(shared, epoch, attempt, &files),
        Some(_) => Ok(()),
        None => {
            tracing::error!(%attempt, "sealed output differs from its plain files, which are used");
            shared.sealed.disown(attempt);
            shared.forget(attempt);
            shared.ended.put_back([attempt]);
            Ok(())
        }
    }
}

/// Removes the files that no later leader writes, and folders that are empty then.
fn remove_files(shared: &Shared, epoch: Epoch, attempt: AttemptId, files: &Files) -> Result<(), Error> {
    let _alone = shared.folders.write().unwrap_or_else(PoisonError::into_inner);
    for (_, path) in files.iter().filter(|(of, _)| *of <= epoch) {
        let len = fs::metadata(path).map_or(0, |about| about.len());
        match fs::remove_file(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => {
                removed.map_err(Error::io("delete", path))?;
                shared.shrink_usage(len);
            }
        }
    }
    let shard = layout::shard_folder(&shared.root, attempt);
    // Most often something else is still in there.
    let _kept =
        fs::remove_dir(shard).and_then(|()| fs::remove_dir(layout::job_folder(&shared.root, attempt.job())));
    Ok(())
}
