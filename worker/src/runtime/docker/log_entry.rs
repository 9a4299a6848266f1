//! One record of the file the daemon's `local` log driver writes.
//!
//! ```text
//! +-------------+----------------------------------------------+-------------+
//! | length (BE) | LogEntry                                     | length (BE) |
//! +-------------+----------------------------------------------+-------------+
//! LogEntry, protobuf: 1 source (string)  2 time_nano (varint)  3 line (bytes)  4 partial (bool)
//!                     5 partial_log_metadata { 1 last (bool)  2 id (string)  3 ordinal (varint) }
//! ```
//! Owns decoding by hand and the rule that gives back the container's bytes: the driver strips the newline of a line and
//! splits long lines. Pure, bounded, never panics: the file may be torn at any byte.

use super::super::output::Stream;

/// Longest record believed. The daemon cuts lines at 16 KiB; a record is little longer.
pub(super) const ENTRY_LIMIT: u32 = 1024 * 1024;
/// Bytes of each length mark.
pub(super) const MARK: usize = 4;

/// What one record gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) stream: Stream,
    pub(super) line: &'a [u8],
    /// Whether the container wrote a newline after the line.
    pub(super) newline: bool,
}

/// The state of the bytes at the reading position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decoded<'a> {
    /// A whole record and the number of bytes it takes.
    Entry(Entry<'a>, usize),
    /// More bytes are needed.
    Short,
    /// This is no such file, or it is damaged here.
    Bad(&'static str),
}

/// Decodes the record at the start of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Decoded<'_> {
    let Some(length) = mark(bytes) else { return Decoded::Short };
    if length > ENTRY_LIMIT {
        return Decoded::Bad("a record that is too long");
    }
    let length = usize::try_from(length).expect("at most ENTRY_LIMIT, which fits");
    let whole = length + 2 * MARK;
    let Some(record) = bytes.get(..whole) else { return Decoded::Short };
    if record[..MARK] != record[MARK + length..] {
        return Decoded::Bad("the two lengths of a record differ");
    }
    match entry(&record[MARK..MARK + length]) {
        Some(entry) => Decoded::Entry(entry, whole),
        None => Decoded::Bad("a record that cannot be read"),
    }
}

fn mark(bytes: &[u8]) -> Option<u32> {
    let mark: [u8; MARK] = bytes.get(..MARK)?.try_into().ok()?;
    Some(u32::from_be_bytes(mark))
}

fn entry(mut message: &[u8]) -> Option<Entry<'_>> {
    let (mut source, mut line, mut partial, mut last) = (&b""[..], &b""[..], false, false);
    while !message.is_empty() {
        match field(&mut message)? {
            (1, Field::Bytes(bytes)) => source = bytes,
            (3, Field::Bytes(bytes)) => line = bytes,
            (4, Field::Number(value)) => partial = value != 0,
            (5, Field::Bytes(mut inner)) => {
                while !inner.is_empty() {
                    if let (1, Field::Number(value)) = field(&mut inner)? {
                        last = value != 0;
                    }
                }
            }
            // Time, and what later versions may add.
            (_, Field::Number(_) | Field::Bytes(_)) => {}
        }
    }
    let stream = match source {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    // A piece of a long line has no newline, except the last one. Output that ends without a newline is an unfinished piece.
    Some(Entry { stream, line, newline: !partial || last })
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes the next field off `message`.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = varint(message)?;
    let value = match key & 7 {
        0 => Field::Number(varint(message)?),
        1 => Field::Bytes(take(message, 8)?),
        2 => {
            let length = usize::try_from(varint(message)?).ok()?;
            Field::Bytes(take(message, length)?)
        }
        5 => Field::Bytes(take(message, 4)?),
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take<'a>(message: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = message.split_at_checked(count)?;
    *message = tail;
    Some(head)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Encodes a record as the daemon does.
    pub(in super::super) fn record(source: &str, line: &[u8], partial: Option<bool>) -> Vec<u8> {
        let mut message = Vec::new();
        let bytes = |message: &mut Vec<u8>, key: u8, bytes: &[u8]| {
            message.push(key << 3 | 2);
            let mut length = bytes.len();
            while length > 0x7f {
                message.push(u8::try_from(length & 0x7f).expect("7 bits") | 0x80);
                length >>= 7;
            }
            message.push(u8::try_from(length).expect("7 bits"));
            message.extend(bytes);
        };
        bytes(&mut message, 1, source.as_bytes());
        message.extend([2 << 3, 1]);
        bytes(&mut message, 3, line);
        if let Some(last) = partial {
            message.extend([4 << 3, 1]);
            bytes(&mut message, 5, &[1 << 3, u8::from(last), 2 << 3 | 2, 1, b'i']);
        }
        let mark = u32::try_from(message.len()).expect("short").to_be_bytes();
        [&mark[..], &message, &mark].concat()
    }

    #[test]
    fn the_newline_rule_gives_back_what_was_written() {
        for (partial, newline) in [(None, true), (Some(true), true), (Some(false), false)] {
            let bytes = record("stderr", b"abc", partial);
            let Decoded::Entry(entry, used) = decode(&bytes) else { panic!("not decoded") };
            assert_eq!(
                (entry.stream, entry.line, entry.newline, used),
                (Stream::Stderr, &b"abc"[..], newline, bytes.len())
            );
        }
    }

    #[test]
    fn a_record_cut_anywhere_asks_for_more() {
        let bytes = record("stdout", &[0xff; 300], Some(true));
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Decoded::Short, "cut at {end}");
        }
    }

    #[test]
    fn damage_is_told() {
        let mut bytes = record("stdout", b"abc", None);
        *bytes.last_mut().expect("not empty") ^= 1;
        assert!(matches!(decode(&bytes), Decoded::Bad(_)));
        assert!(matches!(decode(&[0xff; 8]), Decoded::Bad(_)));
        assert!(matches!(decode(&record("elsewhere", b"", None)), Decoded::Bad(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _outcome = decode(&bytes);
            let _outcome = entry(&bytes);
        }
    }
}
