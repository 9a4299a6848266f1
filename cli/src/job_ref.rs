//! How a person names a job on the command line: `42`, `42.7`, a name, a full uid, or `last`.

use dockmgr_core::ids::AttemptId;

/// A job and perhaps one of its tasks. The coordinator resolves the text; here only its shape is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobRef {
    /// What the coordinator is asked for.
    pub(crate) job: String,
    /// Index of the task, for `42.7`.
    pub(crate) task: Option<u32>,
    /// Number of the attempt, for `42.7.2`.
    pub(crate) attempt: Option<u32>,
}

/// Longest reference: a resource name with a uid is shorter.
const MOST_BYTES: usize = 128;

/// Reads a reference. `42.7` is always a task: names may hold dots but are not all digits.
pub(crate) fn parse(text: &str) -> Result<JobRef, String> {
    let shown: String = text.chars().take(64).flat_map(char::escape_default).collect();
    let wrong = || format!("'{shown}' is no job: give a number (42), a task (42.7), a name, a uid, or last");
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || text.len() > MOST_BYTES || !text.chars().all(allowed) {
        return Err(wrong());
    }
    if text.contains('/') && !text.starts_with("namespaces/default/jobs/") {
        return Err(wrong());
    }
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if let Some((job, task)) = text.split_once('.')
        && (digits(job) || job == "last")
        && (digits(task) || digits(job))
    {
        let index = if digits(task) { task.parse().ok() } else { None };
        checked_number(job).ok_or_else(wrong)?;
        return Ok(JobRef { job: job.to_owned(), task: Some(index.ok_or_else(wrong)?), attempt: None });
    }
    checked_number(text).ok_or_else(wrong)?;
    Ok(JobRef { job: text.to_owned(), task: None, attempt: None })
}

/// Reads a reference that may also name an attempt, `42.7.2`.
pub(crate) fn parse_attempt(text: &str) -> Result<JobRef, String> {
    match text.parse::<AttemptId>() {
        Ok(id) => {
            Ok(JobRef { job: id.job().to_string(), task: Some(id.task.index.0), attempt: Some(id.number.0) })
        }
        Err(_) => parse(text),
    }
}

/// Refuses 0 and numbers that no job can have; other texts pass.
fn checked_number(text: &str) -> Option<()> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse::<u64>().ok().filter(|n| *n > 0).map(|_| ())
    } else {
        Some(())
    }
}

impl std::fmt::Display for JobRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.job)?;
        self.task.map_or(Ok(()), |task| write!(f, ".{task}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tasks_names_and_uids_are_told_apart() {
        let task = |text: &str| parse(text).map(|r| (r.job, r.task));
        assert_eq!(task("42"), Ok(("42".into(), None)));
        assert_eq!(task("42.7"), Ok(("42".into(), Some(7))));
        assert_eq!(task("last"), Ok(("last".into(), None)));
        assert_eq!(task("last.3"), Ok(("last".into(), Some(3))));
        assert_eq!(task("my-job.v2"), Ok(("my-job.v2".into(), None)));
        assert_eq!(task("0190c7a2-0000-7000-8000-000000000000").map(|r| r.1), Ok(None));
    }

    #[test]
    fn what_cannot_be_a_job_is_refused_before_anything_is_sent() {
        let long = "9".repeat(4096);
        for bad in [
            "",
            "0",
            "-1",
            "42.",
            "42.x",
            "42.7.1",
            "99999999999999999999",
            "a b",
            "*",
            "' OR 1=1",
            "[a-z]+",
            "../x",
            "a/b",
            "\u{661}",
            &long,
        ] {
            assert!(parse(bad).is_err(), "{bad:?} must be refused");
        }
    }
}
