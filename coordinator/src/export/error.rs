//! What can go wrong while output is shipped.

use std::io;
use std::path::{Path, PathBuf};

use dockmgr_core::export::PlaceError;

use crate::{controller, logs, store};

/// An exporter cannot go on for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The cluster gave no answer.
    #[error("look at the cluster")]
    Cluster(#[from] controller::Error),
    /// Kept output cannot be read.
    #[error("read kept output")]
    Logs(#[from] logs::Error),
    /// The cursor cannot be read or stored.
    #[error("keep the place of the exporter")]
    Store(#[from] store::Error),
    /// What is stored is no cursor.
    #[error("read the place of the exporter")]
    Place(#[from] PlaceError),
    /// A file cannot be used.
    #[error("{action} '{}'", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// An I/O error on `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
