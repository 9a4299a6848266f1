//! The words of a text, as the filters of frames know them.
//!
//! A token is a longest run of ASCII letters, digits, `_` and bytes that are not ASCII, with the letters in lower case;
//! every other byte separates. So `GET /api/v1 trace_id=9F` has the tokens `get`, `api`, `v1`, `trace_id` and `9f`.
//! Letters outside ASCII are taken as they are: who compares those in both cases must not prune by a token, and because
//! the Kelvin sign and the long s fold to `k` and `s`, neither by one that has these letters.
//!
//! The hashes are part of the format of segments.

/// A token, by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(crate) u64);

/// Every token of `text`, the first and the last one included: what a text contains that has `text` in it as whole words.
pub fn all(text: &[u8]) -> impl Iterator<Item = Token> {
    Tokens(text)
}

/// The tokens that any text contains which has `literal` in it anywhere, even in the middle of words: those with a
/// separator on both sides inside the literal. None for a single word.
pub fn within(literal: &[u8]) -> impl Iterator<Item = Token> {
    let is_separator = |byte: &u8| folded(*byte) == SEPARATOR;
    let first = literal.iter().position(is_separator).unwrap_or(literal.len());
    let last = literal.iter().rposition(is_separator).unwrap_or(first);
    Tokens(&literal[first..last.max(first)])
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
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(tokens: impl Iterator<Item = Token>) -> BTreeSet<Token> {
        tokens.collect()
    }

    #[test]
    fn a_text_is_cut_at_everything_but_letters_digits_and_underscores() {
        let text = "GET /api/v1 trace_id=9F\u{e9}!".as_bytes();
        let words = ["get", "api", "v1", "trace_id", "9f\u{e9}"];
        let expected: Vec<Token> = words.iter().flat_map(|word| all(word.as_bytes())).collect();
        assert_eq!(all(text).collect::<Vec<_>>(), expected);
        assert_eq!(all(b"").count() + all(b" -\n").count(), 0);
    }

    #[test]
    fn hashes_stay_as_they_are_stored() {
        assert_eq!(all(b"Error").next(), Some(Token(0xfc80_d452_13e4_b6c6)));
    }

    #[test]
    fn only_what_is_bounded_inside_a_literal_is_certain() {
        assert_eq!(set(within(b"x=error code=5")), set(all(b"error code")));
        assert_eq!(within(b"needle").count() + within(b"").count(), 0);
        assert_eq!(set(within(b" needle ")), set(all(b"needle")));
        assert_eq!(within(b"two words").count() + within(b" word").count() + within(b"-").count(), 0);
    }

    proptest! {
        #[test]
        fn a_text_has_every_token_that_is_certain_of_a_part_of_it(
            text in "[ab _=\u{e9}A]{0,40}", from in 0usize..40, len in 0usize..40,
        ) {
            let bytes = text.as_bytes();
            let from = from.min(bytes.len());
            let part = &bytes[from..(from + len).min(bytes.len())];
            prop_assert!(set(within(part)).is_subset(&set(all(bytes))));
        }
    }
}
