//! The files of one attempt's log, read as one.
//!
//! A coordinator that is alone has one file an attempt. Where several take turns, each leader writes to a file of its own
//! epoch, named after the offsets it found: so a leader that was deposed without knowing it can write what it likes and
//! never damages what its successor writes.
//!
//! ```text
//!   epoch 7   [0 ............ D)XXXXX        what it wrote behind D after epoch 9 had begun is in epoch 9's file, too
//!   epoch 9                 [D ...........
//! ```
//!
//! What an earlier leader wrote before this one begins its own file belongs to the log: it may have been acknowledged.
//! So the files are read again as long as this process has not begun its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use dockmgr_core::ids::{AttemptId, Epoch};
use dockmgr_support::log_file::LogFile;

use super::Error;
use super::layout::{self, Name};
use super::writer::Writer;

/// The files of one attempt's log.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// In order; what each adds to the log begins where the one before ends.
    files: Vec<Part>,
    /// What all of them hold.
    pub(super) log: LogFile,
    /// What was found on the disk, so that a later look costs little.
    found: Vec<(PathBuf, u64)>,
}

/// One file.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) epoch: Epoch,
    /// Position at which it ends; of the last one it may grow.
    end: u64,
    /// What [`LogFile::place`] adds up to.
    shift: u64,
    /// Whether this process writes it.
    own: bool,
}

/// What opening found that its caller must keep or tell.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The open files, by epoch.
    pub(super) open: Vec<(Epoch, File)>,
    /// Bytes that were cut off the end of the own file.
    pub(super) cut: u64,
}

impl Parts {
    /// Reads what there is of `attempt`. A file that `writer` goes on in is made to end with its last whole entry.
    pub(super) fn open(root: &Path, attempt: AttemptId, writer: Writer) -> Result<(Self, Found), Error> {
        Self::whole(root, names(root, attempt, writer)?, writer)
    }

    fn whole(root: &Path, mut names: Vec<Name>, writer: Writer) -> Result<(Self, Found), Error> {
        loop {
            match Self::read(root, &names, writer)? {
                Ok(opened) => return Ok(opened),
                Err(unreachable) => {
                    let lost = names.remove(unreachable);
                    tracing::error!(attempt = %lost.attempt, epoch = %lost.epoch, "a kept log has a hole: what follows it is left out");
                }
            }
        }
    }

    /// Reads what there is of `attempt` and changes nothing; with the open files.
    pub(super) fn read_only(
        root: &Path,
        attempt: AttemptId,
        writer: Writer,
    ) -> Result<(Self, Vec<(Epoch, File)>), Error> {
        let (read, found) = Self::whole(root, names(root, attempt, writer)?, Writer::Reader)?;
        Ok((read, found.open))
    }

    /// The files, in order.
    pub(super) fn files(&self) -> impl Iterator<Item = &Part> {
        self.files.iter()
    }

    /// The file that holds a position, the place in it, and how many bytes of it follow before the next file begins.
    pub(super) fn locate(&self, position: u64) -> Option<(&Part, u64, u64)> {
        let at = self.files.partition_point(|part| part.end <= position);
        let part = self.files.get(at)?;
        Some((part, position - part.shift, part.end - position))
    }

    /// The file that this process writes.
    pub(super) fn own(&self) -> Option<&Part> {
        self.files.last().filter(|part| part.own)
    }

    /// Begins the own file.
    pub(super) fn begin(&mut self, root: &Path, attempt: AttemptId, epoch: Epoch) -> Result<File, Error> {
        let name = Name { attempt, epoch, from: self.log.progress().offsets };
        let path = name.path(root);
        let folder = layout::shard_folder(root, attempt);
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let opened = LogFile::open_after(self.log.clone(), &path, attempt, |_| ()).map_err(Error::File)?;
        self.log = opened.log;
        self.push(path, epoch, true);
        Ok(opened.file)
    }

    /// Takes note that the own file has grown.
    pub(super) fn grown(&mut self) {
        if let Some(last) = self.files.last_mut() {
            last.end = self.log.len();
        }
    }

    /// Whether the disk holds something else than when it was read.
    pub(super) fn is_outdated(&self, root: &Path, attempt: AttemptId, writer: Writer) -> Result<bool, Error> {
        Ok(self.found != sizes(root, &names(root, attempt, writer)?)?)
    }

    /// Reads the files of these names; the index of one that begins where nothing before it leads.
    fn read(root: &Path, names: &[Name], writer: Writer) -> Result<Result<(Self, Found), usize>, Error> {
        let mut read = Self { found: sizes(root, names)?, ..Self::default() };
        let mut found = Found::default();
        for (at, name) in names.iter().enumerate() {
            let until = names.get(at + 1).map(|next| next.from);
            if read.log.progress().offsets != name.from {
                return Ok(Err(at));
            }
            let path = name.path(root);
            let before = std::mem::take(&mut read.log);
            let own = until.is_none() && writer.epoch() == Some(name.epoch);
            let file = if own {
                let opened = LogFile::open_after(before, &path, name.attempt, |_| ()).map_err(Error::File)?;
                if opened.cut > 0 {
                    let reason = opened.corrupt.map(tracing::field::display);
                    tracing::warn!(attempt = %name.attempt, bytes = opened.cut, reason, "cut the tail of a kept log");
                }
                found.cut = opened.cut;
                read.log = opened.log;
                opened.file
            } else {
                let (file, log) =
                    LogFile::read_after(before, &path, name.attempt, until).map_err(Error::File)?;
                read.log = log;
                file
            };
            // After a crash of its writer the bytes may be in the page cache only, and a worker is about to hear that
            // they are durable.
            file.sync_data().map_err(Error::io("sync", &path))?;
            read.push(path, name.epoch, own);
            found.open.push((name.epoch, file));
        }
        Ok(Ok((read, found)))
    }

    fn push(&mut self, path: PathBuf, epoch: Epoch, own: bool) {
        let end = self.log.len();
        self.files.push(Part { path, epoch, end, shift: end - self.log.place(end), own });
    }
}

/// The files there are, in the order of their epochs.
fn names(root: &Path, attempt: AttemptId, writer: Writer) -> Result<Vec<Name>, Error> {
    if writer == Writer::Alone {
        let name = Name::first(attempt);
        return Ok(if name.path(root).exists() { vec![name] } else { Vec::new() });
    }
    let folder = layout::shard_folder(root, attempt);
    let listed = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(Error::io("list", &folder))?,
    };
    let mut names = Vec::new();
    for entry in listed {
        let path = entry.map_err(Error::io("list", &folder))?.path();
        names.extend(Name::parse(attempt.job(), &path).filter(|name| name.attempt == attempt));
    }
    names.sort_unstable_by_key(|name| (name.epoch, name.from.stdout, name.from.stderr));
    Ok(names)
}

fn sizes(root: &Path, names: &[Name]) -> Result<Vec<(PathBuf, u64)>, Error> {
    let size = |name: &Name| {
        let path = name.path(root);
        let about = fs::metadata(&path).map_err(Error::io("inspect", &path))?;
        Ok((path, about.len()))
    };
    names.iter().map(size).collect()
}
