//! Reading what a person points at: files and standard input, bounded and without hanging on odd ones.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::failure::Failure;

/// Reads a text file of at most `most` bytes. A pipe without a writer, a device and a folder are refused, not waited for.
pub(crate) fn read_text(path: &Path, most: u64, what: &str) -> Result<String, Failure> {
    let shown = format!("{what} '{}'", path.display().to_string().escape_default());
    let cannot = |error: io::Error| Failure::usage(format!("cannot read {shown}: {error}"));
    // Not blocking: opening a pipe that nobody writes to would wait for ever.
    let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
    let file = File::from(opened.map_err(|error| cannot(error.into()))?);
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err(Failure::usage(format!("{shown} is not a plain file"))
            .hint("give - to read standard input, where that is possible"));
    }
    text_of(file, most, &shown)
}

/// Reads standard input up to `most` bytes.
pub(crate) fn read_stdin(most: u64, what: &str) -> Result<String, Failure> {
    text_of(io::stdin().lock(), most, &format!("{what} on standard input"))
}

fn text_of(from: impl Read, most: u64, shown: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    from.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(Failure::usage(format!("{shown} is larger than {most} bytes")));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Failure::usage(format!("{shown} is UTF-16")).hint("save it as UTF-8"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("{shown} is not UTF-8 (byte {at})")).hint("save it as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Where and what, of an error in TOML.
pub(crate) fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, one_line(&error.message()))
}

/// The first line of a parser's error: the others repeat the text.
pub(crate) fn first_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    crate::terminal::escape_line(first.trim().trim_start_matches("error: "))
}

/// An error of a parser on one line.
pub(crate) fn one_line(error: &impl std::fmt::Display) -> String {
    let words: Vec<String> =
        error.to_string().lines().map(|line| line.trim().to_owned()).filter(|l| !l.is_empty()).collect();
    crate::terminal::escape_line(&words.join("; "))
}
