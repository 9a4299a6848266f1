//! What a crash in the middle of writing an object leaves in a local folder: a file of a name that no object has.
//!
//! A store of objects does not show parts of uploads that were never completed; there a rule of the bucket removes them.

use std::path::Path;
use std::time::Duration;

use super::name::{DELETED, SEGMENTS};
use super::{Error, Sealed};

/// What the name of an object in the making has and a finished one has not.
const IN_THE_MAKING: char = '#';

impl Sealed {
    /// Removes objects in the making to which nothing was written for `idle`. Blocks.
    pub(in crate::logs) fn sweep(&self, idle: Duration) -> Result<(), Error> {
        let Some(root) = self.place.local() else { return Ok(()) };
        [SEGMENTS, DELETED].iter().try_for_each(|folder| sweep(&root.join(folder), idle))
    }
}

fn sweep(folder: &Path, idle: Duration) -> Result<(), Error> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("list", folder))?,
    };
    for entry in entries {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let written = || path.metadata().ok()?.modified().ok()?.elapsed().ok();
        if path.to_string_lossy().contains(IN_THE_MAKING) && written().is_some_and(|since| since >= idle) {
            std::fs::remove_file(&path).map_err(Error::io("delete", &path))?;
        }
    }
    Ok(())
}
