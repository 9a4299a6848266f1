//! Reading one attempt's log at one's own pace, live or kept.

use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::log::{Entry, LastLines, Offsets, Progress, Record, Stream};
use dockmgr_support::error_chain::Chain;
use dockmgr_support::log_file::Cursor;
use tokio::sync::watch;

use super::attempt_log::Written;
use super::error::run;
use super::sealed::SealedCursor;
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
    reading: Reading,
    written: watch::Receiver<Written>,
}

/// From what is read. Plain output may be sealed at any time: then reading goes on in the segment, at the same offsets.
#[derive(Debug)]
enum Reading {
    Plain(Cursor),
    Sealed(SealedCursor),
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>, log: Arc<AttemptLog>, from: Offsets) -> Self {
        let written = log.written();
        let reading = if shared.sealed.has(log.attempt()) {
            Reading::Sealed(SealedCursor::new(log.attempt(), from))
        } else {
            Reading::Plain(log.cursor(from))
        };
        Self { shared, log, reading, written }
    }

    /// The next entries, about a quarter of a MiB at most; none if everything written so far was given. Cancel safe.
    pub(crate) async fn read(&mut self) -> Result<Vec<Entry>, Error> {
        loop {
            let len = self.written_len()?;
            let cursor = match &mut self.reading {
                Reading::Plain(cursor) => cursor,
                Reading::Sealed(cursor) => return read_sealed(&self.shared, cursor).await,
            };
            let position = cursor.fed_to();
            if position >= len {
                return Ok(Vec::new());
            }
            let (log, shared) = (Arc::clone(&self.log), Arc::clone(&self.shared));
            match run(move || log.fetch(&shared, position, len, FETCH)).await {
                Ok(bytes) => {
                    let entries = cursor.feed(&bytes).map_err(Error::File)?;
                    if !entries.is_empty() {
                        return Ok(entries);
                    }
                }
                Err(error) => self.follow_into_segment(error)?,
            }
        }
    }

    /// Like [`LogReader::read`], for a caller that is on a blocking thread already.
    pub(crate) fn read_blocking(&mut self) -> Result<Vec<Entry>, Error> {
        loop {
            let len = self.written_len()?;
            let cursor = match &mut self.reading {
                Reading::Plain(cursor) => cursor,
                Reading::Sealed(cursor) => {
                    if cursor.is_hungry() {
                        cursor.feed(cursor.fetch()(&self.shared.sealed)?);
                    }
                    let entries = cursor.give()?;
                    if entries.is_empty() && !cursor.is_done() {
                        continue;
                    }
                    return Ok(entries);
                }
            };
            let position = cursor.fed_to();
            if position >= len {
                return Ok(Vec::new());
            }
            match self.log.fetch(&self.shared, position, len, FETCH) {
                Ok(bytes) => {
                    let entries = cursor.feed(&bytes).map_err(Error::File)?;
                    if !entries.is_empty() {
                        return Ok(entries);
                    }
                }
                Err(error) => self.follow_into_segment(error)?,
            }
        }
    }

    /// Goes on in the segment if the plain files failed because they are gone; else gives the failure back.
    fn follow_into_segment(&mut self, error: Error) -> Result<(), Error> {
        let attempt = self.log.attempt();
        if !self.shared.sealed.has(attempt) {
            return Err(error);
        }
        self.reading = Reading::Sealed(SealedCursor::new(attempt, self.progress().offsets));
        Ok(())
    }

    /// How much of the plain file is written, as of now.
    fn written_len(&mut self) -> Result<u64, Error> {
        let written = self.written.borrow_and_update();
        if written.deleted { Err(Error::Deleted) } else { Ok(written.len) }
    }

    /// Waits until there is more to read or the log was deleted. Returns at once if so; never, once the end was read.
    /// Cancel safe.
    pub(crate) async fn wait(&mut self) {
        if self.progress().is_ended() {
            return std::future::pending().await;
        }
        let read_to = match &self.reading {
            Reading::Plain(cursor) => cursor.fed_to(),
            // All of it is there.
            Reading::Sealed(_) => return,
        };
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
        match &self.reading {
            Reading::Plain(cursor) => cursor.progress(),
            Reading::Sealed(cursor) => cursor.progress(),
        }
    }

    /// What is kept of the log in all.
    pub(crate) fn kept(&self) -> Progress {
        self.log.progress()
    }

    /// Moves the reader to the last `lines` lines of what is written now, of one stream or of both; never back.
    pub(crate) async fn skip_to_last_lines(&mut self, lines: u64, only: Option<Stream>) -> Result<(), Error> {
        if let Reading::Plain(_) = self.reading {
            match self.last_plain_lines(lines, only).await {
                Ok(from) => {
                    self.reading = Reading::Plain(self.log.cursor(self.not_before(from)));
                    return Ok(());
                }
                Err(error) => self.follow_into_segment(error)?,
            }
        }
        let (attempt, shared) = (self.log.attempt(), Arc::clone(&self.shared));
        let from = run(move || shared.sealed.last_lines(attempt, lines, only)).await?;
        let from = self.not_before(from.ok_or(Error::Deleted)?);
        self.reading = Reading::Sealed(SealedCursor::new(attempt, from));
        Ok(())
    }

    /// Of each stream what is later: `from`, or what was read so far.
    fn not_before(&self, mut from: Offsets) -> Offsets {
        for stream in Stream::ALL {
            from.set(stream, from.of(stream).max(self.progress().offsets.of(stream)));
        }
        from
    }

    /// Where the last lines of plain output begin.
    async fn last_plain_lines(&self, lines: u64, only: Option<Stream>) -> Result<Offsets, Error> {
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
        Ok(search.start())
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

/// The next entries of sealed output.
async fn read_sealed(shared: &Arc<Shared>, cursor: &mut SealedCursor) -> Result<Vec<Entry>, Error> {
    loop {
        if cursor.is_hungry() {
            let (fetch, shared) = (cursor.fetch(), Arc::clone(shared));
            cursor.feed(run(move || fetch(&shared.sealed)).await?);
        }
        let entries = cursor.give()?;
        if !entries.is_empty() || cursor.is_done() {
            return Ok(entries);
        }
    }
}
