//! The program's own log lines: structured, on stderr, never on stdout.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("'{}' is not a log format: use text or json", other.escape_default())),
        }
    }
}

/// Starts logging to stderr. `level` is a filter such as `info` or `info,h2=warn`; call once, first thing in `main`.
///
/// # Errors
/// A sentence saying what is wrong with `level`, or that logging was started before.
pub fn start(format: Format, level: &str) -> Result<(), String> {
    let filter =
        filter(level).map_err(|error| format!("'{}' is not a log level: {error}", level.escape_default()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // A log line that cannot be written, say to a full disk, must not end the program.
        .log_internal_errors(false);
    let started = match format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
    started.map_err(|error| format!("start logging: {error}"))
}

/// Unless somebody asks for them, `object_store` keeps its retries to itself: while storage is away it would tell of each,
/// and whoever wanted to store something says so anyway.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::builder().parse(level)?;
    let tells_all = filter.max_level_hint().is_none_or(|most| most > LevelFilter::WARN);
    if level.contains("object_store") || !tells_all {
        return Ok(filter);
    }
    Ok(filter.add_directive("object_store=warn".parse().expect("a crate and a level")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_of_the_storage_are_told_to_those_who_ask_for_them() {
        let filter = |level| filter(level).expect("a level").to_string();
        assert!(filter("info").contains("object_store=warn"));
        assert!(!filter("error").contains("object_store"));
        assert!(filter("warn,object_store=debug").contains("object_store=debug"));
    }
}
