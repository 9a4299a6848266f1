//! What every place must do, on a folder and on a real server of S3.

use std::io::{Seek as _, Write as _};

use dockmgr_archive::Source as _;

use super::super::test_s3::{Gate, S3Server};
use super::*;
use crate::logs::run;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    file.rewind().expect("rewound");
    file
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(len as u64).fill(&mut bytes);
    bytes
}

async fn names(place: &Place, folder: &str) -> Vec<(String, u64)> {
    let mut listed = place.list(folder).await.expect("listed");
    listed.sort();
    listed
}

async fn read(place: &Place, name: &str, len: u64, from: u64, bytes: usize) -> std::io::Result<Bytes> {
    let (place, name) = (place.clone(), name.to_owned());
    let read = run(move || Ok(place.source("segments", &name, len)?.read(from, bytes)));
    read.await.expect("opens")
}

async fn conforms(place: &Place) {
    assert_eq!(names(place, "segments").await, []);
    place.put("deleted", "1-a", Bytes::from_static(b"42\n")).await.expect("stored");
    place.put("segments", "1-b", Bytes::from_static(b"")).await.expect("stored");
    assert_eq!(place.get("deleted", "1-a").await.expect("read"), "42\n");
    for (name, len) in [("2-none", 0), ("2-small", 1000), ("2-part", PART), ("2-parts", 2 * PART + 12_345)] {
        let bytes = noise(len);
        place.upload("segments", name, file(&bytes)).await.expect("uploaded");
        let len = len as u64;
        for from in [0, len / 2, len.saturating_sub(9)] {
            let most = usize::try_from(len - from).expect("small").min(100_000);
            let found = read(place, name, len, from, most).await.expect("read");
            assert!(found == bytes[usize::try_from(from).expect("small")..][..most], "{name} from {from}");
        }
        assert!(read(place, name, len, len, 1).await.is_err(), "nothing is behind the end");
    }
    let sizes =
        [("1-b", 0), ("2-none", 0), ("2-part", PART), ("2-parts", 2 * PART + 12_345), ("2-small", 1000)];
    let sizes = sizes.map(|(name, len)| (name.to_owned(), len as u64));
    assert_eq!(names(place, "segments").await, sizes, "and nothing of another folder");
    // A try that seemed to have failed is made again.
    place.put("deleted", "1-a", Bytes::from_static(b"42\n")).await.expect("stored");
    for _ in 0..2 {
        place.delete("segments", "2-parts").await.expect("no error if it is gone");
    }
    assert_eq!(names(place, "segments").await.len(), 4);
    assert!(place.get("segments", "2-parts").await.is_err());
    assert!(matches!(place.get("deleted", "9-x").await, Err(Error::Place { action: "read", .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_a_place() {
    let dir = tempfile::tempdir().expect("folder");
    conforms(&Place::open(&SealedAt::Folder(dir.path().join("new"))).expect("opens")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_speaks_s3_is_a_place() {
    let server = S3Server::start().await;
    for prefix in ["", "a/prefix"] {
        conforms(&Place::open(&server.at(prefix)).expect("opens")).await;
    }
    assert_eq!(names(&Place::open(&server.at("a")).expect("opens"), "segments").await, [], "another prefix");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_leaves_nothing_under_its_name_and_the_next_one_is_whole() {
    let server = S3Server::start().await;
    let place = Place::open(&server.at("")).expect("opens");
    let bytes = noise(3 * PART + 1);
    for trouble in [Gate::CutsAfter(5_000_000), Gate::Answers(500), Gate::Answers(503), Gate::Answers(507)] {
        server.gate(trouble);
        place.upload("segments", "1-x", file(&bytes)).await.expect_err("refused");
        server.gate(Gate::Open);
        assert_eq!(names(&place, "segments").await, [], "{trouble:?}");
    }
    place.upload("segments", "1-x", file(&bytes)).await.expect("uploaded");
    let len = bytes.len() as u64;
    assert!(read(&place, "1-x", len, 0, bytes.len()).await.expect("read") == bytes);
    server.gate(Gate::CutsAfter(10));
    let failed = read(&place, "1-x", len, 0, 100).await;
    assert!(failed.is_err());
}
