//! What the fake daemon must remember beyond the worker's life: every call that may change it, with its time.
//!
//! ```text
//! call --append--> events --replay at the next start--> the same containers, as far as time has come since
//! ```
//! A program of the fake is deterministic in time, so the calls give the state. Times count from the boot of the host, and
//! a worker that was killed loses nothing: a line is with the kernel before the call takes effect. Nothing is flushed, because
//! another boot ends all containers anyway and begins an empty daemon.
//!
//! Beside `events` there are `kills`, to which another process (the guard) appends what it ends while the worker hangs, and
//! `executions`, in which the life of each container is told to whoever tests the worker.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockmgr_model::docker::{Daemon, Id, Spec};
use serde::{Deserialize, Serialize};

/// Name of the folder in the worker's data folder.
pub const FOLDER: &str = "fake";
/// Events are rewritten without those of containers that are gone when the file has grown to this size.
const ENOUGH: u64 = 8 << 20;
/// Executions are told in a new file when the file has grown to this size; one old file is kept.
const ENOUGH_EXECUTIONS: u64 = 64 << 20;

/// First line of the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    boot_id: String,
    wall_zero: i64,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// The next container gets the number after this one.
    Number(u64),
    Pull(String),
    RemoveImage(String),
    Create {
        spec: StoredSpec,
    },
    Start(String),
    Signal(String, String),
    Remove(String, bool),
}

/// What a container is made of, as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredSpec {
    name: String,
    labels: BTreeMap<String, String>,
    image: String,
    argv: Vec<String>,
    env: Vec<(String, String)>,
}

impl From<StoredSpec> for Spec {
    fn from(StoredSpec { name, labels, image, argv, env }: StoredSpec) -> Self {
        Self { name, labels, image, argv, env }
    }
}

impl From<Spec> for StoredSpec {
    fn from(Spec { name, labels, image, argv, env }: Spec) -> Self {
        Self { name, labels, image, argv, env }
    }
}

/// A call and when it was made, in nanoseconds since boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    at: u64,
    event: Event,
}

/// The open record.
#[derive(Debug)]
pub(super) struct Record {
    folder: PathBuf,
    header: Header,
    events: File,
    size: u64,
    /// Bytes of `kills` that were read.
    kills: u64,
    executions: File,
    told: u64,
}

impl Record {
    /// Opens the record below `folder` and gives the daemon it describes. `boot_id` is that of the host now, `wall_zero` the wall
    /// time at its boot.
    pub(super) fn open(folder: &Path, boot_id: &str, wall_zero: i64) -> io::Result<(Self, Daemon)> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("events");
        let text = read_or_empty(&path)?;
        let mut lines = whole(&text).lines();
        let header = lines.next().and_then(|line| serde_json::from_str::<Header>(line).ok());
        let known = header.filter(|header| header.boot_id == boot_id);
        let mut daemon = Daemon::new(known.as_ref().map_or(wall_zero, |header| header.wall_zero));
        if known.is_some() {
            lines.filter_map(parse).for_each(|line| replay(&mut daemon, &line));
            OpenOptions::new().write(true).open(&path)?.set_len(whole(&text).len() as u64)?;
        }
        let fresh = known.is_none();
        let header = known.unwrap_or(Header { boot_id: boot_id.to_owned(), wall_zero });
        if fresh {
            // Those of another boot mean nothing any more.
            std::fs::write(folder.join("kills"), "")?;
            std::fs::write(&path, line_of(&header)?)?;
        }
        let (events, executions) = (append(&path)?, append(&folder.join("executions"))?);
        let (size, told) = (events.metadata()?.len(), executions.metadata()?.len());
        let mut record = Self { folder: folder.to_owned(), header, events, size, kills: 0, executions, told };
        record.take_kills(&mut daemon)?;
        Ok((record, daemon))
    }

    /// Writes a call down before it takes effect.
    pub(super) fn write(&mut self, now: Duration, event: Event) -> io::Result<()> {
        if self.size > ENOUGH {
            self.shorten()?;
        }
        let at = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let line = line_of(&Line { at, event })?;
        self.events.write_all(line.as_bytes())?;
        self.size += line.len() as u64;
        Ok(())
    }

    /// Carries out what another process ordered to be killed since the last look, at the time at which it did.
    pub(super) fn take_kills(&mut self, daemon: &mut Daemon) -> io::Result<()> {
        let path = self.folder.join("kills");
        if std::fs::metadata(&path).map_or(0, |metadata| metadata.len()) <= self.kills {
            return Ok(());
        }
        let mut text = String::new();
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(self.kills))?;
        file.read_to_string(&mut text)?;
        self.kills += whole(&text).len() as u64;
        for (name, at) in whole(&text).lines().filter_map(|line| line.split_once(' ')) {
            let (Some(id), Ok(at)) = (daemon.resolve(name), at.parse()) else { continue };
            // What is gone or has ended needs no kill.
            let _refused = daemon.signal(id, "KILL", Duration::from_nanos(at));
        }
        Ok(())
    }

    /// Tells that a container was created (`C`), started (`S`), ended (`E`) or removed (`R`): its name, when in seconds since
    /// boot, its code.
    pub(super) fn tell(&mut self, kind: char, name: &str, at: Duration, code: u8) -> io::Result<()> {
        let path = self.folder.join("executions");
        if self.told > ENOUGH_EXECUTIONS {
            std::fs::rename(&path, self.folder.join("executions.old"))?;
            self.executions = append(&path)?;
            self.told = 0;
        }
        let line = format!("{kind} {name} {:.3} {code}\n", at.as_secs_f64());
        self.told += line.len() as u64;
        self.executions.write_all(line.as_bytes())
    }

    /// Rewrites the events without those of containers that are gone.
    fn shorten(&mut self) -> io::Result<()> {
        let path = self.folder.join("events");
        let text = std::fs::read_to_string(&path)?;
        let lines: Vec<Line> = whole(&text).lines().skip(1).filter_map(parse).collect();
        let mut daemon = Daemon::new(self.header.wall_zero);
        // Of which container each line is.
        let of: Vec<Option<Id>> = lines
            .iter()
            .map(|line| {
                let before = daemon.last_number();
                let touched = line.event.container().and_then(|id| daemon.resolve(id));
                replay(&mut daemon, line);
                touched.or_else(|| {
                    (daemon.last_number() != before).then(|| Id::from_number(daemon.last_number()))
                })
            })
            .collect();
        let mut kept = line_of(&self.header)?;
        for (line, of) in lines.iter().zip(of) {
            let is_image = matches!(line.event, Event::Pull(_) | Event::RemoveImage(_));
            let Some(id) = of.filter(|id| daemon.peek(*id).is_some()) else {
                if is_image {
                    kept += &line_of(line)?;
                }
                continue;
            };
            if matches!(line.event, Event::Create { .. }) {
                kept += &line_of(&Line { at: line.at, event: Event::Number(id.number() - 1) })?;
            }
            kept += &line_of(line)?;
        }
        kept += &line_of(&Line { at: 0, event: Event::Number(daemon.last_number()) })?;
        let fresh = self.folder.join("events.new");
        std::fs::write(&fresh, &kept)?;
        std::fs::rename(&fresh, &path)?;
        self.events = append(&path)?;
        // Not shortened again before it has doubled, however much is still needed.
        self.size = 0;
        Ok(())
    }
}

impl Event {
    /// The container it is about, by id; `None` for one to be made, and for images.
    fn container(&self) -> Option<&str> {
        match self {
            Self::Start(id) | Self::Signal(id, _) | Self::Remove(id, _) => Some(id),
            Self::Number(_) | Self::Pull(_) | Self::RemoveImage(_) | Self::Create { .. } => None,
        }
    }
}

/// Orders that a container is killed at `at`, in nanoseconds since boot, whether or not the worker that drives the fake daemon of
/// `folder` lives and looks.
pub fn order_kill(folder: &Path, name: &str, at: u64) -> io::Result<()> {
    append(&folder.join("kills"))?.write_all(format!("{name} {at}\n").as_bytes())
}

/// Whether the kill of this container was ordered already.
pub fn is_ordered(folder: &Path, name: &str) -> bool {
    let text = std::fs::read_to_string(folder.join("kills")).unwrap_or_default();
    whole(&text).lines().any(|line| line.split(' ').next() == Some(name))
}

/// Does again what was done; a call that was refused is refused again.
fn replay(daemon: &mut Daemon, line: &Line) {
    let now = Duration::from_nanos(line.at);
    let id = line.event.container().and_then(|id| daemon.resolve(id));
    match (&line.event, id) {
        (Event::Number(number), _) => daemon.set_last_number(*number),
        (Event::Pull(image), _) => drop(daemon.add_image(image)),
        (Event::RemoveImage(image), _) => drop(daemon.remove_image(image)),
        (Event::Create { spec }, _) => drop(daemon.create(spec.clone().into())),
        (Event::Start(_), Some(id)) => drop(daemon.start(id, now)),
        (Event::Signal(_, signal), Some(id)) => drop(daemon.signal(id, signal, now)),
        (Event::Remove(_, force), Some(id)) => drop(daemon.remove(id, *force, now)),
        (Event::Start(_) | Event::Signal(..) | Event::Remove(..), None) => {}
    }
}

/// Without a last line that has no end: it was being written when the worker died, and its call never took effect.
fn whole(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..=end])
}

fn parse(line: &str) -> Option<Line> {
    serde_json::from_str(line).ok()
}

fn line_of(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn read_or_empty(path: &Path) -> io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

#[cfg(test)]
mod tests;
