//! Looking through everything at the place of sealed output, believing no index.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _};
use std::path::Path;
use std::sync::Arc;

use dockmgr_archive::{FrameEntry, Segment, Source as _, repair};
use dockmgr_core::ids::{AttemptId, JobId};
use dockmgr_core::log::Offsets;
use dockmgr_support::error_chain::Chain;

use super::name::{self, Name};
use super::{Error, Place, Stored};
use crate::logs::fsck::{Problem, Teller};
use crate::logs::run;

/// Bytes at the begin of a segment that stand at its end once more.
const MAGIC_LEN: usize = 8;

/// Checks every object at `place`. With `mend`, an index that is damaged is made anew; `spool` is a folder with room for a
/// segment.
pub(in crate::logs) async fn check(
    place: &Place,
    spool: &Path,
    mend: bool,
    teller: &mut Teller<'_>,
) -> Result<(), Error> {
    let mut segments = place.list(name::SEGMENTS).await?;
    segments.sort_unstable();
    for (text, len) in segments {
        let shown = format!("{}/{text}", name::SEGMENTS);
        let Some(name) = Name::parse(&text) else {
            teller.tell(&Problem::new(shown, "not an object of dockmgr"));
            continue;
        };
        let examined = {
            let (place, text) = (place.clone(), text.clone());
            run(move || examine(&place, &text, len)).await
        };
        let examined = match examined {
            Ok(examined) => examined,
            Err(error) => {
                teller.tell(&Problem::new(shown, format!("cannot be read: {}", Chain(&error))));
                continue;
            }
        };
        teller.report.segments += 1;
        teller.report.bytes += len;
        teller.report.frames += examined.frames;
        teller.report.attempts += examined.attempts;
        for why in &examined.damage {
            let attempts = examined.not_whole.clone();
            teller.tell(&Problem { attempts, ..Problem::new(&shown, why) });
        }
        if let Some(why) = examined.index {
            let mut problem = Problem::new(&shown, why);
            if mend && examined.frames > 0 {
                match make_anew(place, spool, name, len).await {
                    Ok(done) => problem.mended = Some(done),
                    Err(error) => problem.why += &format!("; it cannot be made anew: {}", Chain(&error)),
                }
            }
            teller.tell(&problem);
        }
    }
    check_notes(place, teller).await
}

/// What a segment has, by its frames alone.
struct Examined {
    frames: usize,
    attempts: usize,
    /// What is no frame, and what of an attempt is missing.
    damage: Vec<String>,
    not_whole: Vec<AttemptId>,
    /// Set if the index does not say what the frames say.
    index: Option<String>,
}

fn examine(place: &Place, text: &str, len: u64) -> Result<Examined, Error> {
    let source = Arc::new(place.source(name::SEGMENTS, text, len)?);
    let found = repair(&source, io::sink()).map_err(Error::Segment)?;
    let frames = found.segment.frames;
    let mut damage: Vec<_> =
        found.damage.iter().map(|at| format!("bytes {} to {}: {}", at.position, at.end, at.why)).collect();
    let mut whole = wholeness(&frames);
    let index = match Segment::open(Arc::clone(&source)) {
        Ok(segment) => {
            for (attempt, _) in segment.attempts() {
                whole.entry(attempt).or_insert(false);
            }
            index_problem(&segment, &frames, damage.is_empty())?
        }
        Err(error) if error.is_retryable() => return Err(Error::Segment(error)),
        Err(error) => Some(Chain(&error).to_string()),
    };
    let index = if index.is_none() && !begins_well(&source, len)? {
        Some("not the begin of a segment".to_owned())
    } else {
        index
    };
    let not_whole: Vec<_> = whole.iter().filter(|(_, whole)| !**whole).map(|(attempt, _)| *attempt).collect();
    if damage.is_empty() && !not_whole.is_empty() {
        damage.push("frames are missing".to_owned());
    }
    Ok(Examined { frames: frames.len(), attempts: whole.len(), damage, not_whole, index })
}

/// Of which attempts the frames have everything.
fn wholeness(frames: &[FrameEntry]) -> BTreeMap<AttemptId, bool> {
    let mut seen: BTreeMap<AttemptId, (Offsets, bool, bool)> = BTreeMap::new();
    for section in frames.iter().flat_map(|frame| &frame.sections) {
        let (to, ended, torn) = seen.entry(section.attempt).or_default();
        *torn |= section.from != *to || *ended;
        *to = section.to;
        *ended |= section.end.is_some();
    }
    seen.into_iter().map(|(attempt, (_, ended, torn))| (attempt, ended && !torn)).collect()
}

/// Compares an index with the frames; where frames are damaged it knows of more than there are.
fn index_problem(
    segment: &Segment<Arc<Stored>>,
    frames: &[FrameEntry],
    all_frames: bool,
) -> Result<Option<String>, Error> {
    if all_frames && segment.frames() != frames {
        return Ok(Some("the index does not say what the frames say".to_owned()));
    }
    for at in 0..segment.frames().len() {
        match segment.filter(at) {
            Ok(_) => {}
            Err(error) if error.is_retryable() => return Err(Error::Segment(error)),
            Err(error) => return Ok(Some(Chain(&error).to_string())),
        }
    }
    Ok(None)
}

fn begins_well(source: &Stored, len: u64) -> Result<bool, Error> {
    let Some(end) = len.checked_sub(MAGIC_LEN as u64) else { return Ok(false) };
    let failed = |source| Error::Segment(dockmgr_archive::Error::Io { action: "read the begin", source });
    let read = |at| source.read(at, MAGIC_LEN).map_err(failed);
    Ok(read(0)? == read(end)?)
}

/// Stores the whole frames of a segment as another one with an index, and sets the old one aside; says what was done.
async fn make_anew(place: &Place, spool: &Path, old: Name, len: u64) -> Result<String, Error> {
    let (from, spool, text) = (place.clone(), spool.to_owned(), old.to_string());
    let written = run(move || {
        let source = from.source(name::SEGMENTS, &text, len)?;
        let file = tempfile::tempfile_in(&spool).map_err(Error::Spool)?;
        let found = repair(&source, BufWriter::new(file)).map_err(Error::Segment)?;
        let out = found.segment.out.into_inner();
        let mut file: File = out.map_err(|error| Error::Spool(error.into_error()))?;
        file.rewind().map_err(Error::Spool)?;
        Ok((file, found.segment.len))
    });
    let (file, len) = written.await?;
    let new = Name::new(old.epoch()).to_string();
    place.upload(name::SEGMENTS, &new, file).await?;
    let (from, text) = (place.clone(), new.clone());
    let checked = run(move || examine(&from, &text, len)).await?;
    if let Some(why) = checked.index {
        // It stays beside the old one, which is believed as little.
        return Err(Error::Place { action: "make anew", name: new, source: why.into() });
    }
    place.rename(name::SEGMENTS, &old.to_string(), name::DAMAGED).await?;
    let (segments, damaged) = (name::SEGMENTS, name::DAMAGED);
    Ok(format!("made anew as {segments}/{new}, the old one is {damaged}/{old}"))
}

/// Reads the notes of what was deleted.
async fn check_notes(place: &Place, teller: &mut Teller<'_>) -> Result<(), Error> {
    for (text, _) in place.list(name::DELETED).await? {
        let shown = format!("{}/{text}", name::DELETED);
        if Name::parse(&text).is_none() {
            teller.tell(&Problem::new(shown, "not an object of dockmgr"));
            continue;
        }
        match place.get(name::DELETED, &text).await {
            Err(error) => teller.tell(&Problem::new(shown, format!("cannot be read: {}", Chain(&error)))),
            Ok(bytes) => {
                let lines = String::from_utf8_lossy(&bytes);
                // A newer program may say more of a job.
                let is_job =
                    |line: &str| line.split(' ').next().is_some_and(|word| word.parse::<JobId>().is_ok());
                if lines.is_empty() || !lines.lines().all(is_job) {
                    teller.tell(&Problem::new(shown, "not a list of jobs"));
                }
            }
        }
    }
    Ok(())
}
