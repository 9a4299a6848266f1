//! Frames into entries.

use bytes::Bytes;

use super::{
    HEADER_LEN, KIND_DATA, KIND_END, MAGIC, MARK_GAP, MARK_SUSPECT, MARK_TRUNCATED, MAX_BODY, MAX_MARKS,
    PREFIX_LEN, STDERR, STDOUT,
};
use crate::ids::AttemptId;
use crate::log::{End, Entry, MAX_REASON, Mark, Offsets, Record, Stream};
use crate::time::WallTime;

/// Why bytes are not a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// The file does not start as a log file of a known version does.
    #[error("not a log file of a version this program knows")]
    Header,
    /// The header names another attempt.
    #[error("log file of another attempt: {0}")]
    OtherAttempt(AttemptId),
    /// A length no writer makes.
    #[error("frame length out of range")]
    Length,
    /// The checksum does not match.
    #[error("frame checksum does not match")]
    Checksum,
    /// The checksum matches but the fields make no entry, as when a newer program wrote it.
    #[error("frame of an unknown form")]
    Form,
    /// A whole frame that does not follow the one before it.
    #[error("frame out of order")]
    Order,
}

/// What the bytes at a frame boundary are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A whole frame.
    Entry {
        /// What it holds.
        entry: Entry,
        /// Bytes the frame takes.
        len: usize,
    },
    /// The bytes end inside the frame; at the end of a file that is a tail cut off by a crash.
    Torn,
}

/// Reads the frame at the start of `input`.
pub fn decode(input: &[u8]) -> Result<Decoded, Corrupt> {
    let Some((prefix, rest)) = input.split_first_chunk::<PREFIX_LEN>() else {
        return Ok(Decoded::Torn);
    };
    let mut fields = Fields(prefix);
    let len_bytes = fields.array::<4>()?;
    let crc = u32::from_le_bytes(fields.array()?);
    let len = u32::from_le_bytes(len_bytes) as usize;
    if len == 0 || len > MAX_BODY {
        return Err(Corrupt::Length);
    }
    let Some(body) = rest.get(..len) else {
        return Ok(Decoded::Torn);
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len_bytes);
    hasher.update(body);
    if hasher.finalize() != crc {
        return Err(Corrupt::Checksum);
    }
    Ok(Decoded::Entry { entry: decode_body(body)?, len: PREFIX_LEN + len })
}

/// Reads a file header; `None` while `input` is shorter than one.
pub fn decode_header(input: &[u8]) -> Result<Option<AttemptId>, Corrupt> {
    let Some(header) = input.get(..HEADER_LEN) else {
        // A short file is torn only if it could still become a header.
        let known = input.len().min(MAGIC.len());
        return if input[..known] == MAGIC[..known] { Ok(None) } else { Err(Corrupt::Header) };
    };
    let mut fields = Fields(header);
    let magic = fields.array::<8>()?;
    let (job, index, number) =
        (fields.u64()?, u32::from_le_bytes(fields.array()?), u32::from_le_bytes(fields.array()?));
    let crc = u32::from_le_bytes(fields.array()?);
    if magic != MAGIC || crc != crc32fast::hash(&header[..HEADER_LEN - 4]) {
        return Err(Corrupt::Header);
    }
    AttemptId::from_parts(job, index, number).map(Some).ok_or(Corrupt::Header)
}

fn decode_body(body: &[u8]) -> Result<Entry, Corrupt> {
    let mut fields = Fields(body);
    match fields.u8()? {
        KIND_DATA => {
            let (stream, offset, time) = (fields.stream()?, fields.u64()?, fields.time()?);
            let record = Record { stream, offset, time, bytes: Bytes::copy_from_slice(fields.0) };
            Ok(Entry::Data(record))
        }
        KIND_END => {
            let offsets = fields.offsets()?;
            let count = usize::from(u16::from_le_bytes(fields.array()?));
            if count > MAX_MARKS {
                return Err(Corrupt::Form);
            }
            let marks = (0..count).map(|_| decode_mark(&mut fields)).collect::<Result<_, _>>()?;
            if fields.0.is_empty() { Ok(Entry::End(End { offsets, marks })) } else { Err(Corrupt::Form) }
        }
        _ => Err(Corrupt::Form),
    }
}

fn decode_mark(fields: &mut Fields<'_>) -> Result<Mark, Corrupt> {
    match fields.u8()? {
        MARK_TRUNCATED => {
            Ok(Mark::Truncated { stream: fields.stream()?, at: fields.u64()?, cap: fields.u64()? })
        }
        MARK_SUSPECT => Ok(Mark::Suspect { reason: fields.reason()? }),
        MARK_GAP => {
            let (stream, from, to) = (fields.stream()?, fields.u64()?, fields.u64()?);
            Ok(Mark::Gap { stream, from, to, reason: fields.reason()? })
        }
        _ => Err(Corrupt::Form),
    }
}

/// The rest of a body, read field by field.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(Corrupt::Form)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, Corrupt> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Result<WallTime, Corrupt> {
        self.array().map(|field| WallTime(i64::from_le_bytes(field)))
    }

    fn offsets(&mut self) -> Result<Offsets, Corrupt> {
        Ok(Offsets { stdout: self.u64()?, stderr: self.u64()? })
    }

    fn stream(&mut self) -> Result<Stream, Corrupt> {
        match self.u8()? {
            STDOUT => Ok(Stream::Stdout),
            STDERR => Ok(Stream::Stderr),
            _ => Err(Corrupt::Form),
        }
    }

    fn reason(&mut self) -> Result<String, Corrupt> {
        let len = usize::from(u16::from_le_bytes(self.array()?));
        self.text(len)
    }

    fn text(&mut self, len: usize) -> Result<String, Corrupt> {
        let (text, rest) = self.0.split_at_checked(len).ok_or(Corrupt::Form)?;
        self.0 = rest;
        if len > MAX_REASON {
            return Err(Corrupt::Form);
        }
        String::from_utf8(text.to_vec()).map_err(|_| Corrupt::Form)
    }
}
