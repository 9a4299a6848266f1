//! A rare word in much kept output: what pruning spares.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use dockmgr_core::search::Query;

use crate::search::{RARE, Searched, search};
use crate::text::Text;
use crate::{ROUNDS, seal, segments, size, text, time};

/// Output that is kept, in GiB, unless the caller says.
const GIB: usize = 10;
/// Different text that is made of it, in MiB: four batches as the coordinator packs them. The rest are copies.
const DIFFERENT: usize = 256;
/// Output of a segment, in MiB, as the coordinator packs it.
const BATCH: usize = 64;
/// How long a search may take.
const GOAL: Duration = Duration::from_secs(1);
/// Threads that search.
const THREADS: usize = 2;

/// Searches for a word that one line has; whether it was found, and in time.
pub(crate) fn rare_word(out: &mut impl Write, measured: bool) -> io::Result<bool> {
    let given = std::env::var("GIB").ok().and_then(|given| given.parse::<usize>().ok());
    let (all, different) = match given {
        // It is only asked whether it works.
        None if !measured => (4, 2),
        given => (given.unwrap_or(GIB) << 10, DIFFERENT),
    };
    let folder = tempfile::tempdir()?;
    let count = fill(folder.path(), all, different)?;
    let query = Query::parse(RARE).map_err(io::Error::other)?;
    let mut best = Duration::MAX;
    let mut found = Searched::default();
    let mut frames = 0;
    // The first round reads it into memory.
    for _ in 0..=ROUNDS {
        let took = time(|| {
            let segments = segments(folder.path())?;
            frames = segments.iter().map(|segment| segment.frames().len()).sum();
            found = search(&query, &segments, THREADS)?;
            Ok(())
        });
        best = best.min(took?);
    }
    let met = found.lines == 1 && best < GOAL;
    writeln!(out, "\na rare word in {:.1} GiB of kept output, warm, {THREADS} threads", all as f64 / 1024.0)?;
    writeln!(
        out,
        "  {count} segments of {:.2} GiB in all, opened anew each time; {} of {frames} frames read: {:.3} s, goal under {} s: {}",
        size(folder.path())? as f64 / f64::from(1 << 30),
        found.frames,
        best.as_secs_f64(),
        GOAL.as_secs(),
        if met { "met" } else { "MISSED" },
    )?;
    Ok(met)
}

/// Fills a folder with segments of so many MiB of output in all; how many there are. One line of one of them has the word.
fn fill(folder: &Path, all: usize, different: usize) -> io::Result<usize> {
    let batch = BATCH.min(different / 2);
    let made = tempfile::tempdir()?;
    let mut texts = text::service_batches(batch << 20, different / batch).into_iter();
    let mut files = Vec::new();
    let with_word = texts.next().map(|text| text.with_line(RARE));
    for (number, text) in with_word.into_iter().chain(texts).enumerate() {
        let into = made.path().join(number.to_string());
        std::fs::create_dir(&into)?;
        let text = Text { lines_an_attempt: usize::MAX, ..text };
        seal(&text, &into)?;
        for entry in std::fs::read_dir(&into)? {
            files.push(entry?.path());
        }
    }
    // The first has the word and is there once; the others come as often as there is room.
    let count = (all / batch).max(files.len());
    for number in 0..count {
        let from = if number == 0 { &files[0] } else { &files[1 + number % (files.len() - 1)] };
        std::fs::copy(from, folder.join(number.to_string()))?;
    }
    Ok(count)
}
