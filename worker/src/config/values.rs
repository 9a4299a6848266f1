//! From text to values, each error naming the setting and what would be right.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dockmgr_core::spec::{LabelKey, LabelValue};
use dockmgr_support::channel::Address;
use dockmgr_support::telemetry::Format;

use super::Error;

/// Most labels of a node.
const MOST_LABELS: usize = 64;
/// Longest name of a node.
const LONGEST_NAME: usize = 63;
/// Most cores that make sense.
const MOST_CPUS: f64 = 100_000.0;
/// Units of sizes, powers of two; the short forms mean the same, as `docker run` has it.
const SIZE_UNITS: [(&str, u64); 13] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1 << 10),
    ("mb", 1 << 20),
    ("gb", 1 << 30),
    ("tb", 1 << 40),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("b", 1),
];

/// The daemon's socket: an absolute path, with or without `unix://`. A TCP socket without TLS would give the host away.
pub(super) fn socket(text: &str) -> Result<String, Error> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    Err(wrong("docker", "it is the absolute path of the daemon's unix socket; other connections are refused"))
}

/// An error about one setting.
pub(super) fn wrong(name: &'static str, problem: impl Into<String>) -> Error {
    Error::Value { name, problem: problem.into() }
}

pub(super) fn addresses(texts: &[String]) -> Result<Vec<Address>, Error> {
    if texts.is_empty() {
        return Err(wrong("coordinator", "at least one address is needed"));
    }
    let parse =
        |text: &String| Address::parse(text.trim()).map_err(|error| wrong("coordinator", error.to_string()));
    texts.iter().map(parse).collect()
}

/// `KEY=VALUE` pairs.
pub(super) fn pairs(texts: &[String]) -> Result<Vec<(String, String)>, Error> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    };
    let parse = |text: &String| {
        pair(text).ok_or_else(|| wrong("label", format!("'{}' is not KEY=VALUE", text.escape_debug())))
    };
    texts.iter().map(parse).collect()
}

pub(super) fn labels(pairs: Vec<(String, String)>) -> Result<BTreeMap<LabelKey, LabelValue>, Error> {
    let parse = |(key, value): (String, String)| {
        let key = LabelKey::parse(&key).map_err(|error| wrong("label", error.to_string()))?;
        if key.is_reserved() {
            return Err(wrong("label", format!("{} is reserved", key.as_str())));
        }
        let value = LabelValue::parse(&value).map_err(|error| wrong("label", error.to_string()))?;
        Ok((key, value))
    };
    let labels: BTreeMap<_, _> = pairs.into_iter().map(parse).collect::<Result<_, _>>()?;
    if labels.len() > MOST_LABELS {
        return Err(wrong("label", format!("at most {MOST_LABELS} are allowed")));
    }
    Ok(labels)
}

/// The node's name: given, or the host's.
pub(super) fn name(given: Option<String>) -> Result<String, Error> {
    let name = given.unwrap_or_else(|| {
        rustix::system::uname().nodename().to_string_lossy().chars().take(LONGEST_NAME).collect()
    });
    let fits = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if fits {
        return Ok(name);
    }
    Err(wrong(
        "name",
        format!("1 to {LONGEST_NAME} letters, digits, '.', '_' or '-', beginning with a letter or digit"),
    ))
}

pub(super) fn cpu_millis(cpus: f64) -> Result<u64, Error> {
    if !(0.001..=MOST_CPUS).contains(&cpus) {
        return Err(wrong("cpus", "a number of cores from 0.001 to 100000"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked a line above"
    )]
    let millis = (cpus * 1000.0).round() as u64;
    Ok(millis)
}

/// A size such as `4GiB`, `512m` or plain bytes.
pub(super) fn size(name: &'static str, text: &str) -> Result<u64, Error> {
    let refuse = || wrong(name, format!("'{}' is not a size such as 4GiB or 512MiB", text.escape_debug()));
    let lower = text.trim().to_ascii_lowercase();
    let unit = SIZE_UNITS.iter().find_map(|(unit, bytes)| Some((lower.strip_suffix(unit)?, *bytes)));
    let (number, unit) = unit.unwrap_or((&lower, 1));
    if let Ok(whole) = number.trim().parse::<u64>() {
        return whole.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(refuse);
    }
    let (whole, part) = number.trim().split_once('.').ok_or_else(refuse)?;
    let digits = |text: &str| !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(part) {
        return Err(refuse());
    }
    let scale = 10u128.pow(u32::try_from(part.len()).unwrap_or(0));
    let whole = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit)).ok_or_else(refuse)?;
    // Below one unit, so it fits again.
    let part = part.parse::<u128>().map_err(|_| refuse())? * u128::from(unit) / scale;
    let part = u64::try_from(part).map_err(|_| refuse())?;
    whole.checked_add(part).filter(|bytes| *bytes > 0).ok_or_else(refuse)
}

/// A duration such as `24h`, `90m`, `30s`.
pub(super) fn duration(name: &'static str, text: &str) -> Result<Duration, Error> {
    let refuse =
        || wrong(name, format!("'{}' is not a duration such as 24h, 90m or 30s", text.escape_debug()));
    let (number, unit) =
        text.trim().split_at_checked(text.trim().len().saturating_sub(1)).ok_or_else(refuse)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(refuse()),
    };
    let number: u64 = number.parse().map_err(|_| refuse())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(refuse)
}

/// Folders that must exist.
pub(super) fn folders(folders: Vec<PathBuf>) -> Result<Vec<PathBuf>, Error> {
    for folder in &folders {
        if !folder.is_absolute() || !folder.is_dir() {
            let problem = format!("'{}' is not an absolute path of a folder", folder.display());
            return Err(wrong("allow-mount", problem));
        }
    }
    Ok(folders)
}

pub(super) fn log_format(text: Option<String>) -> Result<Format, Error> {
    text.map_or(Ok(Format::Text), |text| text.parse()).map_err(|problem: String| wrong("log-format", problem))
}
