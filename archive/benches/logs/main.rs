//! Sealing beside the zstd program on the same text: what it takes on the disk, and how long it takes; and searching what
//! was sealed beside ripgrep.
//!
//! `make bench-logs` runs it. `TEXT=FILE` measures the text of a file instead of made-up ones, `MIB=n` changes how much
//! of each is made, `GIB=n` how much is kept where a rare word is looked for.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod kept;
mod search;
mod text;

use std::collections::BTreeSet;
use std::fs::{DirEntry, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use dockmgr_archive::{Segment, Token, Writer, token};
use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::{End, Offsets, Record, Stream};
use dockmgr_core::time::WallTime;
use text::Text;

/// What sealed output may take beside `zstd -3` of the same text.
const DISK_GOAL: f64 = 1.25;
/// Each way of each text is timed so often, in turns; the median counts.
const ROUNDS: usize = 3;
/// Words that no text has, looked up in every filter.
const ABSENT: usize = 2_000;

fn main() -> ExitCode {
    // Where tests are run, it is asked only whether it works.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let given = std::env::var("MIB").ok().and_then(|given| given.parse().ok());
    let texts = match std::env::var_os("TEXT") {
        Some(path) => text::of_file(Path::new(&path)).map(|text| vec![text]),
        None => Ok(text::made_up(given.unwrap_or(if measured { 64 } else { 1 }) << 20)),
    };
    match texts.and_then(|texts| run(&texts, measured)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => panic!("measurement: {error}"),
    }
}

fn run(texts: &[Text], measured: bool) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\nsealed segments beside the zstd program: the same text in the same run, one thread each"
    )?;
    let head = [
        "text",
        "raw",
        "zstd -3",
        "segment",
        "ratio",
        "write MB/s",
        "read MB/s",
        "words",
        "filters",
        "passed",
    ];
    let print = |out: &mut io::StdoutLock<'_>, cells: [String; 10]| {
        let widths = [24, 10, 10, 10, 7, 14, 14, 8, 9, 8];
        let line: String = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        writeln!(out, "  {line}")
    };
    print(&mut out, head.map(str::to_owned))?;
    let mut met = true;
    for text in texts {
        let row = measure(text)?;
        met &= row.ratio() <= DISK_GOAL;
        print(&mut out, row.cells(text))?;
    }
    let verdict = if met { "met" } else { "MISSED" };
    writeln!(
        out,
        "  ratio: the segment to zstd -3; goal at most {DISK_GOAL}, times and index included: {verdict}"
    )?;
    writeln!(out, "  write, read: zstd and here. read: all entries of all frames, checked")?;
    writeln!(
        out,
        "  words: different ones in a frame; filters: their part of the segment; passed: words that are"
    )?;
    writeln!(out, "  not there and whose frame would be read all the same")?;
    let met = met & searches(&mut out, texts)?;
    Ok(met & kept::rare_word(&mut out, measured)?)
}

/// Searches in one big attempt; whether every way found the same lines.
fn searches(out: &mut io::StdoutLock<'_>, texts: &[Text]) -> io::Result<bool> {
    writeln!(out, "\nsearching beside ripgrep: the same text in the same run; MB of text a second")?;
    let print = |out: &mut io::StdoutLock<'_>, cells: [String; 10]| {
        let widths = [24, 24, 9, 8, 8, 8, 8, 9, 10, 15];
        let line: String = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        writeln!(out, "  {line}")
    };
    let head =
        ["text", "asked for", "lines", "rg", "scan", "rg -z", "sealed", "by two", "scan/rg", "sealed/rg -z"];
    print(out, head.map(str::to_owned))?;
    let (mut same, mut faster) = (true, true);
    for text in texts.iter().filter(|text| text.lines_an_attempt == usize::MAX) {
        let text = text.with_line(search::RARE);
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let (plain, packed, sealed) = (path("text"), path("text.zst"), path("sealed"));
        std::fs::write(&plain, &text.bytes)?;
        std::fs::create_dir(&sealed)?;
        zstd("-3", &plain, &packed)?;
        seal(&text, &sealed)?;
        for question in &search::QUESTIONS {
            let search::Answer { times, lines } = search::ask(question, &plain, &packed, &sealed)?;
            let speeds = times.map(|time| format!("{:.0}", text.bytes.len() as f64 / time));
            let is_same = lines.iter().all(|found| *found == lines[0]);
            (same, faster) = (same && is_same, faster && times[4] < times[2]);
            let found = if is_same { lines[0].to_string() } else { format!("{lines:?}") };
            let ratio = |ours: usize, theirs: usize| format!("{:.2}", times[theirs] / times[ours]);
            let (name, asked) = (text.name.clone(), question.name.to_owned());
            let [rg, scan, rg_z, sealed, by_two] = speeds;
            let to_rg_z = format!("{}, {}", ratio(3, 2), ratio(4, 2));
            print(out, [name, asked, found, rg, scan, rg_z, sealed, by_two, ratio(1, 0), to_rg_z])?;
        }
    }
    let verdict = |met: bool| if met { "met" } else { "MISSED" };
    writeln!(
        out,
        "  scan: a file as it lies; sealed: frames whose filter passes, decompressed and scanned, by one thread"
    )?;
    writeln!(
        out,
        "  and by two, as a coordinator does on two processors. rg -z is two programs: zstd and rg itself"
    )?;
    writeln!(
        out,
        "  goals: the same lines each way: {}; sealed, by two, always faster than rg -z: {}",
        verdict(same),
        verdict(faster)
    )?;
    Ok(same)
}

/// What was measured of a text.
struct Row {
    zstd: u64,
    segment: u64,
    /// Microseconds of zstd, the writer, zstd -d, the reader.
    times: [f64; 4],
    words: usize,
    filters: f64,
    passed: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.segment as f64 / self.zstd as f64
    }

    fn cells(&self, text: &Text) -> [String; 10] {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let speed = |at: usize| text.bytes.len() as f64 / self.times[at];
        [
            text.name.clone(),
            mib(text.bytes.len() as u64),
            mib(self.zstd),
            mib(self.segment),
            format!("{:.3}", self.ratio()),
            format!("{:.0}, {:.0}", speed(0), speed(1)),
            format!("{:.0}, {:.0}", speed(2), speed(3)),
            self.words.to_string(),
            format!("{:.1} %", self.filters),
            format!("{:.1} %", self.passed),
        ]
    }
}

fn measure(text: &Text) -> io::Result<Row> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let (plain, packed, sealed) = (path("text"), path("text.zst"), path("sealed"));
    std::fs::write(&plain, &text.bytes)?;
    std::fs::create_dir(&sealed)?;
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(time(|| zstd("-3", &plain, &packed))?);
        times[1].push(time(|| seal(text, &sealed))?);
        times[2].push(time(|| zstd("-d", &packed, Path::new("/dev/null")))?);
        times[3].push(time(|| read(&sealed))?);
    }
    let (words, filters, passed) = filters(&sealed)?;
    let (zstd, segment) = (std::fs::metadata(&packed)?.len(), size(&sealed)?);
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64() * 1e6
    };
    let filters = 100.0 * filters as f64 / segment as f64;
    Ok(Row { zstd, segment, times: times.map(median), words, filters, passed })
}

/// Different words in a frame, bytes of all filters, and the percentage of absent words that pass one.
fn filters(sealed: &Path) -> io::Result<(usize, usize, f64)> {
    let (mut words, mut size, mut passed, mut frames) = (0, 0, 0, 0);
    let absent: Vec<Token> = (0..ABSENT).flat_map(|n| of(format!("absent{n}word").as_bytes())).collect();
    for segment in segments(sealed)? {
        for number in 0..segment.frames().len() {
            let filter = segment.filter(number).map_err(io::Error::other)?;
            size += filter.size();
            passed += absent.iter().filter(|token| filter.may_contain(**token)).count();
            let frame = segment.frame(number).map_err(io::Error::other)?;
            words += frame.runs().flat_map(|run| of(&run.bytes)).collect::<BTreeSet<_>>().len();
            frames += 1;
        }
    }
    Ok((words / frames, size, 100.0 * passed as f64 / (ABSENT * frames) as f64))
}

fn segments(sealed: &Path) -> io::Result<Vec<Segment<File>>> {
    let open =
        |entry: io::Result<DirEntry>| Segment::open(File::open(entry?.path())?).map_err(io::Error::other);
    std::fs::read_dir(sealed)?.map(open).collect()
}

fn size(sealed: &Path) -> io::Result<u64> {
    std::fs::read_dir(sealed)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

fn of(text: &[u8]) -> Vec<Token> {
    token::all(text).collect()
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn time(run: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let began = Instant::now();
    run()?;
    Ok(began.elapsed())
}

fn zstd(how: &str, from: &Path, to: &Path) -> io::Result<()> {
    let flags = ["--single-thread", "--quiet", "--force", how];
    let status = Command::new("zstd").args(flags).arg(from).arg("-o").arg(to).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the zstd program failed")) }
}

/// Seals the text in attempts of as many lines as it says, with a record and a millisecond for each line: that is the
/// most times can cost.
fn seal(text: &Text, to: &Path) -> io::Result<()> {
    let begin = |number: u32| {
        let file = File::create(to.join(number.to_string()))?;
        Writer::new(BufWriter::new(file)).map_err(io::Error::other)
    };
    let (mut number, mut writer) = (0, begin(0)?);
    let (mut now, mut rest) = (1_800_000_000_000, text.bytes.clone());
    for task in 0.. {
        if rest.is_empty() {
            break;
        }
        if writer.is_full() {
            number += 1;
            std::mem::replace(&mut writer, begin(number)?).finish().map_err(io::Error::other)?;
        }
        let attempt = AttemptId::from_parts(1, task, 1).ok_or(io::ErrorKind::InvalidInput)?;
        let mut output = writer.attempt(attempt, Offsets::default()).map_err(io::Error::other)?;
        for _ in 0..text.lines_an_attempt {
            let Some(at) = memchr::memchr(b'\n', &rest) else { break };
            let (bytes, offset) = (rest.split_to(at + 1), output.progress().offsets.stdout);
            let record = Record { stream: Stream::Stdout, offset, time: WallTime(now), bytes };
            now += 1;
            output.push(record.into()).map_err(io::Error::other)?;
        }
        let end = End::complete(output.progress().offsets);
        output.push(end.into()).map_err(io::Error::other)?;
    }
    writer.finish().map_err(io::Error::other)?;
    Ok(())
}

/// Reads all entries of all frames, checked.
fn read(sealed: &Path) -> io::Result<()> {
    let mut read = 0;
    for segment in segments(sealed)? {
        for number in 0..segment.frames().len() {
            let frame = segment.frame(number).map_err(io::Error::other)?;
            read +=
                frame.entries().map(|(_, entry)| std::hint::black_box(entry).payload_len()).sum::<usize>();
        }
    }
    if read > 0 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
