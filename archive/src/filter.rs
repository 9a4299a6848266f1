//! Which tokens a frame may hold: a Bloom filter.
//!
//! ```text
//!   filter   probes u8 | bits...        empty for a frame without tokens
//! ```

use std::collections::HashSet;

use bytes::Bytes;
use dockmgr_core::search::Needs;

use crate::{Token, limits, token};

/// Bits for each token where there is room: one of a hundred absent tokens passes.
const BITS: usize = 10;
/// The part of a frame's stored bytes a filter may take. In text that compresses well tokens get fewer bits; at 5 one of
/// eleven passes, which still spares ten of eleven frames.
const SHARE: usize = 8;

/// The filter of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    bytes: Bytes,
}

impl Filter {
    /// Whether the frame may hold the token. If this is false, it does not.
    pub fn may_contain(&self, token: Token) -> bool {
        let Some((probes, bits)) = self.bytes.split_first().filter(|(_, bits)| !bits.is_empty()) else {
            return false;
        };
        places(token, *probes, bits.len()).all(|(byte, bit)| bits[byte] & bit != 0)
    }

    /// Whether the frame may hold a line that a query finds which needs this. If this is false, it does not.
    pub fn may_match(&self, needs: &Needs) -> bool {
        needs.allow(&|folded| token::all(folded).all(|token| self.may_contain(token)))
    }

    /// Bytes it takes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The filter of a frame that takes `stored` bytes and has these tokens.
    pub(crate) fn of(tokens: &HashSet<Token, TokenHasher>, stored: usize) -> Self {
        if tokens.is_empty() {
            return Self { bytes: Bytes::new() };
        }
        let len = (tokens.len() * BITS).div_ceil(8).min(stored / SHARE).clamp(1, limits::FILTER);
        // ln 2 bits for each probe are best.
        let probes = u8::try_from((len * 8 * 7 / 10 / tokens.len()).clamp(1, 7)).unwrap_or(1);
        let mut bytes = vec![0; 1 + len];
        bytes[0] = probes;
        for token in tokens {
            for (byte, bit) in places(*token, probes, len) {
                bytes[1 + byte] |= bit;
            }
        }
        Self { bytes: bytes.into() }
    }

    /// The filter of these bytes, which were checked.
    pub(crate) fn from_bytes(bytes: Bytes) -> Self {
        Self { bytes }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bits that stand for a token in `len` bytes.
fn places(token: Token, probes: u8, len: usize) -> impl Iterator<Item = (usize, u8)> {
    let bits = len as u64 * 8;
    let (first, step) = (token.0 & u64::from(u32::MAX), (token.0 >> 32) | 1);
    (0..u64::from(probes)).map(move |probe| {
        let spread = first.wrapping_add(probe.wrapping_mul(step)) & u64::from(u32::MAX);
        let at = (spread * bits) >> 32;
        let byte = usize::try_from(at / 8).expect("below len, which is a usize");
        (byte, 1 << (at % 8))
    })
}

/// Hashes what is a hash already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TokenHasher(u64);

impl std::hash::BuildHasher for TokenHasher {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self::default()
    }
}

impl std::hash::Hasher for TokenHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(range: std::ops::Range<u32>) -> HashSet<Token, TokenHasher> {
        range.flat_map(|n| token::all(format!("n{n}").as_bytes()).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn no_token_is_denied_and_few_absent_ones_pass() {
        // With room, with little room, and with almost none.
        for (stored, most) in [(1 << 20, 200), (50_000, 1_600), (8, 10_000)] {
            let held = numbers(0..10_000);
            let filter = Filter::of(&held, stored);
            assert!(held.iter().all(|token| filter.may_contain(*token)));
            assert!(filter.as_bytes().len() <= 1 + stored / SHARE);
            let passed = numbers(10_000..20_000).iter().filter(|t| filter.may_contain(**t)).count();
            assert!(passed <= most, "{passed} of 10,000 passed with {stored} bytes stored");
        }
    }

    #[test]
    fn a_filter_of_nothing_and_one_of_any_bytes_answer() {
        let token = token::all(b"x").next().expect("one");
        assert!(!Filter::of(&HashSet::default(), 100).may_contain(token));
        for bytes in [&[][..], &[7], &[0, 0], &[255, 1, 2]] {
            let _answer = Filter::from_bytes(Bytes::from_static(bytes)).may_contain(token);
        }
    }
}
