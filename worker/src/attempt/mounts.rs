//! Which folders of the host jobs may mount: only what the worker's operator allowed, without a way out by links.

use std::path::{Path, PathBuf};

/// Folders jobs may mount from, as they really are.
#[derive(Debug, Clone, Default)]
pub struct AllowedMounts {
    roots: Vec<PathBuf>,
}

impl AllowedMounts {
    /// Takes the operator's folders; each must exist.
    pub fn new(folders: &[PathBuf]) -> std::io::Result<Self> {
        let roots = folders.iter().map(|folder| folder.canonicalize()).collect::<Result<_, _>>()?;
        Ok(Self { roots })
    }

    /// The folders.
    pub fn roots(&self) -> Vec<String> {
        self.roots.iter().map(|root| root.display().to_string()).collect()
    }

    /// The real path of a source a job asks for; `Err` says why it is refused.
    pub(super) fn resolve(&self, source: &str) -> Result<String, String> {
        let real = Path::new(source)
            .canonicalize()
            .map_err(|error| format!("bind mount of {source} on this node: {error}"))?;
        if !self.roots.iter().any(|root| real.starts_with(root)) {
            return Err(format!("bind mount of {source} is not under a folder this worker allows"));
        }
        real.into_os_string().into_string().map_err(|_| format!("bind mount of {source}: not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_really_lies_under_an_allowed_folder_is_mounted() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let allowed = folder.path().join("allowed");
        std::fs::create_dir_all(allowed.join("in")).expect("makes");
        std::fs::create_dir_all(folder.path().join("allowed-not")).expect("makes");
        std::os::unix::fs::symlink("/etc", allowed.join("escape")).expect("links");
        let mounts = AllowedMounts::new(std::slice::from_ref(&allowed)).expect("exists");
        let ask = |tail: &str| mounts.resolve(&format!("{}/{tail}", folder.path().display()));
        assert!(ask("allowed/in").is_ok());
        assert!(ask("allowed").is_ok());
        for bad in [
            "allowed/../allowed-not",
            "allowed-not",
            "allowed/escape",
            "allowed/escape/passwd",
            "allowed/none",
        ] {
            assert!(ask(bad).is_err(), "{bad} must be refused");
        }
        assert!(AllowedMounts::default().resolve("/tmp").is_err(), "nothing is allowed by default");
    }
}
