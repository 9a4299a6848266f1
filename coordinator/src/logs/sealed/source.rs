//! The bytes of a stored segment.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_archive::Source;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Longest read of a range, retries of the store's client included.
const READ: Duration = Duration::from_secs(60);

/// A segment as a file, or as an object of which ranges are fetched. Reading blocks: on blocking threads only.
#[derive(Debug)]
pub(crate) enum Stored {
    /// A file of a local folder; stays readable after the folder has forgotten it.
    File(File),
    /// An object.
    Object {
        /// Who has it.
        store: Arc<dyn ObjectStore>,
        /// Its name.
        path: Path,
        /// Its bytes.
        len: u64,
        /// Where the calls run.
        runtime: Handle,
        /// How many may wait for it at once; one more is refused.
        reads: Arc<Semaphore>,
    },
}

impl Source for Stored {
    fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Source::len(file),
            Self::Object { len, .. } => Ok(*len),
        }
    }

    fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        match self {
            Self::File(file) => file.read(position, len),
            Self::Object { store, path, runtime, reads, .. } => {
                if len == 0 {
                    return Ok(Bytes::new());
                }
                let Ok(_waiting) = reads.try_acquire() else { return Err(busy()) };
                let range = position..position.saturating_add(len as u64);
                let read = async { tokio::time::timeout(READ, store.get_range(path, range)).await };
                let bytes = runtime.block_on(read)?.map_err(io::Error::other)?;
                if bytes.len() == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            }
        }
    }
}

fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "too many reads wait for the storage")
}
