//! The sealed output: segments at a place, which of them has which attempt, and reading them.
//!
//! Owns the catalogue in memory, which is made anew from the segments at each start, and the objects of the place. When
//! something is sealed is the business of `sealer`; the form of a segment that of the crate `archive`.
//!
//! ```text
//!   plain files --sealer--> segments/EPOCH-UUID --load--> catalogue --> open segments --> frames --> readers
//!   many small segments --sealer--> one, then they go
//!   delete_job  ----------> deleted/EPOCH-UUID  --load--> (left out of the catalogue)
//! ```
//!
//! Invariant: an attempt that the catalogue has is whole, and durable at the place.
//!
//! Invariant: a segment never changes; who finds none of a name looks into the catalogue again.

mod catalogue;
mod check;
mod cursor;
mod frames;
mod graves;
mod leftovers;
mod load;
mod merged;
mod name;
mod opened;
mod place;
mod reclaim;
mod s3;
mod source;
#[cfg(test)]
pub(super) mod test_s3;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dockmgr_archive::Frame;
use dockmgr_core::ids::{AttemptId, Epoch, JobId};
use dockmgr_core::log::Progress;
use dockmgr_core::time::WallTime;
use dockmgr_support::clock;
use tokio::sync::{Notify, watch};

use super::Error;
use catalogue::Catalogue;
use graves::Graves;
use name::Name;
use opened::{Decoded, Opened};

pub(crate) use catalogue::Number;
pub(super) use check::check;
pub(super) use cursor::SealedCursor;
pub use frames::{OpenFrame, SealedFrame};
pub(super) use merged::Input;
pub(crate) use place::Place;
pub use place::SealedAt;
pub use s3::S3;
pub(crate) use source::Stored;
pub(crate) use whereabouts::Whereabouts;

/// A stored segment.
pub(crate) type Segment = dockmgr_archive::Segment<Stored>;

/// How long a reader waits for the catalogue after a start, before it hears that it should come again.
const LOADING: Duration = Duration::from_secs(10);

/// All sealed output.
#[derive(Debug)]
pub(super) struct Sealed {
    place: Place,
    catalogue: Mutex<Catalogue>,
    opened: Mutex<Opened>,
    decoded: Mutex<Decoded>,
    loaded: watch::Sender<bool>,
    /// Told when a segment that the catalogue has is not at the place.
    vanished: Notify,
}

impl Sealed {
    /// What is at `place`; nothing is known of it before [`Sealed::load`].
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            catalogue: Mutex::default(),
            opened: Mutex::default(),
            decoded: Mutex::default(),
            loaded: watch::Sender::new(false),
            vanished: Notify::new(),
        }
    }

    /// Waits until the catalogue is there, a while.
    pub(super) async fn ready(&self) -> Result<(), Error> {
        let mut loaded = self.loaded.subscribe();
        match tokio::time::timeout(LOADING, loaded.wait_for(|loaded| *loaded)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::NotLoaded),
        }
    }

    /// Whether a segment has the attempt.
    pub(super) fn has(&self, attempt: AttemptId) -> bool {
        self.lock().owner(attempt).is_some()
    }

    /// What is kept of an attempt; `None` if no segment has it. Blocks.
    pub(super) fn progress(&self, attempt: AttemptId) -> Result<Option<Progress>, Error> {
        let found = self.find(attempt, |segment, _| {
            let kept = segment.kept(attempt);
            Ok(kept.map(|kept| Progress { offsets: kept.to, end: kept.end }))
        })?;
        Ok(found.flatten())
    }

    /// The attempts of a job, in order.
    pub(super) fn attempts_of(&self, job: JobId) -> Vec<AttemptId> {
        self.lock().attempts_of(job).collect()
    }

    /// Each job and a time at or after that of its latest output.
    pub(super) fn jobs(&self) -> BTreeMap<JobId, WallTime> {
        self.lock().jobs()
    }

    /// What each job takes of the segments.
    pub(super) fn sizes(&self) -> BTreeMap<JobId, u64> {
        self.lock().sizes()
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes()
    }

    /// How many segments there are.
    pub(super) fn count(&self) -> usize {
        self.lock().segments().count()
    }

    /// Says that output of `jobs` is about to be sealed, so that a deletion meanwhile is not forgotten. Gives back those of
    /// which nothing may be sealed.
    pub(super) fn begin_sealing(&self, jobs: &BTreeSet<JobId>) -> BTreeSet<JobId> {
        let mut catalogue = self.lock();
        catalogue.sealing.extend(jobs);
        jobs.iter()
            .filter(|job| catalogue.deleted.contains(**job) || catalogue.deleting.contains(job))
            .copied()
            .collect()
    }

    /// The end of what [`Sealed::begin_sealing`] began.
    pub(super) fn end_sealing(&self) {
        self.lock().sealing.clear();
    }

    /// Stores a segment that was written to `file`, and opens what is stored. It is not in the catalogue yet.
    pub(super) async fn store(self: &Arc<Self>, epoch: Epoch, file: std::fs::File) -> Result<Fresh, Error> {
        let len = file.metadata().map_err(Error::Spool)?.len();
        let name = Name::new(epoch);
        self.place.upload(name::SEGMENTS, &name.to_string(), file).await?;
        let this = Arc::clone(self);
        super::error::run(move || {
            let source = this.place.source(name::SEGMENTS, &name.to_string(), len)?;
            let segment = Arc::new(Segment::open(source).map_err(Error::Segment)?);
            Ok(Fresh { name, len, segment })
        })
        .await
    }

    /// Takes a segment into the catalogue with these of its attempts.
    pub(super) fn adopt(&self, fresh: &Fresh, attempts: &BTreeSet<AttemptId>) {
        self.lock().adopt(fresh.name, fresh.len, &fresh.segment, |attempt| attempts.contains(&attempt));
    }

    /// Takes back a segment that was not adopted.
    pub(super) async fn discard(&self, fresh: &Fresh) -> Result<(), Error> {
        self.place.delete(name::SEGMENTS, &fresh.name.to_string()).await
    }

    /// Takes an attempt out that its segment does not have as it should be.
    pub(super) fn disown(&self, attempt: AttemptId) {
        self.lock().disown(attempt);
    }

    /// Whether the job was deleted while segments had output of it.
    pub(super) fn is_deleted(&self, job: JobId) -> bool {
        let catalogue = self.lock();
        catalogue.deleted.contains(job) || catalogue.deleting.contains(&job)
    }

    /// Takes all of a job out, durably. Nothing of it is sealed before [`Sealed::end_deleting`].
    pub(super) async fn delete_job(&self, epoch: Epoch, job: JobId) -> Result<(), Error> {
        let needed = {
            let mut catalogue = self.lock();
            catalogue.deleting.insert(job);
            let any = catalogue.attempts_of(job).next().is_some();
            any || catalogue.sealing.contains(&job)
        };
        if needed {
            let (note, at) = (Name::new(epoch), WallTime(clock::wall_millis()));
            self.place.put(name::DELETED, &note.to_string(), Bytes::from(Graves::line(job, at))).await?;
            self.lock().bury(job, at, note);
        }
        Ok(())
    }

    /// The end of what [`Sealed::delete_job`] began: the plain files are gone, too.
    pub(super) fn end_deleting(&self, job: JobId) {
        self.lock().deleting.remove(&job);
    }

    /// Looks into the segment that has an attempt; `None` if none has. Blocks.
    pub(super) fn find<T>(
        &self,
        attempt: AttemptId,
        mut look: impl FnMut(&Segment, Number) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut before = None;
        loop {
            let Some(number) = self.lock().owner(attempt) else { return Ok(None) };
            let looked = match self.open(number) {
                Ok(Some(segment)) => look(&segment, number).map(Some),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            // It may have been merged into another one meanwhile.
            match looked {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) | Err(_) if before != Some(number) => before = Some(number),
                // Another coordinator has merged it: what is at the place is looked at now, and the reader comes again.
                Err(error) if error.is_gone() => {
                    self.vanished.notify_one();
                    return Err(Error::NotLoaded);
                }
                looked => return looked,
            }
        }
    }

    /// An open segment; `None` if there is none of this number any more. Blocks.
    fn open(&self, number: Number) -> Result<Option<Arc<Segment>>, Error> {
        if let Some(segment) = lock(&self.opened).get(number) {
            return Ok(Some(segment));
        }
        let Some((name, len)) = self.lock().segment(number).map(|listed| (listed.name, listed.len)) else {
            return Ok(None);
        };
        let source = self.place.source(name::SEGMENTS, &name.to_string(), len)?;
        let segment = Arc::new(Segment::open(source).map_err(Error::Segment)?);
        lock(&self.opened).put(number, Arc::clone(&segment));
        Ok(Some(segment))
    }

    /// A frame of an open segment. Blocks.
    fn frame(&self, number: Number, segment: &Segment, at: usize) -> Result<Arc<Frame>, Error> {
        if let Some(frame) = lock(&self.decoded).get((number, at)) {
            return Ok(frame);
        }
        let frame = Arc::new(segment.frame(at).map_err(Error::Segment)?);
        lock(&self.decoded).put((number, at), Arc::clone(&frame));
        Ok(frame)
    }

    fn lock(&self) -> MutexGuard<'_, Catalogue> {
        lock(&self.catalogue)
    }
}

/// A segment that was stored just now.
#[derive(Debug)]
pub(super) struct Fresh {
    name: Name,
    len: u64,
    pub(super) segment: Arc<Segment>,
}

impl Fresh {
    /// What it is called.
    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// Its bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
