//! One line of output, or one thing that happened to it, on its way to another system.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use super::PlaceError;
use crate::ids::{AttemptId, JobId};
use crate::log::{Mark, Stream};
use crate::outcome::EndReason;
use crate::search::{Severity, severity};
use crate::time::WallTime;

/// A line, a piece of one that is longer than [`MAX_LINE`](crate::search::MAX_LINE), a mark, or an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it tells of.
    pub id: DocumentId,
    /// Of a line when its first byte was seen, of anything else when the attempt or the job ended, by the worker's clock.
    pub time: WallTime,
    /// The bytes of a line without the newline, which are any bytes; of anything else words for people.
    pub bytes: Bytes,
    /// How it ended; `None` for lines and marks.
    pub end: Option<Ended>,
    /// What is known of the attempt.
    pub about: Arc<About>,
}

/// What a document tells of: the same whenever it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DocumentId {
    /// A line of an attempt, by the offset of its first byte in its stream. Printed `42.7.1-stdout-1024`.
    Line(AttemptId, Stream, u64),
    /// Output of an attempt is not known to be whole: its mark of this number, from 0. Printed `42.7.1-mark-0`.
    Mark(AttemptId, u32),
    /// The end of an attempt. Printed `42.7.1-end`.
    Attempt(AttemptId),
    /// The end of a job. Printed `42-end`.
    Job(JobId),
}

/// How an attempt or a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: WallTime,
    /// Why.
    pub reason: EndReason,
    /// Exit code; `None` where there is none.
    pub exit_code: Option<u8>,
    /// Whether that is success.
    pub is_success: bool,
    /// More words; empty if there are none.
    pub message: String,
}

/// What is known of an attempt besides its output; empty where the cluster has forgotten it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Name of the job.
    pub job_name: Option<String>,
    /// Its labels, key and value.
    pub labels: Vec<(String, String)>,
    /// Its image.
    pub image: Option<String>,
    /// Name of the node of the attempt.
    pub node: Option<String>,
}

impl Document {
    /// A line.
    pub fn line(id: DocumentId, time: WallTime, bytes: Bytes, about: &Arc<About>) -> Self {
        Self { id, time, bytes, end: None, about: Arc::clone(about) }
    }

    /// One for each mark of an attempt's output, which are the same each time.
    pub fn marks(attempt: AttemptId, marks: &[Mark], at: WallTime, about: &Arc<About>) -> Vec<Self> {
        let document =
            |(number, mark)| Self::line(DocumentId::Mark(attempt, number), at, words(mark).into(), about);
        (0..).zip(marks).map(document).collect()
    }

    /// The end of an attempt or a job.
    pub fn ended(id: DocumentId, end: Ended, about: Arc<About>) -> Self {
        let code = end.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
        let more = if end.message.is_empty() { String::new() } else { format!(": {}", end.message) };
        let bytes = format!("ended: {}{code}{more}", end.reason.as_str()).into();
        Self { id, time: end.at, bytes, end: Some(end), about }
    }

    /// Bytes it counts against the limits of a batch: its own and what every form writes around them.
    pub fn size(&self) -> usize {
        const AROUND: usize = 512;
        self.bytes.len() + AROUND
    }

    /// Its bytes as text; `None` if they are none.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// Its bytes in hexadecimal.
    pub fn hex(&self) -> String {
        self.bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How bad it is: what a line says of itself; a mark is a warning, an end that is no success an error.
    pub fn severity(&self) -> Option<Severity> {
        match (self.id, &self.end) {
            (DocumentId::Line(..), _) => severity(&self.bytes),
            (DocumentId::Mark(..), _) => Some(Severity::Warn),
            (_, Some(end)) if end.is_success => Some(Severity::Info),
            (DocumentId::Attempt(_) | DocumentId::Job(_), _) => Some(Severity::Error),
        }
    }
}

impl DocumentId {
    /// The job.
    pub fn job(self) -> JobId {
        match self {
            Self::Line(attempt, ..) | Self::Mark(attempt, _) | Self::Attempt(attempt) => attempt.job(),
            Self::Job(job) => job,
        }
    }

    /// The attempt; `None` for the end of a whole job.
    pub fn attempt(self) -> Option<AttemptId> {
        match self {
            Self::Line(attempt, ..) | Self::Mark(attempt, _) | Self::Attempt(attempt) => Some(attempt),
            Self::Job(_) => None,
        }
    }

    /// Stream and offset of a line.
    pub fn line(self) -> Option<(Stream, u64)> {
        match self {
            Self::Line(_, stream, offset) => Some((stream, offset)),
            Self::Mark(..) | Self::Attempt(_) | Self::Job(_) => None,
        }
    }

    /// What kind of thing it is, as people filter by it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Line(..) => "output",
            Self::Mark(..) => "mark",
            Self::Attempt(_) => "attempt_end",
            Self::Job(_) => "job_end",
        }
    }
}

/// A mark for people.
fn words(mark: &Mark) -> String {
    match mark {
        Mark::Truncated { stream, at, cap } => {
            format!("output lost: {stream} is cut at byte {at}, the cap is {cap} bytes")
        }
        Mark::Suspect { reason } => format!("output may be lost: {reason}"),
        Mark::Gap { stream, from, to, reason } if from == to => {
            format!("output lost: nobody knows how much of {stream} at byte {from}: {reason}")
        }
        Mark::Gap { stream, from, to, reason } => {
            format!("output lost: {stream} from byte {from} to {to}: {reason}")
        }
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(attempt, stream, offset) => write!(f, "{attempt}-{stream}-{offset}"),
            Self::Mark(attempt, number) => write!(f, "{attempt}-mark-{number}"),
            Self::Attempt(attempt) => write!(f, "{attempt}-end"),
            Self::Job(job) => write!(f, "{job}-end"),
        }
    }
}

impl FromStr for DocumentId {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let (whose, what) = text.split_once('-').ok_or(PlaceError)?;
        let attempt = || whose.parse::<AttemptId>().map_err(|_| PlaceError);
        match what.split_once('-') {
            None if what == "end" && whose.contains('.') => Ok(Self::Attempt(attempt()?)),
            None if what == "end" => Ok(Self::Job(whose.parse().map_err(|_| PlaceError)?)),
            None => Err(PlaceError),
            Some(("mark", number)) => Ok(Self::Mark(attempt()?, number.parse().map_err(|_| PlaceError)?)),
            Some((stream, offset)) => {
                let stream = Stream::ALL.into_iter().find(|known| known.to_string() == stream);
                let offset = offset.parse().map_err(|_| PlaceError)?;
                Ok(Self::Line(attempt()?, stream.ok_or(PlaceError)?, offset))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_prints_and_nothing_else_does() {
        for good in
            ["42.7.1-stdout-0", "1.0.9-stderr-18446744073709551615", "42.7.1-mark-3", "42.7.1-end", "42-end"]
        {
            assert_eq!(good.parse::<DocumentId>().expect(good).to_string(), good);
        }
        for bad in
            ["", "42", "42.7.1", "42.7.1-stdin-0", "42.7.0-stdout-0", "42.7.1-stdout-x", "42.7.1-stdout-1-2"]
                .into_iter()
                .chain(["42-mark-0", "42.7.1-mark-", "42-ends", "0-end", "42.7-end"])
        {
            assert_eq!(bad.parse::<DocumentId>(), Err(PlaceError), "{bad}");
        }
    }

    #[test]
    fn an_end_and_a_mark_are_told_in_words() {
        let attempt = AttemptId::from_parts(42, 7, 1).expect("valid");
        let end = Ended {
            at: WallTime(5),
            reason: EndReason::Oom,
            exit_code: Some(137),
            is_success: false,
            message: "2 processes".to_owned(),
        };
        let about = Arc::new(About::default());
        let document = Document::ended(DocumentId::Attempt(attempt), end, Arc::clone(&about));
        assert_eq!(document.text(), Some("ended: oom, exit code 137: 2 processes"));
        assert_eq!((document.severity(), document.time), (Some(Severity::Error), WallTime(5)));
        let gap = |to| Mark::Gap { stream: Stream::Stderr, from: 3, to, reason: "disk".to_owned() };
        let marks = Document::marks(attempt, &[gap(9), gap(3)], WallTime(5), &about);
        let texts: Vec<_> = marks.iter().filter_map(Document::text).collect();
        let unknown = "output lost: nobody knows how much of stderr at byte 3: disk";
        assert_eq!(texts, ["output lost: stderr from byte 3 to 9: disk", unknown]);
        assert_eq!(marks[1].id.to_string(), "42.7.1-mark-1");
    }
}
