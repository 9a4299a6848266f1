use bytes::Bytes;
use dockmgr_core::log::{End, Record, Stream};
use dockmgr_core::time::WallTime;

use super::*;

fn attempt() -> AttemptId {
    AttemptId::from_parts(42, 0, 1).expect("valid")
}

fn data(stream: Stream, offset: u64, bytes: &[u8]) -> Entry {
    Entry::Data(Record { stream, offset, time: WallTime(7), bytes: Bytes::copy_from_slice(bytes) })
}

fn open(path: &Path) -> Opened {
    LogFile::open(path, attempt(), |_| ()).expect("opens")
}

fn read_all(opened: &Opened, from: Offsets) -> Vec<Entry> {
    let mut cursor = Cursor::new(opened.log.checkpoints(), from);
    let mut entries = Vec::new();
    while cursor.fed_to() < opened.log.len() {
        let bytes = cursor.fetch(&opened.file, opened.log.len(), 100).expect("readable");
        entries.extend(cursor.feed(&bytes).expect("whole"));
    }
    entries
}

#[test]
fn a_file_cut_at_any_byte_opens_with_the_whole_entries_before_the_cut() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("log");
    let mut opened = open(&path);
    let entries = vec![
        data(Stream::Stdout, 0, b"hello "),
        data(Stream::Stderr, 0, b"oh"),
        data(Stream::Stdout, 6, b"world"),
        Entry::End(End::complete(Offsets { stdout: 11, stderr: 2 })),
    ];
    let mut ends = vec![opened.log.len()];
    for entry in &entries {
        assert_eq!(
            opened.log.append(&opened.file, vec![entry.clone()], |_| ()).expect("written"),
            Appended::All
        );
        ends.push(opened.log.len());
    }
    let whole = std::fs::read(&path).expect("readable");
    for cut in 0..=whole.len() {
        let path = dir.path().join(format!("cut{cut}"));
        std::fs::write(&path, &whole[..cut]).expect("written");
        let mut opened = open(&path);
        let kept = ends.iter().filter(|end| **end <= cut as u64).count().saturating_sub(1);
        assert_eq!(read_all(&opened, Offsets::default()), entries[..kept], "cut at {cut}");
        assert_eq!(opened.corrupt, None, "cut at {cut} is torn, not corrupt");
        // What was lost can be appended again and the file is whole as before.
        opened.log.append(&opened.file, entries.clone(), |_| ()).expect("written");
        assert_eq!(std::fs::read(&path).expect("readable"), whole, "cut at {cut}");
    }
}

#[test]
fn wrong_bytes_are_set_aside_and_what_precedes_them_is_kept() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("log");
    let mut opened = open(&path);
    opened.log.append(&opened.file, vec![data(Stream::Stdout, 0, b"good")], |_| ()).expect("written");
    let good = opened.log.len();
    opened.log.append(&opened.file, vec![data(Stream::Stdout, 4, b"bad")], |_| ()).expect("written");
    opened.file.write_all_at(b"X", opened.log.len() - 1).expect("written");
    let opened = open(&path);
    assert_eq!((opened.log.len(), opened.corrupt), (good, Some(Corrupt::Checksum)));
    assert_eq!(read_all(&opened, Offsets::default()), [data(Stream::Stdout, 0, b"good")]);
    assert_eq!(std::fs::metadata(dir.path().join("log.corrupt")).expect("set aside").len(), opened.cut);
}

#[test]
fn a_reader_can_start_in_the_middle_of_a_record_and_far_into_a_large_file() {
    let dir = tempfile::tempdir().expect("folder");
    let mut opened = open(&dir.path().join("log"));
    let piece: Vec<u8> = (0..65_536u32).map(|n| (n % 251) as u8).collect();
    for n in 0..80u64 {
        let size = piece.len() as u64;
        let entries = vec![data(Stream::Stdout, n * size, &piece), data(Stream::Stderr, n, b"e")];
        opened.log.append(&opened.file, entries, |_| ()).expect("written");
    }
    let from = Offsets { stdout: 70 * 65_536 + 10, stderr: u64::MAX };
    assert!(
        opened.log.checkpoints().before(from).position > 3 << 20,
        "starts near the place, not at the start"
    );
    let entries = read_all(&opened, from);
    assert_eq!(entries.len(), 10);
    assert_eq!(entries[0], data(Stream::Stdout, from.stdout, &piece[10..]));
}

#[test]
fn a_damaged_log_never_gives_bytes_that_were_not_written() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("log");
    let mut opened = open(&path);
    let entries: Vec<Entry> = (0..40u64)
        .map(|n| data(Stream::Stdout, n * 100, &[u8::try_from(n).expect("few"); 100]))
        .chain([Entry::End(End::complete(Offsets { stdout: 4000, stderr: 0 }))])
        .collect();
    opened.log.append(&opened.file, entries.clone(), |_| ()).expect("written");
    let whole = std::fs::read(&path).expect("readable");
    let mut random = fastrand::Rng::with_seed(7);
    for n in 0..2000 {
        let mut bytes = whole.clone();
        let at = random.usize(..bytes.len());
        match random.u8(..4) {
            0 | 1 => bytes[at] ^= 1 << random.u8(..8),
            2 => {
                let end = bytes.len().min(at + 512);
                bytes[at..end].fill(0);
            }
            _ => bytes.truncate(at),
        }
        std::fs::write(&path, &bytes).expect("written");
        let mut seen = Vec::new();
        let opened = LogFile::open(&path, attempt(), |entry| seen.push(entry.clone())).expect("opens");
        assert!(entries.starts_with(&seen), "damage {n} at {at}");
        assert_eq!(read_all(&opened, Offsets::default()), seen, "damage {n} at {at}");
        if bytes.len() == whole.len() && bytes != whole {
            let told = opened.corrupt.is_some() || opened.cut > 0;
            assert!(told, "damage {n} at {at}: {} of {} and not a word", seen.len(), entries.len());
        }
    }
}
