//! The texts that are measured.

use std::io;
use std::path::Path;

use bytes::Bytes;
use fastrand::Rng;

/// A text and how it is cut into attempts.
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
    pub(crate) lines_an_attempt: usize,
}

impl Text {
    /// The text with one more line in it, behind two thirds.
    pub(crate) fn with_line(&self, line: &str) -> Self {
        let from = self.bytes.len() / 3 * 2;
        let at = memchr::memchr(b'\n', &self.bytes[from..]).map_or(self.bytes.len(), |at| from + at + 1);
        let bytes = [&self.bytes[..at], line.as_bytes(), b"\n", &self.bytes[at..]].concat().into();
        Self { name: self.name.clone(), bytes, lines_an_attempt: self.lines_an_attempt }
    }
}

/// The same texts at each run, `len` bytes each: what services write, builds, tiny tasks, and what hardly compresses.
pub(crate) fn made_up(len: usize) -> Vec<Text> {
    let text = |name: &str, lines_an_attempt, line: fn(&mut Rng, usize) -> String| {
        let mut rng = Rng::with_seed(7);
        let mut text = String::with_capacity(len + 1024);
        for n in 0.. {
            if text.len() >= len {
                break;
            }
            text.push_str(&line(&mut rng, n));
            text.push('\n');
        }
        Text { name: name.to_owned(), bytes: text.into(), lines_an_attempt }
    };
    vec![
        text("service", usize::MAX, service),
        text("service, JSON", usize::MAX, json),
        text("build", usize::MAX, build),
        text("tasks of three lines", 3, service),
        text("random hexadecimal", usize::MAX, |rng, _| format!("{:032x}", rng.u128(..))),
    ]
}

/// What services write, in so many parts of `len` bytes, each different.
pub(crate) fn service_batches(len: usize, count: usize) -> Vec<Text> {
    let mut rng = Rng::with_seed(11);
    let mut line = 0;
    let mut batch = || {
        let mut text = String::with_capacity(len + 1024);
        while text.len() < len {
            text.push_str(&service(&mut rng, line));
            text.push('\n');
            line += 1;
        }
        Text { name: "service".to_owned(), bytes: text.into(), lines_an_attempt: usize::MAX }
    };
    (0..count).map(|_| batch()).collect()
}

/// The text of a file, as one attempt.
pub(crate) fn of_file(path: &Path) -> io::Result<Text> {
    let mut bytes = std::fs::read(path)?;
    bytes.push(b'\n');
    Ok(Text { name: path.display().to_string(), bytes: bytes.into(), lines_an_attempt: usize::MAX })
}

const PATHS: [&str; 6] =
    ["/api/v1/users", "/api/v1/orders", "/login", "/metrics", "/api/v2/carts/items", "/healthz"];
const WORDS: [&str; 12] = [
    "request",
    "handled",
    "cache",
    "miss",
    "retry",
    "connection",
    "pool",
    "upstream",
    "timeout",
    "queue",
    "worker",
    "finished",
];

fn pick<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    // Some are far more frequent than others.
    of[rng.usize(..of.len()).min(rng.usize(..of.len()))]
}

fn stamp(n: usize) -> String {
    format!(
        "2027-01-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        1 + n / 86_400_000,
        n / 3_600_000 % 24,
        n / 60_000 % 60,
        n / 1000 % 60,
        n % 1000
    )
}

fn service(rng: &mut Rng, n: usize) -> String {
    let level = pick(rng, &["INFO", "DEBUG", "WARN", "ERROR"]);
    let words: Vec<&str> = (0..4).map(|_| pick(rng, &WORDS)).collect();
    format!(
        "{} {level:5} {} path={}/{} status={} duration_ms={}.{} trace_id={:016x} client=10.{}.{}.{}",
        stamp(n),
        words.join(" "),
        pick(rng, &PATHS),
        rng.u32(..100_000),
        pick(rng, &["200", "204", "404", "500"]),
        rng.u32(..500),
        rng.u32(..10),
        rng.u64(..),
        rng.u8(..4),
        rng.u8(..),
        rng.u8(..),
    )
}

fn json(rng: &mut Rng, n: usize) -> String {
    format!(
        r#"{{"time":"{}","level":"{}","message":"{} {}","http":{{"path":"{}","status":{}}},"user":{{"id":{}}},"bytes":{},"host":"node-{}"}}"#,
        stamp(n),
        pick(rng, &["info", "debug", "warn", "error"]),
        pick(rng, &WORDS),
        pick(rng, &WORDS),
        pick(rng, &PATHS),
        pick(rng, &["200", "204", "404", "500"]),
        rng.u32(..50_000),
        rng.u32(..1_000_000),
        rng.u8(..20),
    )
}

fn build(rng: &mut Rng, n: usize) -> String {
    let unit =
        format!("{}/{}_{}", pick(rng, &["core", "net", "store", "ui"]), pick(rng, &WORDS), rng.u16(..400));
    match rng.u8(..10) {
        0 => format!(
            "src/{unit}.cc:{}:{}: warning: unused variable 'value' [-Wunused-variable]",
            rng.u16(..2000),
            rng.u8(..80)
        ),
        _ => format!("[{:3}%] Building CXX object src/CMakeFiles/app.dir/{unit}.cc.o", n / 1000 % 100),
    }
}
