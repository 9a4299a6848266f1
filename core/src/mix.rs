//! One function that spreads numbers.
//!
//! For jitter and ids that must follow from their inputs; nothing about it is secret. Used by `cluster` and `trace`.

/// The finaliser of `SplitMix64`: one to one, and neighbours end far apart.
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
