//! Entries into frames.

use super::{
    HEADER_LEN, KIND_DATA, KIND_END, MAGIC, MARK_GAP, MARK_SUSPECT, MARK_TRUNCATED, MAX_MARKS, MAX_PAYLOAD,
    PREFIX_LEN, STDERR, STDOUT,
};
use crate::ids::AttemptId;
use crate::log::{End, Entry, MAX_REASON, Mark, Record, Stream};

/// The header of the file that holds `attempt`'s log.
pub fn header(attempt: AttemptId) -> [u8; HEADER_LEN] {
    let mut out = [0; HEADER_LEN];
    out[..8].copy_from_slice(&MAGIC);
    out[8..16].copy_from_slice(&attempt.task.job.get().to_le_bytes());
    out[16..20].copy_from_slice(&attempt.task.index.0.to_le_bytes());
    out[20..24].copy_from_slice(&attempt.number.0.to_le_bytes());
    let crc = crc32fast::hash(&out[..24]);
    out[24..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Appends `entry` to `out` as one frame, or as several where a record is longer than [`MAX_PAYLOAD`].
pub fn encode(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Data(record) => encode_data(record, out),
        Entry::End(end) => frame(out, |out| encode_end(end, out)),
    }
}

fn encode_data(record: &Record, out: &mut Vec<u8>) {
    let mut offset = record.offset;
    for piece in record.bytes.chunks(MAX_PAYLOAD) {
        frame(out, |out| {
            out.extend_from_slice(&[KIND_DATA, stream_code(record.stream)]);
            out.extend_from_slice(&offset.to_le_bytes());
            out.extend_from_slice(&record.time.0.to_le_bytes());
            out.extend_from_slice(piece);
        });
        offset = offset.saturating_add(piece.len() as u64);
    }
}

fn encode_end(end: &End, out: &mut Vec<u8>) {
    out.push(KIND_END);
    out.extend_from_slice(&end.offsets.stdout.to_le_bytes());
    out.extend_from_slice(&end.offsets.stderr.to_le_bytes());
    let folded = Mark::Suspect { reason: "more marks than are kept".to_owned() };
    let too_many = end.marks.len() > MAX_MARKS;
    let shown = if too_many { MAX_MARKS - 1 } else { end.marks.len() };
    let marks = end.marks.iter().take(shown).chain(too_many.then_some(&folded));
    out.extend_from_slice(&u16_of(shown + usize::from(too_many)));
    for mark in marks {
        encode_mark(mark, out);
    }
}

fn encode_mark(mark: &Mark, out: &mut Vec<u8>) {
    match mark {
        Mark::Truncated { stream, at, cap } => {
            out.extend_from_slice(&[MARK_TRUNCATED, stream_code(*stream)]);
            out.extend_from_slice(&at.to_le_bytes());
            out.extend_from_slice(&cap.to_le_bytes());
        }
        Mark::Suspect { reason } => {
            out.push(MARK_SUSPECT);
            encode_reason(reason, out);
        }
        Mark::Gap { stream, from, to, reason } => {
            out.extend_from_slice(&[MARK_GAP, stream_code(*stream)]);
            out.extend_from_slice(&from.to_le_bytes());
            out.extend_from_slice(&to.to_le_bytes());
            encode_reason(reason, out);
        }
    }
}

fn encode_reason(reason: &str, out: &mut Vec<u8>) {
    let reason = kept(reason);
    out.extend_from_slice(&u16_of(reason.len()));
    out.extend_from_slice(reason.as_bytes());
}

/// Writes one frame whose body is what `body` appends.
fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_LEN]);
    body(out);
    let len =
        u32::try_from(out.len() - start - PREFIX_LEN).expect("a body is at most MAX_BODY, far below 4 GiB");
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&len.to_le_bytes());
    crc.update(&out[start + PREFIX_LEN..]);
    out[start + 4..start + PREFIX_LEN].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// The part of a reason that is kept, cut between characters.
fn kept(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

fn u16_of(len: usize) -> [u8; 2] {
    u16::try_from(len).expect("counts and reasons are capped far below 65536").to_le_bytes()
}

fn stream_code(stream: Stream) -> u8 {
    match stream {
        Stream::Stdout => STDOUT,
        Stream::Stderr => STDERR,
    }
}
