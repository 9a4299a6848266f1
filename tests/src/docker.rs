//! Docker as somebody else on the same machine sees it: through the `docker` program.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// No answer of the daemon takes longer on a loaded machine; pulls and builds are local.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs `docker ARGS` and returns what it prints; panics if it fails.
pub async fn docker(args: &[&str]) -> String {
    try_docker(args).await.unwrap_or_else(|error| panic!("docker {}: {error}", args.join(" ")))
}

/// Runs `docker ARGS`; its stderr if it fails.
pub async fn try_docker(args: &[&str]) -> Result<String, String> {
    let run = Command::new("docker").args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, run).await.map_err(|_| format!("no answer within {LIMIT:?}"))?;
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// What a cluster has on the daemon at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DockerSnapshot {
    /// Its containers in all states.
    pub containers: BTreeSet<String>,
    /// Its networks.
    pub networks: BTreeSet<String>,
    /// Its volumes.
    pub volumes: BTreeSet<String>,
}

impl DockerSnapshot {
    /// Everything that carries the label of cluster `id`.
    pub async fn of_cluster(id: &str) -> Self {
        let filter = format!("label=dockmgr.cluster={id}");
        let lines = |text: String| text.lines().map(str::to_owned).collect();
        Self {
            containers: lines(docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]).await),
            networks: lines(docker(&["network", "ls", "--filter", &filter, "--format", "{{.Name}}"]).await),
            volumes: lines(docker(&["volume", "ls", "--filter", &filter, "--format", "{{.Name}}"]).await),
        }
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A container that belongs to somebody else. Removed when dropped.
#[derive(Debug)]
pub struct ForeignContainer {
    id: String,
}

impl ForeignContainer {
    /// Starts one that looks as much like ours as a stranger's may: a name of our form, labels of our form, another cluster.
    pub async fn start() -> Self {
        let stamp = uuid::Uuid::now_v7().simple().to_string();
        let (name, cluster) =
            (format!("dockmgr-foreign{stamp}-1-0-1"), format!("dockmgr.cluster=foreign-{stamp}"));
        let image = crate::base_image();
        let args =
            ["run", "-d", "--network", "none", "--name", &name, "--label", &cluster, &image, "sleep", "3600"];
        Self { id: docker(&args).await }
    }

    /// What the daemon says about it: state, process id and start time.
    pub async fn state(&self) -> String {
        docker(&["inspect", "--format", "{{.State.Status}} {{.State.Pid}} {{.State.StartedAt}}", &self.id])
            .await
    }
}

impl Drop for ForeignContainer {
    fn drop(&mut self) {
        remove_now(std::slice::from_ref(&self.id));
    }
}

/// Removes containers at once; for destructors, which cannot wait.
pub(crate) fn remove_now(ids: &[String]) {
    if ids.is_empty() {
        return;
    }
    let mut command = std::process::Command::new("docker");
    command
        .args(["rm", "-f", "-v"])
        .args(ids)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // What is gone already needs no removal.
    let _removed = command.status();
}

/// Removes all containers of a cluster at once; for destructors.
pub(crate) fn remove_cluster_now(id: &str) {
    let mut command = std::process::Command::new("docker");
    command.args(["ps", "-aq", "--filter", &format!("label=dockmgr.cluster={id}")]).stdin(Stdio::null());
    if let Ok(output) = command.output() {
        let ids: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        remove_now(&ids);
    }
}
