//! What the daemon says about itself.
//!
//! Owns the request and its reading.

use bollard::models::SystemInfo;

use super::super::{Call, DaemonInfo, Error};
use super::raw::Json;
use super::{Docker, deadline};

/// Longest description; a daemon with a hundred registries and plugins stays below 100 KiB.
const LONGEST: usize = 1024 * 1024;

/// Describes the daemon.
pub(super) async fn info(docker: &Docker) -> Result<DaemonInfo, Error> {
    let request = Json {
        call: Call::Info,
        within: deadline::INFO,
        method: "GET",
        path: "/info",
        body: b"",
        longest: LONGEST,
    };
    let info: SystemInfo = request.ask(docker).await?;
    let mut runtimes: Vec<String> = info.runtimes.unwrap_or_default().into_keys().collect();
    runtimes.sort();
    let (daemon_id, live_restore) = (info.id.unwrap_or_default(), info.live_restore_enabled.unwrap_or(false));
    let instance = docker.peer().says(&daemon_id, live_restore).instance;
    Ok(DaemonInfo {
        daemon_id,
        instance,
        version: info.server_version.unwrap_or_default(),
        api_version: docker.api_version().await?,
        cpus: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        docker_root: info.docker_root_dir.unwrap_or_default(),
        storage_driver: info.driver.unwrap_or_default(),
        cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
        live_restore,
        os: info.os_type.unwrap_or_default(),
        architecture: info.architecture.unwrap_or_default(),
        images: info.images.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        runtimes,
    })
}
