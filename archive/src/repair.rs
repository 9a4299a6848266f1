//! Checking a segment without believing its index, and building the index anew.

use std::io::Write;

use bytes::Bytes;
use memchr::memmem;

use crate::footer::MAGIC;
use crate::prefix::{FRAME_MAGIC, INDEX_MAGIC, PREFIX_LEN, Prefix};
use crate::segment::{check_body, decode_body};
use crate::{Corrupt, Error, Finished, Frame, Source, Writer, limits};

/// Bytes looked through at once for the next frame behind damage.
const WINDOW: usize = 1024 * 1024;

/// What a repair found.
#[derive(Debug)]
pub struct Repaired<W> {
    /// The segment of all frames that are whole. The one that was read had the same bytes if nothing was damaged.
    pub segment: Finished<W>,
    /// What was left out, in order.
    pub damage: Vec<Damage>,
}

/// Bytes that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin.
    pub position: u64,
    /// Where the next whole frame begins, or the index, or the end of the file.
    pub end: u64,
    /// What is wrong with them.
    pub why: Corrupt,
}

/// Writes the whole frames of `source` to `out`, with an index made of them alone. An `out` that forgets makes it a mere
/// check. The output of an attempt may have holes where frames were left out: offsets tell.
pub fn repair<S: Source, W: Write>(source: &S, out: W) -> Result<Repaired<W>, Error> {
    let len = source.len().map_err(Error::io("inspect the file"))?;
    let mut writer = Writer::new(out)?;
    let mut damage = Vec::new();
    let mut position = MAGIC.len() as u64;
    loop {
        match frame_at(source, position, len)? {
            Ok(Found::Frame(prefix, body, frame)) => {
                writer.copy(prefix, &body, &frame)?;
                position += PREFIX_LEN as u64 + u64::from(prefix.stored);
            }
            Ok(Found::Index) => break,
            Err(why) => {
                let end = next_prefix(source, position + 1, len)?;
                damage.push(Damage { position, end, why });
                if end == len {
                    break;
                }
                position = end;
            }
        }
    }
    Ok(Repaired { segment: writer.finish()?, damage })
}

/// What there is where a frame may begin.
enum Found {
    Frame(Prefix, Bytes, Frame),
    Index,
}

fn frame_at<S: Source>(source: &S, position: u64, len: u64) -> Result<Result<Found, Corrupt>, Error> {
    let prefix = read(source, position, PREFIX_LEN, len)?;
    let prefix = match prefix.and_then(|bytes| Prefix::decode(&bytes)) {
        Ok(prefix) if prefix.magic == INDEX_MAGIC => return Ok(Ok(Found::Index)),
        Ok(prefix) => prefix,
        Err(why) => return Ok(Err(why)),
    };
    if prefix.stored as usize > limits::FRAME_STORED {
        return Ok(Err(Corrupt::Length));
    }
    let body = read(source, position + PREFIX_LEN as u64, prefix.stored as usize, len)?;
    Ok(body.and_then(|body| {
        check_body(prefix, &body)?;
        let frame = decode_body(prefix, &body)?;
        Ok(Found::Frame(prefix, body, frame))
    }))
}

fn read<S: Source>(
    source: &S,
    position: u64,
    want: usize,
    len: u64,
) -> Result<Result<Bytes, Corrupt>, Error> {
    if position.saturating_add(want as u64) > len {
        return Ok(Err(Corrupt::Cut));
    }
    source.read(position, want).map(Ok).map_err(Error::io("read a frame"))
}

/// Where the next prefix is from `from` on, whatever it stands before; the end of the file if there is none.
fn next_prefix<S: Source>(source: &S, from: u64, len: u64) -> Result<u64, Error> {
    let mut start = from;
    while start + (PREFIX_LEN as u64) <= len {
        let want = usize::try_from(len - start).unwrap_or(WINDOW).min(WINDOW);
        let bytes = source.read(start, want).map_err(Error::io("look for a frame"))?;
        let found = |magic: [u8; 4]| {
            memmem::find_iter(&bytes, &magic).find(|at| Prefix::decode(&bytes[*at..]).is_ok())
        };
        if let Some(at) = found(FRAME_MAGIC).into_iter().chain(found(INDEX_MAGIC)).min() {
            return Ok(start + at as u64);
        }
        // A prefix may begin at the end of this window and end in the next.
        start += (want + 1 - PREFIX_LEN) as u64;
    }
    Ok(len)
}
