//! Searching sealed output beside ripgrep: the same text in the same run.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// ripgrep over the text, a scan over the text, ripgrep over what zstd made of it, sealed output by one thread and by
    /// two.
    pub(crate) times: [f64; WAYS],
    pub(crate) lines: [u64; WAYS],
}

/// Ways to look.
pub(crate) const WAYS: usize = 5;

/// Asks in turns; the best counts, for other work on the machine only ever adds.
pub(crate) fn ask(question: &Question, plain: &Path, packed: &Path, sealed: &Path) -> io::Result<Answer> {
    let query = Query::parse(question.query).map_err(io::Error::other)?;
    let segments = segments(sealed)?;
    let mut times = [Duration::MAX; WAYS];
    let mut lines = [0; WAYS];
    for _ in 0..ROUNDS {
        let mut best = |way: usize, took: Duration| times[way] = times[way].min(took);
        best(0, time(|| ripgrep(question, plain, &mut lines[0]))?);
        best(1, time(|| scan(&finders(&query), plain, &mut lines[1]))?);
        best(2, time(|| ripgrep(question, packed, &mut lines[2]))?);
        for (way, threads) in [(3, 1), (4, 2)] {
            let took = time(|| {
                lines[way] = search(&query, &segments, threads)?.lines;
                Ok(())
            });
            best(way, took?);
        }
    }
    Ok(Answer { times: times.map(|time| time.as_secs_f64() * 1e6), lines })
}

fn finders(query: &Query) -> Finders {
    Stream::ALL.map(|stream| Arc::new(Finder::new(query, stream)))
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

/// What a search through sealed output comes to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Searched {
    /// Lines that match.
    pub(crate) lines: u64,
    /// Frames that were decompressed.
    pub(crate) frames: usize,
}

/// Looks through sealed output by so many threads, as the coordinator does: frames whose filter says that they may have a
/// hit.
pub(crate) fn search(query: &Query, segments: &[Segment<File>], threads: usize) -> io::Result<Searched> {
    let needs = query.needs();
    let numbers = |segment: &Segment<File>| 0..segment.frames().len();
    let frames: Vec<_> =
        segments.iter().flat_map(|segment| numbers(segment).map(move |number| (segment, number))).collect();
    let next = AtomicUsize::new(0);
    let look = || {
        let finders = finders(query);
        let mut found = Searched::default();
        while let Some((segment, number)) = frames.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !segment.filter(*number).map_err(io::Error::other)?.may_match(&needs) {
                continue;
            }
            found.frames += 1;
            for run in segment.frame(*number).map_err(io::Error::other)?.runs() {
                let mut scan = begin(&finders);
                scan.push_stretch(&run.stretch(), |_| found.lines += 1);
                scan.finish(|_| found.lines += 1);
            }
        }
        Ok(found)
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(look)).collect();
        all.into_iter().try_fold(Searched::default(), |sum, one| {
            let one: io::Result<Searched> = one.join().expect("a thread that does not panic");
            one.map(|one| Searched { lines: sum.lines + one.lines, frames: sum.frames + one.frames })
        })
    })
}

fn begin([stdout, stderr]: &Finders) -> Scan {
    Scan::new(Arc::clone(stdout), Arc::clone(stderr), Times::default())
}

fn record(offset: u64, bytes: Bytes) -> Record {
    Record { stream: Stream::Stdout, offset, time: WallTime(0), bytes }
}
