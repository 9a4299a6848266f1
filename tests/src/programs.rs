//! Where the programs under test are.

use std::path::PathBuf;

/// The binary `name` beside this test program.
///
/// # Panics
/// If it was not built.
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    // target/debug/deps/cluster-1a2b -> target/debug
    let folder =
        own.parent().and_then(|deps| deps.parent()).expect("cargo puts test programs two folders down");
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: run cargo build --workspace --bins first", path.display());
    path
}
