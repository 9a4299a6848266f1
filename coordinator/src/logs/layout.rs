//! Where the file of an attempt lies: `JOB/SHARD/TASK.ATTEMPT.log`.

use std::path::{Path, PathBuf};

use dockmgr_core::ids::{AttemptId, JobId};

/// Tasks of one folder: a folder with a million entries is slow to list and to sync.
const SHARD: u32 = 1000;

/// Folder of all output of a job.
pub(super) fn job_folder(root: &Path, job: JobId) -> PathBuf {
    root.join(job.to_string())
}

/// File of one attempt.
pub(super) fn file(root: &Path, attempt: AttemptId) -> PathBuf {
    let index = attempt.task.index.0;
    let name = format!("{index}.{}.log", attempt.number);
    job_folder(root, attempt.job()).join((index / SHARD).to_string()).join(name)
}

/// The attempt whose file this is, by its name; `None` for a file that is not ours.
pub(super) fn attempt_of(job: JobId, file: &Path) -> Option<AttemptId> {
    let (index, number) = file.file_name()?.to_str()?.strip_suffix(".log")?.split_once('.')?;
    AttemptId::from_parts(job.get(), index.parse().ok()?, number.parse().ok()?)
}
