//! What stands before a frame and before the index: what follows, how long it is, and whether it is whole.

use crate::Corrupt;
use crate::fields::Fields;

/// Bytes of a prefix.
pub(crate) const PREFIX_LEN: usize = 20;
/// Begins the prefix of a frame.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"dmgF";
/// Begins the prefix of the index.
pub(crate) const INDEX_MAGIC: [u8; 4] = *b"dmgI";

/// A prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) magic: [u8; 4],
    /// Bytes of a frame's body; of the filters before an index.
    pub(crate) stored: u32,
    /// Bytes of the body decompressed; of the directory as stored before an index.
    pub(crate) raw: u32,
    /// Checksum of a frame's body; 0 before an index, whose parts have their own.
    pub(crate) body_crc: u32,
}

impl Prefix {
    pub(crate) fn encode(self) -> [u8; PREFIX_LEN] {
        let mut out = [0; PREFIX_LEN];
        out[..4].copy_from_slice(&self.magic);
        out[4..8].copy_from_slice(&self.stored.to_le_bytes());
        out[8..12].copy_from_slice(&self.raw.to_le_bytes());
        out[12..16].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32fast::hash(&out[..16]);
        out[16..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the prefix at the begin of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let checked = bytes.get(..16).ok_or(Corrupt::Cut)?;
        let mut fields = Fields(bytes);
        let magic = fields.array()?;
        let (stored, raw, body_crc) = (fields.fixed()?, fields.fixed()?, fields.fixed()?);
        if magic != FRAME_MAGIC && magic != INDEX_MAGIC {
            return Err(Corrupt::Magic);
        }
        if fields.fixed().map_err(|_| Corrupt::Cut)? != crc32fast::hash(checked) {
            return Err(Corrupt::Checksum);
        }
        Ok(Self { magic, stored, raw, body_crc })
    }
}
