//! The last bytes of a segment, which say where its index is; and the first.
//!
//! ```text
//!   footer   position of the index u64 | filters u32 | directory stored u32, raw u32, crc32 | crc32 of these | magic    36 bytes
//! ```

use crate::fields::Fields;
use crate::prefix::PREFIX_LEN;
use crate::{Corrupt, limits};

/// First and last bytes of a segment; the last one of them is the version.
pub(crate) const MAGIC: [u8; 8] = *b"dmgsgmt\x01";
/// Bytes of a footer.
pub(crate) const FOOTER_LEN: usize = 36;

/// Where the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Of the prefix of the index: the end of the last frame.
    pub(crate) index: u64,
    /// Bytes of all filters.
    pub(crate) filters: u32,
    /// Bytes of the directory as stored.
    pub(crate) stored: u32,
    /// Bytes of the directory decompressed.
    pub(crate) raw: u32,
    /// Checksum of the directory as stored.
    pub(crate) crc: u32,
}

impl Footer {
    /// Where the first filter is.
    pub(crate) fn filters_at(self) -> u64 {
        self.index + PREFIX_LEN as u64
    }

    /// Where the directory is.
    pub(crate) fn directory_at(self) -> u64 {
        self.filters_at() + u64::from(self.filters)
    }

    pub(crate) fn encode(self) -> [u8; FOOTER_LEN] {
        let mut out = [0; FOOTER_LEN];
        out[..8].copy_from_slice(&self.index.to_le_bytes());
        for (at, number) in [self.filters, self.stored, self.raw, self.crc].into_iter().enumerate() {
            out[8 + 4 * at..12 + 4 * at].copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32fast::hash(&out[..24]);
        out[24..28].copy_from_slice(&crc.to_le_bytes());
        out[28..].copy_from_slice(&MAGIC);
        out
    }

    /// Reads the footer at the end of `tail`, which is the end of a segment of `len` bytes.
    pub(crate) fn decode(tail: &[u8], len: u64) -> Result<Self, Corrupt> {
        let start = tail.len().checked_sub(FOOTER_LEN).ok_or(Corrupt::Cut)?;
        let bytes = &tail[start..];
        let mut fields = Fields(bytes);
        let footer = Self {
            index: fields.fixed_long()?,
            filters: fields.fixed()?,
            stored: fields.fixed()?,
            raw: fields.fixed()?,
            crc: fields.fixed()?,
        };
        let crc = fields.fixed()?;
        if fields.0 != MAGIC {
            return Err(Corrupt::Magic);
        }
        if crc != crc32fast::hash(&bytes[..24]) {
            return Err(Corrupt::Checksum);
        }
        let fits = footer.stored as usize <= limits::DIRECTORY_STORED
            && footer.raw as usize <= limits::DIRECTORY_RAW
            && footer.index < len
            && footer.directory_at() + u64::from(footer.stored) + FOOTER_LEN as u64 == len;
        if fits { Ok(footer) } else { Err(Corrupt::Length) }
    }
}
