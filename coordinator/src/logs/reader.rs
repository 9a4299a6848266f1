//! Reading one attempt's log at one's own pace, live or kept.

use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::log::{Entry, LastLines, Offsets, Progress, Record, Stream};
use dockmgr_support::error_chain::Chain;
use dockmgr_support::log_file::Cursor;
use tokio::sync::watch;

use super::attempt_log::Written;
use super::error::run;
use super::store::Shared;
use super::{AttemptLog, Error};

/// How often a log that this process does not write is looked at: rare, and only while somebody follows it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
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
            let bytes = run(move || log.fetch(&shared, position, len, FETCH));
            let entries = self.cursor.feed(&bytes.await?).map_err(Error::File)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
    }

    /// Like [`LogReader::read`], for a caller that is on a blocking thread already.
    pub(crate) fn read_blocking(&mut self) -> Result<Vec<Entry>, Error> {
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
            let bytes = self.log.fetch(&self.shared, position, len, FETCH)?;
            let entries = self.cursor.feed(&bytes).map_err(Error::File)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
    }

    /// Waits until there is more to read or the log was deleted. Returns at once if so; never, once the end was read.
    /// Cancel safe.
    pub(crate) async fn wait(&mut self) {
        let read_to = self.cursor.fed_to();
        if self.cursor.progress().is_ended() {
            return std::future::pending().await;
        }
        loop {
            let more = async {
                // An error cannot be: the log is held here.
                let _never = self.written.wait_for(|now| now.deleted || now.len > read_to).await.is_err();
            };
            tokio::select! {
                // There is more, or it was deleted.
                () = more => return,
                // Another coordinator may have written before it heard that it is not the leader any more.
                () = tokio::time::sleep(LOOK_AGAIN), if self.log.may_grow_elsewhere() => {}
            }
            if let Err(error) = self.log.recover(&self.shared).await {
                tracing::warn!(error = %Chain(&error), "a kept log cannot be looked at again");
            }
        }
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
            let mut scanner = dockmgr_core::log::Scanner::from_boundary(start);
            while scanner.fed_to() < end {
                let most = usize::try_from(end - scanner.fed_to()).unwrap_or(usize::MAX);
                let bytes = log.fetch(&shared, scanner.fed_to(), end, most)?;
                if bytes.is_empty() {
                    break;
                }
                scanner.push(&bytes);
            }
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
