//! What only the file store must do: survive, exclude, refuse.

mod crash_points;
mod disk;

use std::fs;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::store::{Config as StoreConfig, Guard, SCHEMA_VERSION, Store, Write};

fn config(folder: &TempDir) -> StoreConfig {
    StoreConfig::Redb(Config { folder: folder.path().to_owned() })
}

async fn lead(store: &Store) -> (Lease, Keeper) {
    let seen = tokio::sync::watch::Sender::new(crate::store::Outlook::default());
    let cancel = tokio_util::sync::CancellationToken::new();
    store.campaign(&crate::store::conformance::candidate("test"), &seen, &cancel).await.expect("campaign")
}

fn key(text: &str) -> Key {
    Key::new(text).expect("well formed")
}

#[tokio::test]
async fn a_commit_and_the_counters_survive_a_reopen() {
    let folder = TempDir::new().expect("temp folder");
    let store = Store::open(&config(&folder)).await.expect("open");
    let (lease, _keeper) = lead(&store).await;
    let write = Write::put(key("jobs/1"), vec![0, 1, 255]);
    let revision = store.commit(vec![write], Guard::leader(lease.epoch())).await.expect("commit");
    let first = lease.epoch();
    drop(store);

    let store = Store::open(&config(&folder)).await.expect("reopen");
    let entry = store.get(&key("jobs/1")).await.expect("get").expect("still there");
    assert_eq!((entry.value.as_ref(), entry.revision), (&[0, 1, 255][..], revision));
    let fenced = store.commit(vec![Write::delete(key("jobs/1"))], Guard::leader(first)).await;
    assert!(matches!(fenced, Err(Error::Fenced { .. })), "the old epoch must not lead after a reopen");
    let (lease, _keeper) = lead(&store).await;
    assert!(lease.epoch() > first);
    let next =
        store.commit(vec![Write::delete(key("jobs/1"))], Guard::leader(lease.epoch())).await.expect("commit");
    assert!(next > revision);
    let mut watch = store.watch(&Prefix::all(), Revision(0));
    assert!(matches!(watch.next().await, Err(Error::Compacted { oldest }) if oldest == revision));
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_has_closed() {
    let folder = TempDir::new().expect("temp folder");
    let store = Store::open(&config(&folder)).await.expect("open");
    let refused = Store::open(&config(&folder)).await.expect_err("second opener");
    assert!(matches!(&refused, Error::Locked { path } if path.starts_with(folder.path())), "{refused:?}");
    drop(store);
    Store::open(&config(&folder)).await.expect("open after close");
}

#[tokio::test]
async fn a_damaged_file_is_refused_by_name() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("text", |bytes| *bytes = b"this is not a database".to_vec()),
        ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
        ("header", |bytes| bytes[..512].fill(0xff)),
        ("pages", |bytes| bytes.iter_mut().skip(4096).for_each(|byte| *byte ^= 0x5a)),
        ("zeros", |bytes| bytes.fill(0)),
    ];
    for (name, damage) in damages {
        let folder = TempDir::new().expect("temp folder");
        let store = Store::open(&config(&folder)).await.expect("open");
        let (lease, _keeper) = lead(&store).await;
        let writes = (0..200).map(|i| Write::put(key(&format!("jobs/{i}")), vec![7; 300])).collect();
        store.commit(writes, Guard::leader(lease.epoch())).await.expect("commit");
        drop(store);
        let path = folder.path().join("state.redb");
        let mut bytes = fs::read(&path).expect("read file");
        damage(&mut bytes);
        fs::write(&path, bytes).expect("write file");
        let refused = Store::open(&config(&folder)).await.expect_err(name);
        assert!(matches!(&refused, Error::Corrupt { .. }), "{name}: {refused:?}");
        assert!(refused.to_string().contains(&folder.path().display().to_string()), "{name}: {refused}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let folder = TempDir::new().expect("temp folder");
    let store = Store::open(&config(&folder)).await.expect("open");
    let (lease, _keeper) = lead(&store).await;
    let newer = Write::put(key("cluster/schema"), (SCHEMA_VERSION + 1).to_string());
    store.commit(vec![newer], Guard::leader(lease.epoch())).await.expect("commit");
    drop(store);
    let refused = Store::open(&config(&folder)).await.expect_err("newer schema");
    assert!(matches!(refused, Error::NewerSchema { found, .. } if found == SCHEMA_VERSION + 1));
}

#[tokio::test]
async fn a_full_disk_is_fatal_and_named() {
    let error = failure::classify(
        "commit to",
        std::path::Path::new("/data/state.redb"),
        redb::Error::Io(std::io::Error::from(std::io::ErrorKind::StorageFull)),
    );
    assert!(error.is_fatal() && !error.is_retryable());
    assert_eq!(error.to_string(), "commit to '/data/state.redb'");
}
