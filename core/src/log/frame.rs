//! The form of a log in a file: a header that names the attempt, then one checked frame an entry.
//!
//! ```text
//!   header  magic "dmgrlog" | version u8 | job u64 | task u32 | attempt u32 | crc32 u32         28 bytes
//!   frame   len u32 | crc32 u32 (of len and body) | body[len]
//!   body    1 | stream u8 | offset u64 | time i64 | bytes...                                    data
//!           2 | stdout u64 | stderr u64 | count u16 | marks                                     end
//!   mark    1 | stream u8 | at u64 | cap u64                                                    truncated
//!           2 | len u16 | reason                                                                suspect
//!           3 | stream u8 | from u64 | to u64 | len u16 | reason                                gap
//! ```
//!
//! Numbers are little-endian. Decoding never panics and never allocates more than the input holds. A tail that was cut
//! off by a crash is told apart from bytes that are wrong.

mod decode;
mod encode;

pub use decode::{Corrupt, Decoded, decode, decode_header};
pub use encode::{encode, header};

/// Most output bytes of one frame; a longer record is written as several.
pub const MAX_PAYLOAD: usize = 256 * 1024;
/// Bytes of a file header.
pub const HEADER_LEN: usize = 28;
/// Most marks of an end; more are folded into a last "suspect" mark.
pub const MAX_MARKS: usize = 64;

/// Bytes before a frame's body: its length and checksum.
const PREFIX_LEN: usize = 8;
/// Bytes of a data body before its payload.
const DATA_FIELDS: usize = 18;
/// Longest body a writer makes: a full data frame, which is longer than any end.
const MAX_BODY: usize = DATA_FIELDS + MAX_PAYLOAD;
/// First bytes of every log file; the last one is the version.
const MAGIC: [u8; 8] = *b"dmgrlog\x01";

const KIND_DATA: u8 = 1;
const KIND_END: u8 = 2;
const MARK_TRUNCATED: u8 = 1;
const MARK_SUSPECT: u8 = 2;
const MARK_GAP: u8 = 3;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;

#[cfg(test)]
mod tests;
