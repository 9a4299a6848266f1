use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::ids::AttemptId;
use crate::log::{End, Entry, Mark, Offsets, Record, Stream};
use crate::time::WallTime;

fn stream() -> impl Strategy<Value = Stream> {
    prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)]
}

fn offsets() -> impl Strategy<Value = Offsets> {
    (any::<u64>(), any::<u64>()).prop_map(|(stdout, stderr)| Offsets { stdout, stderr })
}

fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        (stream(), any::<u64>(), any::<u64>()).prop_map(|(stream, at, cap)| Mark::Truncated {
            stream,
            at,
            cap
        }),
        ".{0,40}".prop_map(|reason| Mark::Suspect { reason }),
        (stream(), any::<u64>(), any::<u64>(), ".{0,40}").prop_map(|(stream, from, to, reason)| Mark::Gap {
            stream,
            from,
            to,
            reason
        }),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (stream(), any::<u64>(), any::<i64>(), proptest::collection::vec(any::<u8>(), 1..300)).prop_map(
            |(stream, offset, time, bytes)| {
                Entry::Data(Record { stream, offset, time: WallTime(time), bytes: Bytes::from(bytes) })
            }
        ),
        (offsets(), proptest::collection::vec(mark(), 0..5))
            .prop_map(|(offsets, marks)| Entry::End(End { offsets, marks })),
    ]
}

fn encoded(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    encode(entry, &mut out);
    out
}

proptest! {
    #[test]
    fn an_entry_comes_back_as_it_went_in_and_every_cut_of_it_is_torn(entry in entry()) {
        let bytes = encoded(&entry);
        prop_assert_eq!(decode(&bytes), Ok(Decoded::Entry { entry, len: bytes.len() }));
        for cut in 0..bytes.len() {
            prop_assert_eq!(decode(&bytes[..cut]), Ok(Decoded::Torn));
        }
    }

    #[test]
    fn a_flipped_bit_is_never_read_as_an_entry(entry in entry(), at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encoded(&entry);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let read = matches!(decode(&bytes), Ok(Decoded::Entry { .. }));
        prop_assert!(!read);
    }

    #[test]
    fn any_bytes_decode_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _entry = decode(&bytes);
        let _header = decode_header(&bytes);
        let mut framed = Vec::new();
        let len = u32::try_from(bytes.len()).expect("short");
        let mut crc = crc32fast::Hasher::new();
        crc.update(&len.to_le_bytes());
        crc.update(&bytes);
        framed.extend_from_slice(&len.to_le_bytes());
        framed.extend_from_slice(&crc.finalize().to_le_bytes());
        framed.extend_from_slice(&bytes);
        prop_assert!(decode(&framed) != Ok(Decoded::Torn));
    }
}

#[test]
fn a_header_names_its_attempt_and_any_change_is_noticed() {
    let attempt = AttemptId::from_parts(42, 7, 2).expect("valid");
    let bytes = header(attempt);
    assert_eq!(decode_header(&bytes), Ok(Some(attempt)));
    for cut in 0..bytes.len() {
        assert_eq!(decode_header(&bytes[..cut]), Ok(None));
    }
    for at in 0..bytes.len() {
        let mut changed = bytes;
        changed[at] ^= 1;
        assert_eq!(decode_header(&changed), Err(Corrupt::Header), "byte {at}");
    }
}

#[test]
fn a_record_longer_than_a_frame_becomes_several() {
    let bytes = Bytes::from(vec![7; MAX_PAYLOAD + 5]);
    let file = encoded(&Entry::Data(Record { stream: Stream::Stdout, offset: 10, time: WallTime(3), bytes }));
    let Ok(Decoded::Entry { entry: Entry::Data(first), len }) = decode(&file) else { panic!("first frame") };
    let Ok(Decoded::Entry { entry: Entry::Data(second), .. }) = decode(&file[len..]) else {
        panic!("second")
    };
    assert_eq!((first.offset, first.bytes.len()), (10, MAX_PAYLOAD));
    assert_eq!((second.offset, second.bytes.len()), (10 + MAX_PAYLOAD as u64, 5));
}

#[test]
fn reasons_and_marks_beyond_the_limits_are_cut_and_still_decode() {
    let long = Mark::Suspect { reason: "\u{e4}".repeat(4000) };
    let end = Entry::End(End { offsets: Offsets::default(), marks: vec![long; MAX_MARKS * 2] });
    let file = encoded(&end);
    let Ok(Decoded::Entry { entry: Entry::End(end), .. }) = decode(&file) else { panic!("must decode") };
    assert_eq!(end.marks.len(), MAX_MARKS);
}
