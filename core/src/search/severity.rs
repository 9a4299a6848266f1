//! How grave a line says it is.
//!
//! A JSON line says it in a field (`level`, `severity`, ...), a logfmt line likewise, any other line by a word near its
//! begin: in capitals (`2026-01-31 ERROR ...`), in brackets (`[warn] ...`) or before a colon (`error: ...`).

use super::fields::Fields;
use super::tokens;

/// Grave in growing order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Finest detail.
    Trace,
    /// For who looks for a fault.
    Debug,
    /// Ordinary.
    Info,
    /// Strange, and it went on.
    Warn,
    /// Something failed.
    Error,
    /// It could not go on.
    Fatal,
}

/// What programs write for each; the first of each is the one that is printed.
const WORDS: [(&str, Severity); 18] = [
    ("trace", Severity::Trace),
    ("debug", Severity::Debug),
    ("info", Severity::Info),
    ("information", Severity::Info),
    ("notice", Severity::Info),
    ("warn", Severity::Warn),
    ("warning", Severity::Warn),
    ("error", Severity::Error),
    ("err", Severity::Error),
    ("severe", Severity::Error),
    ("fatal", Severity::Fatal),
    ("critical", Severity::Fatal),
    ("crit", Severity::Fatal),
    ("alert", Severity::Fatal),
    ("emerg", Severity::Fatal),
    ("emergency", Severity::Fatal),
    ("panic", Severity::Fatal),
    ("dpanic", Severity::Fatal),
];
/// Numbers that loggers of JSON write instead.
const NUMBERS: [(&str, Severity); 6] = [
    ("10", Severity::Trace),
    ("20", Severity::Debug),
    ("30", Severity::Info),
    ("40", Severity::Warn),
    ("50", Severity::Error),
    ("60", Severity::Fatal),
];
/// Fields that say it, in the order in which they are believed.
const FIELDS: [&str; 8] =
    ["level", "severity", "lvl", "log.level", "loglevel", "log_level", "levelname", "severity_text"];
/// Bytes at the begin of a line of text in which a word is taken for its severity: a time, a host and a name fit before it.
const PREFIX: usize = 128;

impl Severity {
    /// Reads what programs write, in any case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        named(&WORDS, text)
    }

    /// The word people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// Every word and number of the severities that pass.
    pub(super) fn words_of(passes: impl Fn(Self) -> bool) -> impl Iterator<Item = &'static str> {
        WORDS.iter().chain(&NUMBERS).filter(move |(_, severity)| passes(*severity)).map(|(word, _)| *word)
    }
}

/// How grave a line says it is; `None` if it does not say.
pub fn severity(line: &[u8]) -> Option<Severity> {
    of(line, &Fields::of(line))
}

/// The same for a line that was taken apart already.
pub(super) fn of(line: &[u8], fields: &Fields<'_>) -> Option<Severity> {
    let is_json = matches!(fields, Fields::Json(_));
    for path in FIELDS {
        let mut found = None;
        fields.any(path, &mut |value| {
            let number = if is_json { named(&NUMBERS, value) } else { None };
            found = Severity::parse(value).or(number);
            found.is_some()
        });
        if found.is_some() {
            return found;
        }
    }
    if is_json { None } else { in_prefix(&line[..line.len().min(PREFIX)]) }
}

fn named(names: &[(&str, Severity)], text: &[u8]) -> Option<Severity> {
    names.iter().find(|(name, _)| text.eq_ignore_ascii_case(name.as_bytes())).map(|(_, severity)| *severity)
}

fn in_prefix(prefix: &[u8]) -> Option<Severity> {
    let mut is_first = true;
    for token in tokens::tokens(prefix) {
        let at = token.as_ptr() as usize - prefix.as_ptr() as usize;
        let (before, after) = (at.checked_sub(1).map(|at| prefix[at]), prefix.get(at + token.len()).copied());
        let bracketed = matches!(
            (before, after),
            (Some(b'['), Some(b']'))
                | (Some(b'('), Some(b')'))
                | (Some(b'<'), Some(b'>'))
                | (Some(b'|'), Some(b'|'))
        );
        let in_capitals = token.iter().all(u8::is_ascii_uppercase);
        let leads = std::mem::take(&mut is_first) && after == Some(b':');
        if (bracketed || in_capitals || leads)
            && let Some(severity) = Severity::parse(token)
        {
            return Some(severity);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_severity_is_seen_where_programs_write_it() {
        for (line, expected) in [
            (r#"{"level":"WARNING","msg":"error"}"#, Some(Severity::Warn)),
            (r#"{"log":{"level":"err"}}"#, Some(Severity::Error)),
            (r#"{"level":50}"#, Some(Severity::Error)),
            (r#"{"level":7,"severity":"critical"}"#, Some(Severity::Fatal)),
            (r#"{"msg":"ERROR"}"#, None),
            ("ts=1 level=debug msg=\"ERROR\"", Some(Severity::Debug)),
            ("2026-01-31T10:00:00,123 - WARN - it is late", Some(Severity::Warn)),
            ("[error] 12#0: no such file", Some(Severity::Error)),
            ("INFO:root:ready", Some(Severity::Info)),
            ("error: cannot find it", Some(Severity::Error)),
            ("panic: runtime error", Some(Severity::Fatal)),
            ("no error: all is well", None),
            ("ERRORS 0", None),
            ("level=50", None),
            ("", None),
        ] {
            assert_eq!(severity(line.as_bytes()), expected, "{line}");
        }
        let far = format!("{}ERROR", "x ".repeat(PREFIX));
        assert_eq!(severity(far.as_bytes()), None);
    }

    #[test]
    fn every_severity_reads_as_it_prints() {
        for (_, severity) in WORDS {
            assert_eq!(Severity::parse(severity.as_str().as_bytes()), Some(severity));
        }
    }
}
