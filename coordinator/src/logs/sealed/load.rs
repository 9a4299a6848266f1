//! Making the catalogue from what is at the place.

use std::collections::BTreeSet;
use std::sync::Arc;

use dockmgr_archive::Segment;
use dockmgr_support::error_chain::Chain;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::graves::Graves;
use super::name::{self, Name};
use super::{Error, Sealed};

/// Segments opened at a time: most of the time goes by waiting for the store.
const PARALLEL: usize = 8;

impl Sealed {
    /// Says that others may have changed what is at the place: nobody is told anything before the next load.
    pub(in crate::logs) fn outdate(&self) {
        self.loaded.send_replace(false);
    }

    /// Reads the directories of all segments. Must not run beside a sealing.
    pub(in crate::logs) async fn load(self: &Arc<Self>) -> Result<(), Error> {
        let deleted = self.read_deleted().await?;
        let mut listed = Vec::new();
        for (text, len) in self.place.list(name::SEGMENTS).await? {
            listed.extend(Name::parse(&text).map(|name| (name, len)));
        }
        // The newest first: what two have is the first one's, and an older one was merged, or found damaged.
        listed.sort_unstable_by(|a, b| b.cmp(a));
        let mut fresh = self.lock().renewed(deleted);
        let open = |(name, len): (Name, u64)| {
            let this = Arc::clone(self);
            crate::logs::error::run(move || {
                let source = this.place.source(name::SEGMENTS, &name.to_string(), len)?;
                Ok((name, len, Segment::open(source)))
            })
        };
        let mut opened = futures_util::stream::iter(listed).map(open).buffered(PARALLEL);
        while let Some((name, len, segment)) = opened.try_next().await? {
            match segment {
                Ok(segment) => {
                    fresh.adopt(name, len, &segment, |_| true);
                }
                Err(error) if error.is_retryable() => return Err(Error::Segment(error)),
                // As after a loss of power in the middle of writing it, when the plain files are still there; or a disk
                // that forgets.
                Err(error) => {
                    tracing::error!(segment = %name, error = %Chain(&error), "sealed output is damaged and left out");
                    fresh.damaged.insert(name);
                }
            }
        }
        self.lock().renew(fresh);
        self.loaded.send_replace(true);
        Ok(())
    }

    /// Whether the place has other segments than the catalogue: another coordinator that led, or believed that it did, has
    /// put some there, or merged some.
    pub(in crate::logs) async fn is_outdated(&self) -> Result<bool, Error> {
        let there = self.place.list(name::SEGMENTS).await?;
        let known = self.lock().names();
        let there: BTreeSet<Name> = there.iter().filter_map(|(text, _)| Name::parse(text)).collect();
        Ok(there != known)
    }

    /// The jobs that were deleted while segments had output of them.
    async fn read_deleted(&self) -> Result<Graves, Error> {
        let mut deleted = Graves::default();
        for (text, _) in self.place.list(name::DELETED).await? {
            let Some(note) = Name::parse(&text) else { continue };
            let bytes = self.place.get(name::DELETED, &text).await?;
            deleted.read(note, &String::from_utf8_lossy(&bytes));
        }
        Ok(deleted)
    }
}
