//! Where the programs under test are.

use std::path::PathBuf;

/// The binary `name` beside this program, or one folder up from a test program.
///
/// # Panics
/// If it was not built.
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    // target/debug/dockmgr-chaos, or target/debug/deps/cluster-1a2b -> target/debug
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is missing beside {}: run cargo build --workspace --bins first", own.display())
    })
}
