//! Output events to bytes for our streams. Pure: it writes nothing.

use std::collections::BTreeMap;

use dockmgr_core::log::{LineAssembler, Piece as Line};
use dockmgr_proto::v1::tail_logs_response::Event;
use dockmgr_proto::v1::{AttemptRef, LogBatch, LogRecord, LogStream, TailLogsResponse};

use crate::failure::Failure;
use crate::output;
use crate::terminal::Sanitizer;

/// Longest line that is held back until it is whole; the rest of a longer one follows in pieces.
const MOST_HELD: usize = 64 * 1024;

/// Which of our streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum To {
    Stdout,
    Stderr,
}

/// Bytes for one of our streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) to: To,
    pub(crate) bytes: Vec<u8>,
}

/// How output is shown.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whole lines under `JOB.TASK| `, for an array.
    pub(crate) prefixed: bool,
    /// Lines begin with their time.
    pub(crate) timestamps: bool,
    /// The API's JSON, one event a line.
    pub(crate) json: bool,
    /// Standard output is a terminal and must be protected.
    pub(crate) guard_stdout: bool,
    /// Standard error is a terminal and must be protected.
    pub(crate) guard_stderr: bool,
}

impl Style {
    fn guards(self, to: To) -> bool {
        match to {
            To::Stdout => self.guard_stdout,
            To::Stderr => self.guard_stderr,
        }
    }
}

/// A stream of a task.
type Source = (u32, To);

/// Turns events into bytes.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    style: Style,
    lines: BTreeMap<Source, LineAssembler>,
    guards: BTreeMap<Source, Sanitizer>,
    /// Whose line is unfinished on our output, per stream of ours.
    open: BTreeMap<To, u32>,
    job: u64,
}

impl Printer {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, ..Self::default() }
    }

    /// The bytes for one event, in order.
    pub(crate) fn print(&mut self, event: &Event) -> Result<Vec<Piece>, Failure> {
        if self.style.json {
            let line = TailLogsResponse { resume_token: String::new(), event: Some(event.clone()) };
            let bytes = output::json_line(&line)?.into_bytes();
            return Ok(vec![Piece { to: To::Stdout, bytes }]);
        }
        let mut pieces = Vec::new();
        match event {
            Event::Batch(batch) => self.batch(batch, &mut pieces),
            Event::End(end) => self.end_of(end.attempt.as_ref(), &mut pieces),
            Event::Begin(_) | Event::Idle(_) | Event::JobEnd(_) => {}
        }
        Ok(pieces)
    }

    /// What was held back, when nothing follows.
    pub(crate) fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let sources: Vec<Source> = self.lines.keys().chain(self.guards.keys()).copied().collect();
        for source in sources {
            self.close(source, &mut pieces);
        }
        pieces
    }

    fn batch(&mut self, batch: &LogBatch, pieces: &mut Vec<Piece>) {
        let (job, task) = batch.attempt.as_ref().map_or((0, 0), |a| (a.job_id, a.task_index));
        self.job = job;
        for record in &batch.records {
            let to = if record.stream() == LogStream::Stderr { To::Stderr } else { To::Stdout };
            if self.style.prefixed || self.style.timestamps {
                self.by_lines((task, to), record, pieces);
            } else {
                self.emit((task, to), &record.data, pieces);
            }
        }
    }

    fn by_lines(&mut self, source: Source, record: &LogRecord, pieces: &mut Vec<Piece>) {
        let time = record.time.as_ref().map(output::rfc3339).unwrap_or_default();
        let mut assembler = self.lines.remove(&source).unwrap_or_else(|| LineAssembler::new(MOST_HELD));
        assembler.push(&record.data, |line| self.line(source, &time, line, pieces));
        self.lines.insert(source, assembler);
    }

    fn line(&mut self, source: Source, time: &str, line: Line<'_>, pieces: &mut Vec<Piece>) {
        let (task, to) = source;
        let follows_on = self.open.get(&to) == Some(&task) && !line.starts_line;
        if self.open.contains_key(&to) && !follows_on {
            add(pieces, to, b"\n");
        }
        if !follows_on {
            let mut head = String::new();
            if self.style.prefixed {
                head = format!("{}.{task}| ", self.job);
            }
            if self.style.timestamps {
                head = format!("{head}{time} ");
            }
            add(pieces, to, head.as_bytes());
        }
        self.emit(source, line.bytes, pieces);
        if line.ends_line() {
            self.open.remove(&to);
        } else {
            self.open.insert(to, task);
        }
    }

    fn emit(&mut self, source: Source, bytes: &[u8], pieces: &mut Vec<Piece>) {
        if !self.style.guards(source.1) {
            return add(pieces, source.1, bytes);
        }
        let mut harmless = Vec::with_capacity(bytes.len());
        self.guards.entry(source).or_default().push(bytes, &mut harmless);
        add(pieces, source.1, &harmless);
    }

    fn end_of(&mut self, attempt: Option<&AttemptRef>, pieces: &mut Vec<Piece>) {
        let task = attempt.map_or(0, |a| a.task_index);
        for to in [To::Stdout, To::Stderr] {
            self.close((task, to), pieces);
        }
    }

    /// Gives out what is held of one source, and the newline that keeps others off its last line.
    fn close(&mut self, source: Source, pieces: &mut Vec<Piece>) {
        if let Some(mut assembler) = self.lines.remove(&source) {
            assembler.finish(|line| self.line(source, "", line, pieces));
        }
        if let Some(mut guard) = self.guards.remove(&source) {
            let mut harmless = Vec::new();
            guard.finish(&mut harmless);
            add(pieces, source.1, &harmless);
        }
        if self.style.prefixed && self.open.get(&source.1) == Some(&source.0) {
            self.open.remove(&source.1);
            add(pieces, source.1, b"\n");
        }
    }
}

/// Adds bytes, joined with the last piece where that goes to the same stream.
fn add(pieces: &mut Vec<Piece>, to: To, bytes: &[u8]) {
    match pieces.last_mut() {
        _ if bytes.is_empty() => {}
        Some(last) if last.to == to => last.bytes.extend_from_slice(bytes),
        Some(_) | None => pieces.push(Piece { to, bytes: bytes.to_vec() }),
    }
}

#[cfg(test)]
mod tests;
