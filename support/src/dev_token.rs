//! Where `cluster-cli dev` leaves its API token, so that the command line of the same user finds it by itself.
//!
//! Owns the rule for the path and nothing else: `dev` writes the file (mode 0600), the command line reads it when no
//! other token is named and the server is on loopback.

use std::env;
use std::path::PathBuf;

/// The file for a coordinator that listens on `port`; `None` when the environment names no folder of this user.
///
/// `$XDG_RUNTIME_DIR/dockmgr`, else `$XDG_STATE_HOME/dockmgr`, else `$HOME/.local/state/dockmgr`.
pub fn path(port: u16) -> Option<PathBuf> {
    let folder = folder("XDG_RUNTIME_DIR")
        .or_else(|| folder("XDG_STATE_HOME"))
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))?;
    Some(folder.join("dockmgr").join(format!("dev-{port}.token")))
}

/// A folder named by the environment; relative ones are ignored, as the XDG rules ask.
fn folder(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
