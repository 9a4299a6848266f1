//! Sealed segments: the kept output of many attempts in one file that never changes again.
//!
//! Owns the byte form, writing it, reading parts of it, merging, and building its index anew from its frames. Where
//! segments lie, when they are made and when they go is the coordinator's business; what a record, an end and a mark
//! are is `core::log`'s. Nothing here is async: a file and a range of a stored object both serve as a [`Source`].
//!
//! ```text
//!   segment    "dmgsgmt" version | frame ... | index | footer
//!   prefix     magic (4) | stored u32 | raw u32 | crc32 of the body | crc32 of these 16 bytes      20 bytes
//!   frame      prefix "dmgF" | body: one zstd frame of `raw` bytes                                (`frame`)
//!   raw        sections | lengths and times of the records | the output, a section's stdout before its stderr
//!   index      prefix "dmgI" | filters | directory: a zstd frame, an entry for each frame         (`directory`)
//!   footer     where the index is, its lengths and checksum, crc32 | "dmgsgmt" version             36 bytes
//! ```
//!
//! Numbers are little-endian, those of tables are variable in length (`fields`).
//!
//! Invariant: a frame says everything about itself; the index is a function of the frames and repeats them.
//!
//! Invariant: a frame holds whole lines of each stream; one longer than [`LONGEST_LINE`] is cut into pieces of that size
//! as a search cuts it, and a frame holds whole pieces.
//!
//! Invariant: a filter knows every token of its frame. It may claim others, never deny one.
//!
//! Reading never panics, whatever the bytes are, and allocates at most what [`limits`] allow, however long a length in
//! the file claims to be.

mod directory;
mod error;
mod fields;
mod filter;
mod footer;
mod frame;
pub mod limits;
mod merge;
pub mod plan;
mod prefix;
mod repair;
mod section;
mod segment;
mod source;
pub mod token;
mod writer;

pub use directory::FrameEntry;
pub use error::{Corrupt, Error, Part};
pub use filter::Filter;
pub use frame::{Frame, Run};
pub use limits::LONGEST_LINE;
pub use repair::{Damage, Repaired, repair};
pub use section::{Newlines, Section};
pub use segment::{Kept, Segment};
pub use source::Source;
pub use token::Token;
pub use writer::{AttemptWriter, Finished, Writer};
