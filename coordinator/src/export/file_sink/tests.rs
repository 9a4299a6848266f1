//! A file that is killed at any byte, written to again, and rotated.

use std::sync::Arc;

use bytes::Bytes;
use dockmgr_core::export::About;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Stream;
use dockmgr_core::time::WallTime;

use super::*;

fn documents(from: u64, to: u64) -> Vec<Document> {
    let attempt = AttemptId::from_parts(1, 0, 1).expect("valid");
    let about = Arc::new(About::default());
    let id = |offset| DocumentId::Line(attempt, Stream::Stdout, offset);
    let document =
        |offset| Document::line(id(offset), WallTime(0), Bytes::from(format!("line {offset}")), &about);
    (from..to).map(document).collect()
}

/// The offsets in all files, oldest first.
fn held(sink: &FileSink) -> Vec<u64> {
    let aside = (1..=sink.keep).rev().map(|number| sink.aside(number));
    let texts = aside.chain([sink.path.clone()]).map(|path| fs::read_to_string(path).unwrap_or_default());
    let offset = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("whole lines only");
        value.pointer("/dockmgr/offset").and_then(serde_json::Value::as_u64).expect("an offset")
    };
    texts.flat_map(|text| text.lines().map(offset).collect::<Vec<_>>()).collect()
}

#[test]
fn lines_that_come_again_after_a_kill_at_any_byte_are_written_once() {
    let folder = tempfile::tempdir().expect("temp folder");
    let path = folder.path().join("new/jobs.jsonl");
    let mut sink = FileSink::new(path.clone(), 1 << 20, 2);
    sink.write(&documents(0, 3)).expect("written");
    sink.stored();
    let stored = fs::metadata(&path).expect("there").len();
    sink.write(&documents(3, 6)).expect("written");
    let whole = fs::read(&path).expect("readable");
    for len in stored..=whole.len() as u64 {
        let cut = usize::try_from(len).expect("small");
        fs::write(&path, &whole[..cut]).expect("cut");
        let mut after = FileSink::new(path.clone(), 1 << 20, 2);
        after.write(&documents(3, 8)).expect("written");
        assert_eq!(held(&after), (0..8).collect::<Vec<_>>(), "cut at {len}");
    }
}

#[test]
fn a_full_file_is_put_aside_and_repeats_are_known_across_files() {
    let folder = tempfile::tempdir().expect("temp folder");
    let path = folder.path().join("jobs.jsonl");
    let mut sink = FileSink::new(path.clone(), 2000, 9);
    for n in 0..10 {
        sink.write(&documents(n * 3, n * 3 + 3)).expect("written");
    }
    assert!(sink.aside(1).exists() && fs::metadata(&path).expect("there").len() <= 2000);
    assert_eq!(held(&sink), (0..30).collect::<Vec<_>>());
    let mut after = FileSink::new(path, 2000, 9);
    after.write(&documents(20, 33)).expect("written");
    assert_eq!(held(&after), (0..33).collect::<Vec<_>>());
}

#[test]
fn no_more_files_are_kept_than_asked_for() {
    let folder = tempfile::tempdir().expect("temp folder");
    let mut sink = FileSink::new(folder.path().join("jobs.jsonl"), 1000, 2);
    for n in 0..20 {
        sink.write(&documents(n, n + 1)).expect("written");
    }
    let files = fs::read_dir(folder.path()).expect("listed").count();
    assert_eq!(files, 3);
    assert_eq!(held(&sink).last(), Some(&19));
}

#[test]
fn a_file_that_cannot_be_written_is_tried_again() {
    let folder = tempfile::tempdir().expect("temp folder");
    let path = folder.path().join("jobs.jsonl");
    fs::create_dir(&path).expect("in the way");
    let mut sink = FileSink::new(path.clone(), 1 << 20, 2);
    sink.write(&documents(0, 2)).expect_err("a folder is in the way");
    fs::remove_dir(&path).expect("out of the way");
    sink.write(&documents(0, 2)).expect("written");
    assert_eq!(held(&sink), [0, 1]);
}
