//! Reading a segment: the index first, then the frames that are wanted.

use bytes::Bytes;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{End, Offsets};
use zstd::bulk::decompress;

use crate::directory::Directory;
use crate::footer::{FOOTER_LEN, Footer, MAGIC};
use crate::prefix::{FRAME_MAGIC, PREFIX_LEN, Prefix};
use crate::{Corrupt, Error, Filter, Frame, FrameEntry, Part, Section, Source, limits};

/// Bytes of the end that are read at once: the index of most segments but for its filters, and one request to a store.
const TAIL: u64 = 64 * 1024;

/// An open segment: its directory in memory, everything else on request.
#[derive(Debug)]
pub struct Segment<S> {
    source: S,
    footer: Footer,
    frames: Vec<FrameEntry>,
    /// The sections by attempt, each attempt's in order: which frame, and which of its sections.
    by_attempt: Vec<(AttemptId, usize, usize)>,
}

/// What a segment has of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where its part begins: the begin of the output, unless another segment has what comes before.
    pub from: Offsets,
    /// Where its part ends.
    pub to: Offsets,
    /// The end of the output, if it is here.
    pub end: Option<End>,
}

impl<S: Source> Segment<S> {
    /// Reads the footer and the directory.
    pub fn open(source: S) -> Result<Self, Error> {
        let len = source.len().map_err(Error::io("inspect the file"))?;
        let tail_at = len.saturating_sub(TAIL);
        let tail_len = usize::try_from(len - tail_at).expect("at most TAIL");
        let tail = source.read(tail_at, tail_len).map_err(Error::io("read the footer"))?;
        let footer = Footer::decode(&tail, len).map_err(Error::corrupt(Part::Footer))?;
        let stored = if footer.directory_at() >= tail_at {
            let from = usize::try_from(footer.directory_at() - tail_at).expect("inside the tail");
            tail.slice(from..tail.len() - FOOTER_LEN)
        } else {
            let read = source.read(footer.directory_at(), footer.stored as usize);
            read.map_err(Error::io("read the directory"))?
        };
        let frames = read_directory(&footer, &stored).map_err(Error::corrupt(Part::Directory))?;
        let mut by_attempt: Vec<_> = frames
            .iter()
            .enumerate()
            .flat_map(|(frame, entry)| {
                entry.sections.iter().enumerate().map(move |(at, section)| (section.attempt, frame, at))
            })
            .collect();
        by_attempt.sort_unstable();
        Ok(Self { source, footer, frames, by_attempt })
    }

    /// What is known of the frames, in their order; a frame's number is its place here.
    pub fn frames(&self) -> &[FrameEntry] {
        &self.frames
    }

    /// The attempts of which it has something, in order.
    pub fn attempts(&self) -> impl Iterator<Item = (AttemptId, Kept)> {
        let same = self.by_attempt.chunk_by(|a, b| a.0 == b.0);
        same.filter_map(|places| Some((places.first()?.0, self.kept_at(places)?)))
    }

    /// What it has of one attempt.
    pub fn kept(&self, attempt: AttemptId) -> Option<Kept> {
        self.kept_at(self.places(attempt))
    }

    /// The numbers of the frames with something of `attempt`, in order.
    pub fn frames_of(&self, attempt: AttemptId) -> impl Iterator<Item = usize> {
        self.places(attempt).chunk_by(|a, b| a.1 == b.1).filter_map(|same| same.first()).map(|place| place.1)
    }

    /// The filter of a frame: one small read.
    ///
    /// # Panics
    /// If there is no frame of that number, as for the next one.
    pub fn filter(&self, frame: usize) -> Result<Filter, Error> {
        let entry = &self.frames[frame];
        let position = self.footer.filters_at() + entry.filter_position;
        let read = self.source.read(position, entry.filter_len as usize);
        let bytes = read.map_err(Error::io("read a filter"))?;
        if crc32fast::hash(&bytes) != entry.filter_crc {
            return Err(Error::corrupt(Part::Filter(frame))(Corrupt::Checksum));
        }
        Ok(Filter::from_bytes(bytes))
    }

    /// Reads, checks and decompresses a frame.
    pub fn frame(&self, frame: usize) -> Result<Frame, Error> {
        let (prefix, bytes) = self.stored_frame(frame)?;
        let decoded = decode_body(prefix, &bytes[PREFIX_LEN..]).and_then(|decoded| {
            let agrees = decoded.sections().eq(&self.frames[frame].sections);
            if agrees { Ok(decoded) } else { Err(Corrupt::Stranger) }
        });
        decoded.map_err(Error::corrupt(Part::Frame(frame)))
    }

    /// Reads and checks a frame as it is stored, behind its prefix.
    pub(crate) fn stored_frame(&self, frame: usize) -> Result<(Prefix, Bytes), Error> {
        let entry = &self.frames[frame];
        let read = self.source.read(entry.position, PREFIX_LEN + entry.stored as usize);
        let bytes = read.map_err(Error::io("read a frame"))?;
        let checked = Prefix::decode(&bytes).and_then(|prefix| {
            if prefix.magic != FRAME_MAGIC || prefix.stored != entry.stored || prefix.raw != entry.raw {
                return Err(Corrupt::Stranger);
            }
            check_body(prefix, &bytes[PREFIX_LEN..]).map(|()| prefix)
        });
        Ok((checked.map_err(Error::corrupt(Part::Frame(frame)))?, bytes))
    }

    fn places(&self, attempt: AttemptId) -> &[(AttemptId, usize, usize)] {
        let from = self.by_attempt.partition_point(|place| place.0 < attempt);
        let to = self.by_attempt.partition_point(|place| place.0 <= attempt);
        &self.by_attempt[from..to]
    }

    fn kept_at(&self, places: &[(AttemptId, usize, usize)]) -> Option<Kept> {
        let section =
            |place: &(AttemptId, usize, usize)| -> &Section { &self.frames[place.1].sections[place.2] };
        let (first, last) = (section(places.first()?), section(places.last()?));
        Some(Kept { from: first.from, to: last.to, end: last.end.clone() })
    }
}

fn read_directory(footer: &Footer, stored: &[u8]) -> Result<Vec<FrameEntry>, Corrupt> {
    if crc32fast::hash(stored) != footer.crc {
        return Err(Corrupt::Checksum);
    }
    let raw = decompress(stored, footer.raw as usize).map_err(|_| Corrupt::Compression)?;
    let directory = Directory::decode(&raw, MAGIC.len() as u64)?;
    let agrees = directory.position == footer.index && directory.filters == u64::from(footer.filters);
    if agrees { Ok(directory.frames) } else { Err(Corrupt::Form) }
}

/// Whether a body is the one `prefix` tells of.
pub(crate) fn check_body(prefix: Prefix, body: &[u8]) -> Result<(), Corrupt> {
    if crc32fast::hash(body) == prefix.body_crc { Ok(()) } else { Err(Corrupt::Checksum) }
}

/// The frame of a body that was checked.
pub(crate) fn decode_body(prefix: Prefix, body: &[u8]) -> Result<Frame, Corrupt> {
    if prefix.raw as usize > limits::FRAME_RAW {
        return Err(Corrupt::Length);
    }
    let raw = decompress(body, prefix.raw as usize).map_err(|_| Corrupt::Compression)?;
    if raw.len() != prefix.raw as usize {
        return Err(Corrupt::Length);
    }
    Frame::parse(&raw.into())
}
