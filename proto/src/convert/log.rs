//! Log positions, streams and ends on the wire.

use dockmgr_core::log::frame::MAX_MARKS;
use dockmgr_core::log::{End, MAX_REASON, Mark, Offsets, Record, Stream};
use dockmgr_core::search::Severity;

use super::{Error, Problem, at_most, cut, ids, required, time};
use crate::v1;
use crate::v1::log_mark::Kind;

/// Reads a stream that must be given.
pub fn stream_from_wire(field: &str, wire: i32) -> Result<Stream, Error> {
    optional_stream_from_wire(field, wire)?.ok_or_else(|| Error::missing(field))
}

/// Reads a stream where "unspecified" means both.
pub fn optional_stream_from_wire(field: &str, wire: i32) -> Result<Option<Stream>, Error> {
    match v1::LogStream::try_from(wire) {
        Ok(v1::LogStream::Unspecified) => Ok(None),
        Ok(v1::LogStream::Stdout) => Ok(Some(Stream::Stdout)),
        Ok(v1::LogStream::Stderr) => Ok(Some(Stream::Stderr)),
        Err(_) => Err(Error::new(field, Problem::UnknownValue(wire))),
    }
}

/// Writes a stream.
pub fn stream_to_wire(stream: Stream) -> v1::LogStream {
    match stream {
        Stream::Stdout => v1::LogStream::Stdout,
        Stream::Stderr => v1::LogStream::Stderr,
    }
}

/// Writes how grave a line is.
pub fn severity_to_wire(severity: Option<Severity>) -> v1::LogSeverity {
    match severity {
        None => v1::LogSeverity::Unspecified,
        Some(Severity::Trace) => v1::LogSeverity::Trace,
        Some(Severity::Debug) => v1::LogSeverity::Debug,
        Some(Severity::Info) => v1::LogSeverity::Info,
        Some(Severity::Warn) => v1::LogSeverity::Warn,
        Some(Severity::Error) => v1::LogSeverity::Error,
        Some(Severity::Fatal) => v1::LogSeverity::Fatal,
    }
}

/// Reads a position on both streams.
pub fn offsets_from_wire(field: &str, wire: Option<v1::LogOffsets>) -> Result<Offsets, Error> {
    let v1::LogOffsets { stdout, stderr } = required(field, wire)?;
    Ok(Offsets { stdout, stderr })
}

/// Writes a position on both streams.
pub fn offsets_to_wire(offsets: Offsets) -> v1::LogOffsets {
    v1::LogOffsets { stdout: offsets.stdout, stderr: offsets.stderr }
}

/// Reads the end of an attempt's output.
pub fn end_from_wire(field: &str, wire: Option<v1::LogEnd>) -> Result<End, Error> {
    let wire = required(field, wire)?;
    let marks = format!("{field}.marks");
    at_most(&marks, &wire.marks, MAX_MARKS)?;
    let read = |(at, mark)| mark_from_wire(&format!("{marks}[{at}]"), mark);
    Ok(End {
        offsets: offsets_from_wire(&format!("{field}.end"), wire.end)?,
        marks: wire.marks.into_iter().enumerate().map(read).collect::<Result<_, _>>()?,
    })
}

/// Writes the end of an attempt's output.
pub fn end_to_wire(end: &End) -> v1::LogEnd {
    v1::LogEnd {
        end: Some(offsets_to_wire(end.offsets)),
        marks: end.marks.iter().map(mark_to_wire).collect(),
    }
}

/// Reads one mark.
fn mark_from_wire(field: &str, wire: v1::LogMark) -> Result<Mark, Error> {
    let v1::LogMark { kind, stream, offset, gap_end, cap_bytes, reason } = wire;
    let stream = || stream_from_wire(&format!("{field}.stream"), stream);
    match Kind::try_from(kind) {
        Ok(Kind::Truncated) => Ok(Mark::Truncated { stream: stream()?, at: offset, cap: cap_bytes }),
        Ok(Kind::Suspect) => Ok(Mark::Suspect { reason: cut(reason, MAX_REASON) }),
        Ok(Kind::Gap) if gap_end < offset => {
            Err(Error::new(format!("{field}.gap_end"), Problem::Rule("it must not lie before `offset`")))
        }
        Ok(Kind::Gap) => {
            Ok(Mark::Gap { stream: stream()?, from: offset, to: gap_end, reason: cut(reason, MAX_REASON) })
        }
        Ok(Kind::Unspecified) => Err(Error::missing(format!("{field}.kind"))),
        Err(_) => Err(Error::new(format!("{field}.kind"), Problem::UnknownValue(kind))),
    }
}

/// Writes one mark.
fn mark_to_wire(mark: &Mark) -> v1::LogMark {
    match mark {
        Mark::Truncated { stream, at, cap } => v1::LogMark {
            kind: Kind::Truncated.into(),
            stream: stream_to_wire(*stream).into(),
            offset: *at,
            cap_bytes: *cap,
            ..v1::LogMark::default()
        },
        Mark::Suspect { reason } => {
            v1::LogMark { kind: Kind::Suspect.into(), reason: reason.clone(), ..v1::LogMark::default() }
        }
        Mark::Gap { stream, from, to, reason } => v1::LogMark {
            kind: Kind::Gap.into(),
            stream: stream_to_wire(*stream).into(),
            offset: *from,
            gap_end: *to,
            reason: reason.clone(),
            ..v1::LogMark::default()
        },
    }
}

/// Writes a piece of output for a reader.
pub fn record_to_wire(record: &Record) -> v1::LogRecord {
    v1::LogRecord {
        stream: stream_to_wire(record.stream).into(),
        offset: record.offset,
        time: Some(time::wall_to_wire(record.time)),
        data: record.bytes.clone(),
    }
}

/// Reads a piece of output as a reader gets it.
pub fn record_from_wire(field: &str, wire: v1::LogRecord) -> Result<Record, Error> {
    Ok(Record {
        stream: stream_from_wire(&format!("{field}.stream"), wire.stream)?,
        offset: wire.offset,
        time: time::wall_from_wire(&format!("{field}.time"), wire.time)?,
        bytes: wire.data,
    })
}

/// Reads a piece of output that a worker uploads. The checksum is not looked at here: its owner is the ingest, which
/// answers a wrong one by asking for the piece again.
pub fn chunk_from_wire(wire: v1::UploadChunk) -> Result<(dockmgr_core::ids::AttemptId, Record, u32), Error> {
    let attempt = ids::attempt_from_wire("chunk.attempt", wire.attempt)?;
    let record = Record {
        stream: stream_from_wire("chunk.stream", wire.stream)?,
        offset: wire.offset,
        time: time::wall_from_wire("chunk.time", wire.time)?,
        bytes: wire.data,
    };
    Ok((attempt, record, wire.crc32))
}

/// Writes a piece of output for the upload; `crc32` is the CRC-32 (IEEE) of its bytes.
pub fn chunk_to_wire(attempt: dockmgr_core::ids::AttemptId, record: &Record, crc32: u32) -> v1::UploadChunk {
    v1::UploadChunk {
        attempt: Some(ids::attempt_to_wire(attempt)),
        stream: stream_to_wire(record.stream).into(),
        offset: record.offset,
        time: Some(time::wall_to_wire(record.time)),
        data: record.bytes.clone(),
        crc32,
    }
}
