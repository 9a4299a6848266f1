//! Records of the cluster as bytes in the store, and back.
//!
//! Owns the keys and the stored form (`dockmgr.store.v1`). A record that does not decode is damage that loading reports
//! with its key.
//!
//! ```text
//! numbers/cluster                  jobs/<16 hex>            tasks/<16 hex>/<8 hex>
//! nodes/<uuid>                     requests/<hex of the key>
//! ```

mod job;
mod node;
mod task;

use std::collections::BTreeSet;

use bytes::Bytes;
use dockmgr_core::cluster::{Cluster, Record, StoredRequest};
use dockmgr_core::ids::JobId;
use dockmgr_core::time::WallTime;
use dockmgr_proto::convert;
use dockmgr_proto::store_v1;
use prost::Message;

use crate::store::{Key, Write};

pub(super) use job::{chunk_of, decode as decode_job, without_tasks};
pub(super) use node::decode as decode_node;
pub(super) use task::decode_chunk;

/// Why stored bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The bytes are not the message.
    #[error("decode the message")]
    Decode(#[from] prost::DecodeError),
    /// A field has no meaning.
    #[error(transparent)]
    Field(#[from] convert::Error),
    /// A job's spec is not valid.
    #[error("{0}")]
    Spec(String),
}

/// Records in the order they are stored: a crash between two transactions of a group leaves the first ones. Keys come
/// before the jobs they made, so that a repeated request never makes a second job, and the numbers come last, so that
/// loading knows a key without a job from one whose job was forgotten.
pub(super) fn in_order(records: &BTreeSet<Record>) -> impl Iterator<Item = &Record> {
    let is = |wanted: fn(&Record) -> bool| records.iter().filter(move |record| wanted(record));
    is(|record| matches!(record, Record::Request(_)))
        .chain(is(|record| matches!(record, Record::Job(_) | Record::Chunk(..) | Record::Node(_))))
        .chain(is(|record| matches!(record, Record::Cluster)))
}

/// The write that brings a record in the store to the state it has in the cluster.
pub(super) fn write(cluster: &Cluster, record: &Record) -> Write {
    let (key, value) = match record {
        Record::Cluster => (numbers_key(), Some(numbers(cluster))),
        Record::Job(id) => (job_key(*id), cluster.job(*id).map(|job| job::encode(job).encode_to_vec())),
        Record::Chunk(id, number) => (
            chunk_key(*id, *number),
            cluster.job(*id).map(|job| task::encode_chunk(job, *number).encode_to_vec()),
        ),
        Record::Node(id) => {
            (key(format!("nodes/{id}")), cluster.node(*id).map(|node| node::encode(node).encode_to_vec()))
        }
        Record::Request(text) => (request_key(text), cluster.request(text).map(request)),
    };
    match value {
        Some(value) => Write::put(key, Bytes::from(value)),
        None => Write::delete(key),
    }
}

/// The next job number.
pub(super) fn decode_numbers(bytes: &[u8]) -> Result<u64, Error> {
    Ok(store_v1::ClusterRecord::decode(bytes)?.next_job_id)
}

/// An idempotency key with what it made.
pub(super) fn decode_request(suffix: &str, bytes: &[u8]) -> Result<(String, StoredRequest), Error> {
    let malformed = || convert::Error::missing("key");
    let text = unhex(suffix).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(malformed)?;
    let wire = store_v1::RequestRecord::decode(bytes)?;
    let fingerprint = <[u8; 32]>::try_from(wire.fingerprint.as_ref())
        .map_err(|_| convert::Error::missing("fingerprint"))?;
    let jobs =
        wire.job_ids.into_iter().map(|id| JobId::new(id).ok_or_else(|| convert::Error::missing("job_ids")));
    let jobs = jobs.collect::<Result<_, _>>()?;
    Ok((text, StoredRequest { jobs, fingerprint, created: WallTime(wire.create_time_millis) }))
}

/// The job that a job's key names.
pub(super) fn job_of(key: &str) -> Option<JobId> {
    u64::from_str_radix(key.strip_prefix("jobs/")?, 16).ok().and_then(JobId::new)
}

/// Where the numbers of the cluster are.
pub(super) fn numbers_key() -> Key {
    key("numbers/cluster".to_owned())
}

fn numbers(cluster: &Cluster) -> Vec<u8> {
    store_v1::ClusterRecord { next_job_id: cluster.next_job_id() }.encode_to_vec()
}

fn request(stored: &StoredRequest) -> Vec<u8> {
    store_v1::RequestRecord {
        job_ids: stored.jobs.iter().map(|id| id.get()).collect(),
        fingerprint: stored.fingerprint.to_vec(),
        create_time_millis: stored.created.0,
    }
    .encode_to_vec()
}

fn job_key(id: JobId) -> Key {
    key(format!("jobs/{:016x}", id.get()))
}

fn chunk_key(id: JobId, number: u32) -> Key {
    key(format!("tasks/{:016x}/{number:08x}", id.get()))
}

fn request_key(text: &str) -> Key {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity("requests/".len() + text.len() * 2);
    hex.push_str("requests/");
    for byte in text.bytes() {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
    }
    key(hex)
}

fn key(text: String) -> Key {
    Key::new(text).expect("made of hexadecimal digits, ids and slashes")
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect()
}

/// Times are stored as milliseconds; 0 stands for none.
fn millis(time: Option<WallTime>) -> i64 {
    time.map_or(0, |time| time.0)
}

fn time(millis: i64) -> Option<WallTime> {
    (millis != 0).then_some(WallTime(millis))
}
