//! What the daemon says about itself.
//!
//! Owns the request and its reading.

use super::super::{Call, DaemonInfo, Error};
use super::{Docker, deadline};

/// Describes the daemon.
pub(super) async fn info(docker: &Docker) -> Result<DaemonInfo, Error> {
    let info = docker.call(Call::Info, deadline::INFO, |client| async move { client.info().await }).await?;
    let mut runtimes: Vec<String> = info.runtimes.unwrap_or_default().into_keys().collect();
    runtimes.sort();
    Ok(DaemonInfo {
        daemon_id: info.id.unwrap_or_default(),
        version: info.server_version.unwrap_or_default(),
        api_version: docker.api_version().await?,
        cpus: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        docker_root: info.docker_root_dir.unwrap_or_default(),
        storage_driver: info.driver.unwrap_or_default(),
        cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
        live_restore: info.live_restore_enabled.unwrap_or(false),
        os: info.os_type.unwrap_or_default(),
        architecture: info.architecture.unwrap_or_default(),
        images: info.images.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        runtimes,
    })
}
