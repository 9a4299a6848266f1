//! The file in which the last contact stands: one record of fixed size with a checksum, written in place.
//!
//! In place, because a full disk must not keep a worker that has contact from saying so; with a checksum, because a reader
//! may then see half of a write. It is not flushed: what it protects from ends with the boot of the host, as it does.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use dockmgr_core::time::BootTime;

/// Name of the file in the data folder.
const NAME: &str = "contact";
/// First word of the record: name and version of the format.
const MAGIC: &str = "dockmgr-contact-1";
/// Size of the record; the rest of the line is blank.
const SIZE: usize = 256;
/// How often a record that does not check is read again: a write takes microseconds.
const TRIES: u32 = 5;

/// What the record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The boot of the host that `last` counts in.
    pub boot_id: String,
    /// When the last acknowledged sign of life was sent.
    pub last: Option<BootTime>,
    /// How long attempts go on without contact.
    pub fence_after: Duration,
}

/// The open file.
#[derive(Debug)]
pub struct ContactFile {
    file: File,
}

impl ContactFile {
    /// Opens the file of a data folder, making it if it is not there.
    pub fn open(root: &Path) -> std::io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(root.join(NAME))?;
        Ok(Self { file })
    }

    /// Opens the file to read it only.
    pub fn open_to_read(root: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::open(root.join(NAME))? })
    }

    /// What was last written; `None` if nothing was, or it is damaged.
    pub fn read(&self) -> std::io::Result<Option<Known>> {
        for _ in 0..TRIES {
            let mut record = [0; SIZE];
            match self.file.read_exact_at(&mut record, 0) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
            if let Some(known) = parse(&record) {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    /// Replaces what stands there.
    pub fn write(&self, known: &Known) -> std::io::Result<()> {
        self.file.write_all_at(&record(known), 0)
    }
}

fn record(known: &Known) -> [u8; SIZE] {
    let last = known.last.map_or_else(|| "never".to_owned(), |last| last.0.to_string());
    let words = format!("{MAGIC} {} {last} {}", known.boot_id, known.fence_after.as_millis());
    let line = format!("{words} {:08x}", crc32fast::hash(words.as_bytes()));
    let mut record = [b' '; SIZE];
    // The boot id is 36 characters; a longer one, from a file a person named, makes a record that does not check.
    let length = line.len().min(SIZE - 1);
    record[..length].copy_from_slice(&line.as_bytes()[..length]);
    record[SIZE - 1] = b'\n';
    record
}

fn parse(record: &[u8]) -> Option<Known> {
    let line = std::str::from_utf8(record).ok()?.trim_end();
    let (words, sum) = line.rsplit_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(words.as_bytes()) {
        return None;
    }
    let mut words = words.split(' ');
    let (magic, boot_id, last, fence_after) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let last = if last == "never" { None } else { Some(BootTime(last.parse().ok()?)) };
    let fence_after = Duration::from_millis(fence_after.parse().ok()?);
    (magic == MAGIC && words.next().is_none()).then(|| Known {
        boot_id: boot_id.to_owned(),
        last,
        fence_after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_damaged_is_not_believed() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = ContactFile::open(folder.path()).expect("opens");
        assert_eq!(file.read().expect("reads"), None, "nothing was written");
        let boot_id = "6f2d0a0e-5d0e-4b43-9f0e-1c1f3c1f7a55".to_owned();
        for last in [Some(BootTime(u64::MAX)), None, Some(BootTime(7))] {
            let known = Known { boot_id: boot_id.clone(), last, fence_after: Duration::from_secs(240) };
            file.write(&known).expect("writes");
            let reader = ContactFile::open_to_read(folder.path()).expect("opens");
            assert_eq!(reader.read().expect("reads"), Some(known));
        }
        file.file.write_all_at(b"8", 56).expect("writes");
        assert_eq!(file.read().expect("reads"), None, "the checksum tells");
    }
}
