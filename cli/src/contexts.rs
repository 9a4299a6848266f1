//! The contexts file: names for clusters, so that nobody types addresses.
//!
//! Owns `$XDG_CONFIG_HOME/dockmgr/config.toml`, written with mode 0600. Tokens themselves are never in it, only the
//! paths of their files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::input;

/// Largest file that is read.
const MOST_BYTES: u64 = 1024 * 1024;

/// All contexts and the one in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// Name of the one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// The contexts by name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// One cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// Its coordinators, separated by commas.
    pub(crate) server: String,
    /// Authority that signed its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
    /// Client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cert: Option<PathBuf>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    /// File with the API token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
}

impl Contexts {
    /// Reads the file; no file is no contexts.
    pub(crate) fn load() -> Result<Self, Failure> {
        let Some(path) = path() else { return Ok(Self::default()) };
        if fs::symlink_metadata(&path).is_err() {
            return Ok(Self::default());
        }
        let text = input::read_text(&path, MOST_BYTES, "the contexts file")?;
        toml::from_str(&text).map_err(|error| {
            Failure::usage(format!(
                "the contexts file '{}' is not right: {}",
                path.display(),
                input::toml_problem(&text, &error)
            ))
        })
    }

    /// Replaces the file at once, readable by its owner only.
    pub(crate) fn save(&self) -> Result<PathBuf, Failure> {
        let path = path().ok_or_else(|| {
            Failure::failed("no folder for the contexts file").hint("set HOME or XDG_CONFIG_HOME")
        })?;
        let text = toml::to_string_pretty(self)
            .map_err(|error| Failure::failed(format!("write contexts: {error}")))?;
        write_private(&path, &text).map_err(|error| {
            Failure::failed(format!("write the contexts file '{}': {error}", path.display()))
        })?;
        Ok(path)
    }

    /// A context by name.
    pub(crate) fn get(&self, name: &str) -> Result<&Context, Failure> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            Failure::usage(format!("no context '{}' (known: {known})", name.escape_default()))
                .hint("cluster-cli context add NAME --server URL makes one")
        })
    }
}

/// `$XDG_CONFIG_HOME/dockmgr/config.toml`, else under `~/.config`.
fn path() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("dockmgr").join("config.toml"))
}

/// Writes a file that only its owner may read, in one step, making its folders.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _gone_or_never_there = fs::remove_file(&fresh);
    }
    written
}
