//! Where sealed output lies: a local folder or another store of objects, behind one interface.
//!
//! Owns the calls and how long each may take. What the objects mean is the business of its callers.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dockmgr_support::error_chain::Chain;
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::s3::S3;
use super::source::Stored;
use crate::logs::Error;

/// Longest small call: a store of objects answers in a second; a folder on a network disk may hang.
const CALL: Duration = Duration::from_secs(30);
/// Longest upload of a segment: 600 MiB at little more than half a megabyte a second.
const UPLOAD: Duration = Duration::from_secs(1200);
/// Bytes that are uploaded at once; up to this an object is one request. At least 5 MiB, which S3 demands.
const PART: usize = 8 * 1024 * 1024;
/// Threads that wait for a store of objects at once: a quarter of those that files are worked with on. When it does not
/// answer, the others are free for output that comes in.
const READS: usize = 128;

/// Where sealed output is kept.
#[derive(Debug, Clone)]
pub enum SealedAt {
    /// A folder.
    Folder(PathBuf),
    /// Storage that speaks S3.
    S3(S3),
}

/// A store of objects.
#[derive(Clone)]
pub(crate) struct Place {
    store: Arc<dyn ObjectStore>,
    /// What the names of all objects begin with.
    prefix: Path,
    /// The folder, where it is one: its files are read without a detour.
    folder: Option<PathBuf>,
    runtime: Handle,
    reads: Arc<Semaphore>,
}

impl Place {
    /// Opens `at`: a folder is made if it is not there; storage elsewhere is not asked yet, it may be away.
    pub(crate) fn open(at: &SealedAt) -> Result<Self, Error> {
        match at {
            SealedAt::Folder(path) => Self::folder(path),
            SealedAt::S3(s3) => {
                let (store, prefix) = s3.open().map_err(Error::place("open", s3))?;
                Ok(Self::new(store, prefix, None))
            }
        }
    }

    /// Everything put there is synced, names included.
    fn folder(path: &FilePath) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(Error::io("create", path))?;
        let path = path.canonicalize().map_err(Error::io("find", path))?;
        let store = LocalFileSystem::new_with_prefix(&path).map_err(Error::place("open", &path.display()))?;
        Ok(Self::new(Arc::new(store.with_fsync(true)), Path::default(), Some(path)))
    }

    fn new(store: Arc<dyn ObjectStore>, prefix: Path, folder: Option<PathBuf>) -> Self {
        let reads = Arc::new(Semaphore::new(READS));
        Self { store, prefix, folder, runtime: Handle::current(), reads }
    }

    /// The folder, where it is one.
    pub(super) fn local(&self) -> Option<&FilePath> {
        self.folder.as_deref()
    }

    /// The last parts of the names of what is in `folder`, and the sizes.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, Error> {
        let prefix = self.prefix.clone().join(folder);
        let listed = self.store.list(Some(&prefix)).try_collect::<Vec<_>>();
        let listed = within(CALL, "list", folder, listed).await?;
        let named =
            listed.into_iter().filter_map(|meta| Some((meta.location.filename()?.to_owned(), meta.size)));
        Ok(named.collect())
    }

    /// All bytes of a small object.
    pub(super) async fn get(&self, folder: &str, name: &str) -> Result<Bytes, Error> {
        let path = self.path_of(folder, name);
        let get = async { self.store.get(&path).await?.bytes().await };
        within(CALL, "read", path.as_ref(), get).await
    }

    /// Stores a small object. Durable when it returns.
    pub(super) async fn put(&self, folder: &str, name: &str, bytes: Bytes) -> Result<(), Error> {
        let path = self.path_of(folder, name);
        within(CALL, "write", path.as_ref(), self.store.put(&path, bytes.into())).await.map(drop)
    }

    /// Stores all of `file` as an object. Durable when it returns; nothing is there under the name before.
    pub(super) async fn upload(&self, folder: &str, name: &str, file: File) -> Result<(), Error> {
        let path = self.path_of(folder, name);
        let mut file = tokio::fs::File::from_std(file);
        let first = next_part(&mut file).await?;
        if first.len() < PART {
            let put = self.store.put(&path, first.into());
            return within(UPLOAD, "write", path.as_ref(), put).await.map(drop);
        }
        let begin = self.store.put_multipart(&path);
        let mut upload = within(CALL, "write", path.as_ref(), begin).await?;
        let sent = tokio::time::timeout(UPLOAD, send(&mut *upload, &path, first, &mut file)).await;
        let late = |late| Error::Place { action: "write", name: path.to_string(), source: Box::new(late) };
        let Err(failed) = sent.map_err(late).flatten() else { return Ok(()) };
        // Best effort: the store may be what failed, and what is left over has no name.
        if let Err(error) = within(CALL, "take back", path.as_ref(), upload.abort()).await {
            tracing::debug!(error = %Chain(&error), "parts of an upload are left over");
        }
        Err(failed)
    }

    /// Moves an object into another folder, under its name.
    pub(super) async fn rename(&self, from: &str, name: &str, to: &str) -> Result<(), Error> {
        let (from, to) = (self.path_of(from, name), self.path_of(to, name));
        within(UPLOAD, "move", from.as_ref(), self.store.rename(&from, &to)).await
    }

    /// Removes an object; that there is none is fine.
    pub(super) async fn delete(&self, folder: &str, name: &str) -> Result<(), Error> {
        let path = self.path_of(folder, name);
        let delete = async {
            match self.store.delete(&path).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                deleted => deleted,
            }
        };
        within(CALL, "delete", path.as_ref(), delete).await
    }

    /// The bytes of an object of `len` bytes, to be read at any place. Blocks.
    pub(super) fn source(&self, folder: &str, name: &str, len: u64) -> Result<Stored, Error> {
        match &self.folder {
            Some(root) => {
                let path = root.join(folder).join(name);
                File::open(&path).map(Stored::File).map_err(Error::io("open", &path))
            }
            None => Ok(Stored::Object {
                store: Arc::clone(&self.store),
                path: self.path_of(folder, name),
                len,
                runtime: self.runtime.clone(),
                reads: Arc::clone(&self.reads),
            }),
        }
    }

    fn path_of(&self, folder: &str, name: &str) -> Path {
        self.prefix.clone().join(folder).join(name)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("store", &self.store.to_string()).finish_non_exhaustive()
    }
}

/// Sends an object in parts, one after the other.
async fn send(
    upload: &mut dyn MultipartUpload,
    path: &Path,
    first: Bytes,
    file: &mut tokio::fs::File,
) -> Result<(), Error> {
    let mut part = first;
    while !part.is_empty() {
        upload.put_part(part.into()).await.map_err(Error::place("write", path))?;
        part = next_part(file).await?;
    }
    upload.complete().await.map(drop).map_err(Error::place("write", path))
}

/// The next [`PART`] bytes; fewer at the end.
async fn next_part(file: &mut tokio::fs::File) -> Result<Bytes, Error> {
    let mut part = BytesMut::with_capacity(PART);
    let mut rest = file.take(PART as u64);
    while rest.read_buf(&mut part).await.map_err(Error::Spool)? > 0 {}
    Ok(part.freeze())
}

/// Bounds a call and says what it was.
async fn within<T>(
    limit: Duration,
    action: &'static str,
    name: &str,
    call: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(done) => done.map_err(Error::place(action, &name)),
        Err(late) => Err(Error::Place { action, name: name.to_owned(), source: Box::new(late) }),
    }
}

#[cfg(test)]
mod tests;
