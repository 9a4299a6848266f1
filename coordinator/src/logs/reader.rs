//! Reading one attempt's log at one's own pace, live or kept.

use std::sync::Arc;

use dockmgr_core::log::{Entry, LastLines, Offsets, Progress, Record, Stream};
use dockmgr_support::log_file::{Cursor, fetch};
use tokio::sync::watch;

use super::attempt_log::Written;
use super::error::run;
use super::store::Shared;
use super::{AttemptLog, Error};

/// Most file bytes fetched at once: what one reader adds to memory.
const FETCH: usize = 256 * 1024;

/// A place in one attempt's log.
#[derive(Debug)]
pub(crate) struct LogReader {
    shared: Arc<Shared>,
    log: Arc<AttemptLog>,
    cursor: Cursor,
    written: watch::Receiver<Written>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>, log: Arc<AttemptLog>, from: Offsets) -> Self {
        let cursor = log.cursor(from);
        let written = log.written();
        Self { shared, log, cursor, written }
    }

    /// The next entries, about a quarter of a MiB at most; none if everything written so far was given. Cancel safe.
    pub(crate) async fn read(&mut self) -> Result<Vec<Entry>, Error> {
        loop {
            let (len, deleted) = {
                let written = self.written.borrow_and_update();
                (written.len, written.deleted)
            };
            if deleted {
                return Err(Error::Deleted);
            }
            let position = self.cursor.fed_to();
            if position >= len {
                return Ok(Vec::new());
            }
            let (log, shared) = (Arc::clone(&self.log), Arc::clone(&self.shared));
            let bytes = run(move || {
                let file = log.file(&shared)?;
                fetch(&file, position, len, FETCH).map_err(Error::io("read", &shared.root))
            });
            let entries = self.cursor.feed(&bytes.await?).map_err(Error::File)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
    }

    /// Waits until there is more to read or the log was deleted. Returns at once if so; never, once the end was read.
    /// Cancel safe.
    pub(crate) async fn wait(&mut self) {
        let read_to = self.cursor.fed_to();
        if !self.cursor.progress().is_ended()
            && self.written.wait_for(|written| written.deleted || written.len > read_to).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// What was read so far.
    pub(crate) fn progress(&self) -> &Progress {
        self.cursor.progress()
    }

    /// What is kept of the log in all.
    pub(crate) fn kept(&self) -> Progress {
        self.log.progress()
    }

    /// Moves the reader to the last `lines` lines of what is written now, of one stream or of both; never back.
    pub(crate) async fn skip_to_last_lines(&mut self, lines: u64, only: Option<Stream>) -> Result<(), Error> {
        let Written { len, progress, .. } = self.written.borrow().clone();
        let mut search = LastLines::new(lines, progress.offsets, only);
        let mut end = len;
        for point in self.log.checkpoints().into_iter().rev() {
            if search.is_found() {
                break;
            }
            if point.position >= end {
                continue;
            }
            let block = self.block(point.position, end).await?;
            search.look_at(&block);
            end = point.position;
        }
        let mut from = search.start();
        for stream in Stream::ALL {
            from.set(stream, from.of(stream).max(self.cursor.progress().offsets.of(stream)));
        }
        self.cursor = self.log.cursor(from);
        Ok(())
    }

    /// The records between two frame boundaries, a checkpoint step apart.
    async fn block(&self, start: u64, end: u64) -> Result<Vec<Record>, Error> {
        let (log, shared) = (Arc::clone(&self.log), Arc::clone(&self.shared));
        run(move || {
            let file = log.file(&shared)?;
            let most = usize::try_from(end - start).unwrap_or(usize::MAX);
            let bytes = fetch(&file, start, end, most).map_err(Error::io("read", &shared.root))?;
            let mut scanner = dockmgr_core::log::Scanner::from_boundary(start);
            scanner.push(&bytes);
            let mut records = Vec::new();
            loop {
                let position = scanner.position();
                let corrupt =
                    |source| Error::File(dockmgr_support::log_file::Error::Corrupt { position, source });
                match scanner.next_entry().map_err(corrupt)? {
                    Some(Entry::Data(record)) => records.push(record),
                    Some(Entry::End(_)) => {}
                    None => return Ok(records),
                }
            }
        })
        .await
    }
}
