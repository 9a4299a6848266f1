//! Where the files of an attempt lie: `JOB/SHARD/TASK.ATTEMPT.log`, and `JOB/SHARD/TASK.ATTEMPT.EPOCH-STDOUT-STDERR.log`
//! for what the leader of an epoch took in from these offsets on.

use std::fs;
use std::path::{Path, PathBuf};

use dockmgr_core::ids::{AttemptId, Epoch, JobId};
use dockmgr_core::log::Offsets;

use super::Error;

/// Tasks of one folder: a folder with a million entries is slow to list and to sync.
const SHARD: u32 = 1000;
/// What every name ends in.
const SUFFIX: &str = ".log";

/// What the name of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) attempt: AttemptId,
    /// The epoch of its writer; 0 for the only file of a coordinator that is alone.
    pub(super) epoch: Epoch,
    /// Where the streams stand at its begin.
    pub(super) from: Offsets,
}

impl Name {
    /// The only file of an attempt, or its first.
    pub(super) fn first(attempt: AttemptId) -> Self {
        Self { attempt, epoch: Epoch(0), from: Offsets::default() }
    }

    /// The file of this name.
    pub(super) fn path(self, root: &Path) -> PathBuf {
        let (index, number, Offsets { stdout, stderr }) =
            (self.attempt.task.index.0, self.attempt.number, self.from);
        let name = if self.epoch.0 == 0 {
            format!("{index}.{number}{SUFFIX}")
        } else {
            format!("{index}.{number}.{}-{stdout}-{stderr}{SUFFIX}", self.epoch.0)
        };
        shard_folder(root, self.attempt).join(name)
    }

    /// What the name of `file` says; `None` for a file that is not ours.
    pub(super) fn parse(job: JobId, file: &Path) -> Option<Self> {
        let mut parts = file.file_name()?.to_str()?.strip_suffix(SUFFIX)?.split('.');
        let (index, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let attempt = AttemptId::from_parts(job.get(), index, number)?;
        let Some(part) = parts.next() else { return Some(Self::first(attempt)) };
        let mut numbers = part.split('-').map(|number| number.parse::<u64>().ok());
        let (epoch, stdout, stderr) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let ends = numbers.next().is_none() && parts.next().is_none();
        ends.then_some(Self { attempt, epoch: Epoch(epoch), from: Offsets { stdout, stderr } })
    }
}

/// Folder of all output of a job.
pub(super) fn job_folder(root: &Path, job: JobId) -> PathBuf {
    root.join(job.to_string())
}

/// Folder of the files of an attempt.
pub(super) fn shard_folder(root: &Path, attempt: AttemptId) -> PathBuf {
    job_folder(root, attempt.job()).join((attempt.task.index.0 / SHARD).to_string())
}

/// The folders of all jobs that have plain files.
pub(super) fn job_folders(root: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(entries(root)?.into_iter().filter(|path| job_of(path).is_some()).collect())
}

/// Whose folder it is; `None` for one that is not a job's.
pub(super) fn job_of(folder: &Path) -> Option<JobId> {
    folder.file_name()?.to_str()?.parse().ok()
}

/// The attempts of `job` that have plain files, in order.
pub(super) fn attempts_of(root: &Path, job: JobId) -> Result<Vec<AttemptId>, Error> {
    let mut found: Vec<_> = files_of(root, job)?.into_iter().map(|(attempt, _)| attempt).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The plain files of `job`, each with its attempt.
pub(super) fn files_of(root: &Path, job: JobId) -> Result<Vec<(AttemptId, PathBuf)>, Error> {
    let mut found = Vec::new();
    for shard in entries(&job_folder(root, job))? {
        for file in entries(&shard)? {
            found.extend(Name::parse(job, &file).map(|name| (name.attempt, file)));
        }
    }
    Ok(found)
}

/// What lies in a folder; nothing if it does not exist.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(Error::io("list", folder))?,
    };
    listed.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io("list", folder))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_it_was_made_from_and_foreign_names_say_nothing() {
        let attempt = AttemptId::from_parts(42, 7, 1).expect("valid");
        let root = Path::new("/logs");
        let later = Name { attempt, epoch: Epoch(99), from: Offsets { stdout: 5, stderr: 0 } };
        for (name, path) in
            [(Name::first(attempt), "/logs/42/0/7.1.log"), (later, "/logs/42/0/7.1.99-5-0.log")]
        {
            assert_eq!(name.path(root), Path::new(path));
            assert_eq!(Name::parse(attempt.job(), Path::new(path)), Some(name));
        }
        for foreign in
            ["7.1", "7.log", "7.1.log.corrupt", "7.1.9-5.log", "7.1.9-5-0-0.log", "7.1.9-5-0.x.log"]
        {
            assert_eq!(Name::parse(attempt.job(), Path::new(foreign)), None, "{foreign}");
        }
    }
}
