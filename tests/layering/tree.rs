//! The files of the project.

use std::fs;
use std::path::{Path, PathBuf};

/// Crates whose code runs outside tests.
pub(crate) const CRATES: [&str; 9] =
    ["core", "archive", "model", "proto", "support", "client", "coordinator", "worker", "cli"];
/// Folders that hold what is built or fetched.
const NOT_OURS: [&str; 4] = ["target", ".git", "node_modules", "third_party"];

/// One file of the project.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path from the root.
    pub(crate) path: String,
    /// Its text; empty if it is not text.
    pub(crate) text: String,
}

impl Source {
    /// Whether it holds tests only.
    pub(crate) fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        let name = parts.last().copied().unwrap_or_default();
        parts.iter().any(|part| matches!(*part, "tests" | "conformance" | "benches"))
            || name == "tests.rs"
            || name == "conformance.rs"
            || name.starts_with("test_")
    }

    /// Whether it holds tests of a module that says itself what it owns.
    pub(crate) fn is_test_of_a_module(&self) -> bool {
        self.is_test() && !self.path.starts_with("tests/")
    }

    /// Its lines without the tests at its end.
    pub(crate) fn production(&self) -> impl Iterator<Item = &str> {
        let inline_tests = self.text.find("#[cfg(test)]\nmod tests {");
        self.text[..inline_tests.unwrap_or(self.text.len())].lines()
    }
}

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package is one folder below the root")
        .to_owned()
}

/// All files below `folder` of the project.
pub(crate) fn files(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let root = root();
    collect(&root, &root.join(folder), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The Rust files of the crates that run outside tests.
pub(crate) fn rust() -> Vec<Source> {
    let found: Vec<Source> = CRATES
        .iter()
        .flat_map(|name| files(&format!("{name}/src")))
        .filter(|file| file.path.ends_with(".rs"))
        .collect();
    assert!(found.len() > 100, "only {} Rust files were found", found.len());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("read {}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of the folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let shown = path.strip_prefix(root).expect("below the root").display().to_string();
            found.push(Source { path: shown, text: fs::read_to_string(&path).unwrap_or_default() });
        }
    }
}
