//! Chooses how the output the daemon kept is read back.
//!
//! Owns the choice. The driver's own file is exact and fast, but only a worker with rights on the daemon's folder can read
//! it; else the API is used, which needs a rule to restore newlines and may leave one of them open.

use std::path::{Path, PathBuf};

use tokio::fs::File;

use super::super::{Call, ContainerId, Error, RecoveredLog};
use super::{Docker, info, inspect, log_api, log_file};

/// Opens the kept output of a container from its first byte.
pub(super) async fn recover_log(docker: &Docker, id: &ContainerId) -> Result<RecoveredLog, Error> {
    // The file is named by the full id.
    let Some(state) = inspect::inspect(docker, id.as_str()).await? else {
        return Err(Error::NotFound { what: id.to_string() });
    };
    if docker.reads_log_files() {
        let root = info::info(docker).await?.docker_root;
        let path = log_path(Path::new(&root), &state.id);
        match File::open(&path).await {
            Ok(file) => return Ok(log_file::follow(docker.clone(), state.id, file)),
            // Not started yet, another log driver, or no rights: all are seen through the API.
            Err(error) => {
                tracing::debug!(container_id = %state.id, error = %error, "kept log file not readable, using the api");
            }
        }
    }
    Ok(log_api::follow(docker.clone(), state.id))
}

fn log_path(root: &Path, id: &ContainerId) -> PathBuf {
    root.join("containers").join(id.as_str()).join("local-logs").join("container.log")
}

/// An error about the contents of a kept log.
pub(super) fn damaged(message: impl Into<String>) -> Error {
    Error::Protocol { call: Call::RecoverLog, message: message.into() }
}
