//! Reading all kept output without believing any index, and saying what is damaged; on request, indexes are made anew.
//!
//! Owns what is looked at and what is told. What a segment must be is the business of `archive`, what lies at the place of
//! sealed output that of `sealed`. Called by the program's own command `fsck`.

mod plain;

use std::fmt;
use std::path::Path;

use dockmgr_core::ids::AttemptId;

use super::sealed::{Place, SealedAt, check};
use super::{Error, run};

/// Attempts that are named for one damage.
const NAMED: usize = 20;

/// What reading everything has told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Their frames that are whole.
    pub frames: usize,
    /// Attempts in them.
    pub attempts: usize,
    /// Plain files.
    pub files: usize,
    /// What is wrong.
    pub problems: usize,
    /// What of it was mended.
    pub mended: usize,
}

impl Report {
    /// Whether nothing is wrong any more.
    pub fn is_sound(&self) -> bool {
        self.problems == self.mended
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segments, bytes, frames, attempts, files, problems, mended } = self;
        write!(
            f,
            "read {segments} segments ({bytes} bytes, {frames} frames, {attempts} attempts) and {files} plain files: "
        )?;
        match problems {
            0 => f.write_str("nothing is damaged"),
            _ => write!(f, "{problems} damaged, {mended} of them mended"),
        }
    }
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The object or the file.
    pub name: String,
    /// What is wrong.
    pub why: String,
    /// Whose output is not whole because of it.
    pub attempts: Vec<AttemptId>,
    /// What was done about it, if anything was.
    pub mended: Option<String>,
}

impl Problem {
    pub(super) fn new(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), why: why.into(), attempts: Vec::new(), mended: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.mended.is_some() { "mended" } else { "bad" };
        write!(f, "{word}: {}: {}", self.name, self.why)?;
        let mut before = "; not whole: ";
        for attempt in self.attempts.iter().take(NAMED) {
            write!(f, "{before}{attempt}")?;
            before = ", ";
        }
        if let Some(more) = self.attempts.len().checked_sub(NAMED).filter(|more| *more > 0) {
            write!(f, " and {more} more")?;
        }
        self.mended.as_ref().map_or(Ok(()), |done| write!(f, "; {done}"))
    }
}

/// Where problems are told and counted.
pub(super) struct Teller<'t> {
    pub(super) report: Report,
    tell: &'t mut (dyn FnMut(&Problem) + Send),
}

impl Teller<'_> {
    pub(super) fn tell(&mut self, problem: &Problem) {
        self.report.problems += 1;
        self.report.mended += usize::from(problem.mended.is_some());
        (self.tell)(problem);
    }
}

/// Reads all output in the folder `root` and at the place `at`; `tell` hears of each problem when it is found. With `mend`,
/// segments whose index is damaged get a new one, made of their frames.
///
/// May run beside a coordinator, unless it mends: a coordinator knows nothing of what is replaced.
///
/// # Errors
/// [`Error`] if the folder or the place cannot be looked through at all.
pub async fn fsck(
    root: &Path,
    at: Option<&SealedAt>,
    mend: bool,
    tell: &mut (dyn FnMut(&Problem) + Send),
) -> Result<Report, Error> {
    std::fs::metadata(root).map_err(Error::io("look into", root))?;
    let usual = super::store::sealed_below(root);
    let place = Place::open(at.unwrap_or(&usual))?;
    let mut teller = Teller { report: Report::default(), tell };
    check(&place, root, mend, &mut teller).await?;
    let folder = root.to_owned();
    let (files, problems) = run(move || plain::check(&folder)).await?;
    teller.report.files = files;
    for problem in &problems {
        teller.tell(problem);
    }
    Ok(teller.report)
}

#[cfg(test)]
mod tests;
