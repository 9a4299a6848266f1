//! One sample of a container's resource usage.
//!
//! Owns the choice of the source: the kernel's files where they can be read, else the daemon, which answers zeros for a
//! container that does not run.

use bollard::query_parameters::StatsOptions;
use futures_util::StreamExt;

use super::super::{Call, ContainerId, Error, Usage};
use super::{Docker, cgroup, deadline, inspect};

/// Samples usage; `None` when the container does not run, or nobody can tell.
pub(super) async fn usage(docker: &Docker, id: &ContainerId) -> Result<Option<Usage>, Error> {
    let Some(state) = inspect::inspect(docker, id.as_str()).await? else { return Ok(None) };
    let Some(pid) = state.pid else { return Ok(None) };
    if let Some(usage) = cgroup::usage(&state.id, pid).await {
        return Ok(Some(usage));
    }
    let options = StatsOptions { stream: false, one_shot: true };
    let sample = docker
        .call(Call::Usage, deadline::USAGE, |client| async move {
            client.stats(id.as_str(), Some(options)).next().await.transpose()
        })
        .await;
    let sample = match sample {
        Ok(Some(sample)) => sample,
        Ok(None) | Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let cpu_nanos =
        sample.cpu_stats.and_then(|cpu| cpu.cpu_usage).and_then(|cpu| cpu.total_usage).unwrap_or(0);
    let memory = sample.memory_stats.unwrap_or_default();
    let memory_bytes = memory.usage.unwrap_or(0);
    if cpu_nanos == 0 && memory_bytes == 0 {
        return Ok(None);
    }
    // Control groups version 2 have no peak in this answer, and it never counts kills.
    let memory_peak_bytes = memory.max_usage.filter(|peak| *peak > 0);
    Ok(Some(Usage { cpu_nanos, memory_bytes, memory_peak_bytes, oom_kills: None }))
}
