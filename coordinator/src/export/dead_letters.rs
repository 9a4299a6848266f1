//! Documents that a server will never take: JSON lines in a file of the data folder, for a person to look at.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use dockmgr_core::export::{DeadLetter, ecs};
use serde_json::json;

use super::Error;

/// Size at which the file is put aside. The one that was put aside before goes: together they hold twice this at most.
const MOST_BYTES: u64 = 64 << 20;

/// The dead letters of one exporter.
#[derive(Debug, Clone)]
pub(super) struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    /// The dead letters of the exporter `name`, kept in `folder`.
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        Self { path: folder.join(format!("{name}.dead.jsonl")) }
    }

    /// Adds letters; they are durable afterwards. Blocks.
    pub(super) fn put(&self, letters: &[DeadLetter]) -> Result<(), Error> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        match fs::metadata(&self.path) {
            Ok(about) if about.len() >= MOST_BYTES => {
                let aside = self.path.with_extension("jsonl.1");
                fs::rename(&self.path, aside).map_err(Error::io("put aside", &self.path))?;
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io("inspect", &self.path)(error));
            }
            Ok(_) | Err(_) => {}
        }
        let mut lines = Vec::new();
        for DeadLetter { document, why } in letters {
            lines.extend_from_slice(
                json!({ "why": why, "document": ecs::value(document) }).to_string().as_bytes(),
            );
            lines.push(b'\n');
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(Error::io("open", &self.path))?;
        file.write_all(&lines).and_then(|()| file.sync_data()).map_err(Error::io("write", &self.path))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
    }
}
