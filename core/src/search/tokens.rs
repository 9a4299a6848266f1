//! Tokens: the words of a line as an index keeps them and queries ask for them.
//!
//! A token is a longest run of ASCII letters, digits, `_` and bytes beyond ASCII. Two tokens are the same if they differ
//! in the case of ASCII letters only.

/// Whether a byte belongs to a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The tokens of a line, in order, as they stand there.
pub fn tokens(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| !is_token_byte(*byte)).filter(|token| !token.is_empty())
}

/// The form in which a token is kept and asked for: ASCII letters in lower case. Replaces what `folded` held.
pub fn fold(token: &[u8], folded: &mut Vec<u8>) {
    folded.clear();
    folded.extend(token.iter().map(u8::to_ascii_lowercase));
}

/// The folded tokens of a piece of a line that are tokens of the whole line, too: without the first where the piece may
/// begin inside a token, and without the last where it may end inside one.
pub(super) fn inner(piece: &[u8], starts_whole: bool, ends_whole: bool) -> Vec<Vec<u8>> {
    let is_cut = |whole: bool, byte: Option<&u8>| !whole && byte.copied().is_some_and(is_token_byte);
    let all: Vec<&[u8]> = tokens(piece).collect();
    let from = usize::from(is_cut(starts_whole, piece.first()));
    let to = all.len() - usize::from(is_cut(ends_whole, piece.last()));
    // A piece of one token that is cut at both ends has from behind to.
    all.get(from..to).unwrap_or_default().iter().map(|token| token.to_ascii_lowercase()).collect()
}

/// Whether no token of the line goes on over the place before `at`.
pub(super) fn is_border(line: &[u8], at: usize) -> bool {
    let is_inside = |at: Option<usize>| at.and_then(|at| line.get(at)).copied().is_some_and(is_token_byte);
    !is_inside(at.checked_sub(1)) || !is_inside(Some(at))
}
