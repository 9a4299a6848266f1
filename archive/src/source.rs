//! Where the bytes of a segment come from.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes that can be read at any place: a file, a buffer, a stored object.
pub trait Source {
    /// How many bytes there are.
    fn len(&self) -> io::Result<u64>;

    /// Exactly `len` bytes from `position` on; an error of kind `UnexpectedEof` if there are fewer. May block.
    fn read(&self, position: u64, len: usize) -> io::Result<Bytes>;

    /// Whether there are none.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

impl Source for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let mut buffer = vec![0; len];
        self.read_exact_at(&mut buffer, position)?;
        Ok(buffer.into())
    }
}

impl Source for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.as_ref().len() as u64)
    }

    fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let range = usize::try_from(position).ok().and_then(|start| Some(start..start.checked_add(len)?));
        let range = range.filter(|range| range.end <= self.as_ref().len());
        Ok(self.slice(range.ok_or(io::ErrorKind::UnexpectedEof)?))
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        (**self).read(position, len)
    }
}
