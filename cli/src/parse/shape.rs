//! Arrays and mounts.

use dockmgr_proto::v1::mount::Kind;
use dockmgr_proto::v1::{ArraySpec, Mount};

/// Most tasks of one job.
const MOST_TASKS: u64 = 1_000_000;

/// An array, `FIRST-LAST` or `FIRST-LAST%MOST_AT_A_TIME`.
pub(crate) fn array(text: &str) -> Result<ArraySpec, String> {
    let wrong = || format!("'{}' is no array such as 0-7 or 1-100%10", text.escape_default());
    let number = |t: &str| -> Result<u32, String> {
        let plain = !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if plain { t.parse().map_err(|_| wrong()) } else { Err(wrong()) }
    };
    let (range, most) = match text.split_once('%') {
        Some((range, most)) => (range, number(most)?),
        None => (text, 0),
    };
    if text.contains('%') && most == 0 {
        return Err("the number after % must be at least 1".to_owned());
    }
    let (first, last) = range.split_once('-').ok_or_else(wrong)?;
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("'{}' ends before it begins", text.escape_default()));
    }
    let tasks = u64::from(last) - u64::from(first) + 1;
    if tasks > MOST_TASKS {
        return Err(format!("{tasks} tasks are too many: a job has at most {MOST_TASKS}"));
    }
    Ok(ArraySpec { first, last, max_running: most })
}

/// A mount, `type=bind|volume|tmpfs,source=S,target=T[,readonly]`.
pub(crate) fn mount(text: &str) -> Result<Mount, String> {
    let mut mount = Mount::default();
    for part in text.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key {
            "type" => {
                mount.kind = match value {
                    "bind" => Kind::Bind,
                    "volume" => Kind::Volume,
                    "tmpfs" => Kind::Tmpfs,
                    other => {
                        return Err(format!(
                            "'{}' is no kind of mount: bind, volume or tmpfs",
                            other.escape_default()
                        ));
                    }
                }
                .into();
            }
            "source" | "src" if mount.source.is_empty() => value.clone_into(&mut mount.source),
            "target" | "dst" | "destination" if mount.target.is_empty() => {
                value.clone_into(&mut mount.target);
            }
            "readonly" | "ro" if matches!(value, "" | "true") => mount.read_only = true,
            _ => {
                return Err(format!(
                    "'{}' is not understood: type=,source=,target=,readonly once each",
                    part.escape_default()
                ));
            }
        }
    }
    match mount.kind() {
        Kind::Unspecified => Err("type= is missing: bind, volume or tmpfs".to_owned()),
        Kind::Bind if !mount.source.starts_with('/') => {
            Err("a bind mount needs source=/an/absolute/path".to_owned())
        }
        Kind::Tmpfs if !mount.source.is_empty() => Err("a tmpfs has no source".to_owned()),
        Kind::Bind | Kind::Volume | Kind::Tmpfs if !mount.target.starts_with('/') => {
            Err("target=/an/absolute/path is missing".to_owned())
        }
        Kind::Bind | Kind::Volume | Kind::Tmpfs => Ok(mount),
    }
}
