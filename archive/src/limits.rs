//! The bounds of a segment. A writer stays below them, a reader refuses what lies above.

/// Raw bytes at which a frame is closed: enough for a good ratio, little to decompress for one hit.
pub const FRAME_TARGET: usize = 1024 * 1024;
/// Most raw bytes of a frame. Records with the most hostile times take three times what the writer counts for them.
pub const FRAME_RAW: usize = 4 * FRAME_TARGET;
/// Most bytes of a frame's body: zstd adds less than this to what cannot be compressed.
pub const FRAME_STORED: usize = FRAME_RAW + 64 * 1024;
/// Most bytes of an unfinished line that are held back for the next frame: a search takes longer ones in pieces, too.
pub const LONGEST_LINE: usize = dockmgr_core::search::MAX_LINE;
/// Most frames: a segment holds about 1 GiB of output at most, and its writer 64 MiB of filters.
pub const FRAMES: usize = 1024;
/// Most sections of all frames: what an open segment keeps in memory for each is about 150 bytes.
pub const SECTIONS: usize = 64 * 1024;
/// Most raw bytes of a directory: that many sections, and marks.
pub const DIRECTORY_RAW: usize = 16 * 1024 * 1024;
/// Most bytes of a directory as stored.
pub const DIRECTORY_STORED: usize = DIRECTORY_RAW + 64 * 1024;
/// Most bytes of a filter: 10 bits for each of 52,000 different tokens in a mebibyte of text.
pub const FILTER: usize = 64 * 1024;
