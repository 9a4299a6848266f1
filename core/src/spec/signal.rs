//! Signals a container can be sent.

use std::fmt;
use std::str::FromStr;

use super::error::{Error, Excerpt};

/// A signal by its Linux number, 1 to 31 (the named ones).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// Names without `SIG`, in the order of their numbers from 1; the numbers of x86 and ARM.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names of the same signals.
const ALIASES: [(&str, u8); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

impl Signal {
    /// Asks a program to end.
    pub const TERM: Self = Self(15);
    /// Ends a program at once.
    pub const KILL: Self = Self(9);
    /// What Ctrl-C sends.
    pub const INT: Self = Self(2);

    /// Reads `SIGTERM`, `TERM`, in any case, or `15`. Realtime signals are refused: their numbers differ between
    /// C libraries, so the container may understand another one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |rule| Err(Error::Signal(Excerpt::of(text), rule));
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let number = text.parse().ok().and_then(Self::new);
            return number.map_or_else(|| bad("numbers are 1 to 31"), Ok);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if name.starts_with("RT") {
            return bad("realtime signals cannot be sent");
        }
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, number)| Self(*number));
        let named = || (1..=31).map(Self).find(|signal| signal.short_name() == name);
        alias
            .or_else(named)
            .map_or_else(|| bad("it is a name such as SIGTERM, TERM, or a number 1 to 31"), Ok)
    }

    /// The signal of this number; `None` unless it is 1 to 31.
    pub fn new(number: u8) -> Option<Self> {
        (1..=31).contains(&number).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its name without `SIG`, for a shell's `trap`.
    pub fn short_name(self) -> &'static str {
        NAMES[usize::from(self.0 - 1)]
    }

    /// The exit code of a program that this signal ended.
    pub fn exit_code(self) -> u8 {
        128 + self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.short_name())
    }
}

impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}
