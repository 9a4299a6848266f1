//! Giving back what is not needed at the place any more.

use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::ids::Epoch;
use dockmgr_core::time::WallTime;
use dockmgr_support::clock;

use super::name::{self, Name};
use super::{Error, Sealed, lock};

impl Sealed {
    /// Removes segments in which everything was deleted or that were merged at least `ago` ago, and the notes of deletions
    /// that say nothing any more; folds the others if they are many. What fails is tried again later. For a leader; not
    /// beside a [`Sealed::load`].
    pub(in crate::logs) async fn reclaim(&self, epoch: Epoch, ago: Duration) -> Result<(), Error> {
        loop {
            let Some((number, name)) = self.lock().dead(ago) else { break };
            self.place.delete(name::SEGMENTS, &name.to_string()).await?;
            self.lock().drop_segment(number);
            // As long as it is open the disk holds its bytes.
            lock(&self.opened).forget(number);
            tracing::debug!(segment = %name, "segment removed: all in it was deleted or is in another one");
        }
        let needless = self.lock().deleted.take_empty(WallTime(clock::wall_millis()));
        for note in needless {
            self.place.delete(name::DELETED, &note.to_string()).await?;
        }
        self.fold(epoch).await
    }

    /// Makes one note of many. The one comes first: a crash before the others are gone leaves the same said twice.
    async fn fold(&self, epoch: Epoch) -> Result<(), Error> {
        let Some((text, notes)) = self.lock().deleted.to_fold() else { return Ok(()) };
        let into = Name::new(epoch);
        self.place.put(name::DELETED, &into.to_string(), Bytes::from(text)).await?;
        self.lock().deleted.fold(into, &notes);
        for note in notes {
            self.place.delete(name::DELETED, &note.to_string()).await?;
        }
        Ok(())
    }
}
