//! Searching sealed output beside ripgrep: the same text in the same run, one thread each.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_archive::Segment;
use dockmgr_core::log::{Record, Stream};
use dockmgr_core::search::{Finder, Query, Scan, Times};
use dockmgr_core::time::WallTime;

use crate::{ROUNDS, segments, time};

/// A query, and the same for ripgrep.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    query: &'static str,
    flags: &'static [&'static str],
}

/// What is asked of the lines of each stream.
type Finders = [Arc<Finder>; 2];

/// A word that one line has, which is added to the text.
pub(crate) const RARE: &str = "needle7f3a9c";

/// What is asked: something that hardly any frame has; something of which no part stands written, and hardly a line has
/// it; and something that every third line has.
pub(crate) const QUESTIONS: [Question; 3] = [
    Question { name: "a rare word", query: RARE, flags: &["-i", "-w", RARE] },
    Question {
        name: "no literal, few hits",
        query: r"/(?-u)[0-9][a-f][0-9][a-f][0-9][a-f][0-9]/",
        flags: &[r"(?-u)[0-9][a-f][0-9][a-f][0-9][a-f][0-9]"],
    },
    Question {
        name: "no literal, many hits",
        query: r"/(?-u)[0-9]+[02468]\b/",
        flags: &[r"(?-u)[0-9]+[02468]\b"],
    },
];

/// How long a question takes each way, in microseconds, and how many lines each finds.
pub(crate) struct Answer {
    /// ripgrep over the text, a scan over the text, ripgrep over what zstd made of it, sealed output.
    pub(crate) times: [f64; 4],
    pub(crate) lines: [u64; 4],
}

/// Asks in turns; the median counts.
pub(crate) fn ask(question: &Question, plain: &Path, packed: &Path, sealed: &Path) -> io::Result<Answer> {
    let query = Query::parse(question.query).map_err(io::Error::other)?;
    let finders = Stream::ALL.map(|stream| Arc::new(Finder::new(&query, stream)));
    let segments = segments(sealed)?;
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut lines = [0; 4];
    for _ in 0..ROUNDS {
        times[0].push(time(|| ripgrep(question, plain, &mut lines[0]))?);
        times[1].push(time(|| scan(&finders, plain, &mut lines[1]))?);
        times[2].push(time(|| ripgrep(question, packed, &mut lines[2]))?);
        times[3].push(time(|| search(&query, &finders, &segments, &mut lines[3]))?);
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64() * 1e6
    };
    Ok(Answer { times: times.map(median), lines })
}

fn ripgrep(question: &Question, file: &Path, lines: &mut u64) -> io::Result<()> {
    let flags = ["--count", "--threads", "1", "--search-zip", "--text", "--no-config"];
    let output =
        Command::new("rg").args(flags).args(question.flags).arg(file).stderr(Stdio::inherit()).output()?;
    *lines = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
    Ok(())
}

/// Looks through a file as through kept output that is not sealed: in pieces, as records of one stream.
fn scan(finders: &Finders, file: &Path, lines: &mut u64) -> io::Result<()> {
    let mut file = File::open(file)?;
    let mut scan = begin(finders);
    let mut offset = 0;
    *lines = 0;
    loop {
        let mut piece = vec![0; 256 * 1024];
        let len = file.read(&mut piece)?;
        if len == 0 {
            scan.finish(|_| *lines += 1);
            return Ok(());
        }
        piece.truncate(len);
        scan.push(&[record(offset, piece.into())], |_| *lines += 1);
        offset += len as u64;
    }
}

/// Looks through sealed output: frames whose filter says that they may have a hit.
fn search(query: &Query, finders: &Finders, segments: &[Segment<File>], lines: &mut u64) -> io::Result<()> {
    let needs = query.needs();
    *lines = 0;
    for segment in segments {
        for number in 0..segment.frames().len() {
            if !segment.filter(number).map_err(io::Error::other)?.may_match(&needs) {
                continue;
            }
            for run in segment.frame(number).map_err(io::Error::other)?.runs() {
                let mut scan = begin(finders);
                scan.push(&[record(run.offset, run.bytes)], |_| *lines += 1);
                scan.finish(|_| *lines += 1);
            }
        }
    }
    Ok(())
}

fn begin([stdout, stderr]: &Finders) -> Scan {
    Scan::new(Arc::clone(stdout), Arc::clone(stderr), Times::default())
}

fn record(offset: u64, bytes: Bytes) -> Record {
    Record { stream: Stream::Stdout, offset, time: WallTime(0), bytes }
}
