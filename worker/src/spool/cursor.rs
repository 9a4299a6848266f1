//! A reader of spooled output, used by the upload.

use std::fs::File;
use std::path::PathBuf;

use dockmgr_core::log::{Entry, Offsets, Progress};
use dockmgr_support::log_file::{self, Cursor};
use tokio::sync::watch;

use super::Error;
use super::attempt::{Captured, io_error, run};

/// Most file bytes fetched at once: what one reader adds to memory.
const FETCH: usize = 256 * 1024;

/// Reads one attempt's spool at its own pace.
#[derive(Debug)]
pub struct SpoolCursor {
    path: PathBuf,
    cursor: Cursor,
    captured: watch::Receiver<Captured>,
}

impl SpoolCursor {
    pub(super) fn new(path: PathBuf, cursor: Cursor, captured: watch::Receiver<Captured>) -> Self {
        Self { path, cursor, captured }
    }

    /// The next entries, about a quarter of a MiB at most; none if everything spooled so far was given.
    ///
    /// Cancel safe: dropping the future loses no place.
    pub async fn read(&mut self) -> Result<Vec<Entry>, Error> {
        loop {
            let len = self.captured.borrow_and_update().len;
            let position = self.cursor.fed_to();
            if position >= len {
                return Ok(Vec::new());
            }
            let path = self.path.clone();
            let bytes = run(move || {
                let file = File::open(&path).map_err(|source| io_error("open", &path, source))?;
                log_file::fetch(&file, position, len, FETCH).map_err(|source| io_error("read", &path, source))
            })
            .await?;
            let entries = self.cursor.feed(&bytes).map_err(Error::File)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
    }

    /// Waits until there may be more to read. Returns at once if there is; never, once the end was read. Cancel safe.
    pub async fn wait(&mut self) {
        let read_to = self.cursor.fed_to();
        let more = self.captured.wait_for(|captured| captured.len > read_to);
        if self.cursor.progress().is_ended() || more.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What was read so far.
    pub fn progress(&self) -> &Progress {
        self.cursor.progress()
    }

    /// Offsets of the next byte of each stream.
    pub fn offsets(&self) -> Offsets {
        self.cursor.progress().offsets
    }
}
