//! The words of a text, as the filters of frames know them: the hashes of the tokens of `core::search`, folded. The text
//! is read once, without taking its tokens out.
//!
//! The hashes are part of the format of segments.

/// A token, by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(crate) u64);

/// Every token of `text`, in order.
pub fn all(text: &[u8]) -> impl Iterator<Item = Token> {
    Tokens(text)
}

/// What [`FOLDED`] has for a byte that is in no token.
const SEPARATOR: u8 = 0;

/// Each byte as it counts.
const FOLDED: [u8; 256] = {
    let mut table = [SEPARATOR; 256];
    let mut byte = 0;
    // Every value once; the index and the value are the same number.
    let mut value: u8 = 0;
    while byte < 256 {
        if value.is_ascii_alphanumeric() || value == b'_' || !value.is_ascii() {
            table[byte] = value.to_ascii_lowercase();
        }
        byte += 1;
        value = value.wrapping_add(1);
    }
    table
};

fn folded(byte: u8) -> u8 {
    FOLDED[usize::from(byte)]
}

/// FNV-1a, 64 bits.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The text that is left.
struct Tokens<'a>(&'a [u8]);

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.0.iter().position(|byte| folded(*byte) != SEPARATOR)?;
        let mut hash = BASIS;
        let mut end = start;
        while let Some(byte) = self.0.get(end).map(|byte| folded(*byte)).filter(|byte| *byte != SEPARATOR) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            end += 1;
        }
        self.0 = &self.0[end..];
        Some(Token(mixed(hash)))
    }
}

/// Spreads what FNV leaves in the low bits over all (the finalizer of `MurmurHash3`).
fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use dockmgr_core::search;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hashes_stay_as_they_are_stored() {
        assert_eq!(all(b"Error").next(), Some(Token(0xfc80_d452_13e4_b6c6)));
    }

    proptest! {
        #[test]
        fn tokens_are_those_that_queries_ask_for(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut folded = Vec::new();
            let asked = search::tokens(&text).flat_map(|token| {
                search::fold(token, &mut folded);
                all(&folded).collect::<Vec<_>>()
            });
            prop_assert_eq!(all(&text).collect::<Vec<_>>(), asked.collect::<Vec<_>>());
        }
    }
}
