//! What is left when everything has ended: it has a minute to go away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::executions::left_in_fake;
use crate::world::World;
use crate::world::member::Who;

/// How long clean-up may take after the last job has ended.
const LIMIT: Duration = Duration::from_secs(60);
/// Open files above those of a fresh cluster: connections of users, of members that moved to another leader.
const MORE_FILES: usize = 40;

/// What there was before the load.
#[derive(Debug)]
pub(crate) struct Leaks {
    files: BTreeMap<Who, usize>,
}

impl Leaks {
    /// Takes the measure of a fresh cluster.
    pub(crate) fn measure(world: &World) -> Self {
        Self { files: files(world) }
    }

    /// What is left now.
    async fn left(&self, world: &mut World) -> Vec<String> {
        let mut left = Vec::new();
        for n in 0..world.workers() {
            let mut spool = Vec::new();
            below(&world.worker_folder(n).join("spool"), &mut spool);
            left.extend(spool.iter().map(|path| format!("spool file {}", path.display())));
            let containers = left_in_fake(&world.fake_folder(n));
            left.extend(containers.iter().map(|name| format!("container {name} of worker-{n}")));
            let count = world.member(Who::Worker(n)).space.processes().len();
            // The worker and its guard.
            if count > 2 {
                left.push(format!("{count} processes of worker-{n}"));
            }
        }
        if let Some(daemon) = &world.daemon {
            match daemon.containers().await {
                Ok(names) => left.extend(names.iter().map(|name| format!("container {name}"))),
                Err(error) => left.push(format!("the daemon does not answer: {error:#}")),
            }
            left.extend(daemon.cgroups().iter().map(|path| format!("cgroup {}", path.display())));
        }
        for (who, files) in files(world) {
            let before = self.files.get(&who).copied().unwrap_or(0);
            if files > before + MORE_FILES {
                left.push(format!("{who} has {files} open files, {before} when it was fresh"));
            }
        }
        left
    }
}

/// Waits until nothing is left; what is left after the limit, and how long it took.
pub(crate) async fn settle(leaks: &Leaks, world: &mut World) -> (Vec<String>, Duration) {
    let began = Instant::now();
    loop {
        let left = leaks.left(world).await;
        if left.is_empty() || began.elapsed() > LIMIT {
            return (left, began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn files(world: &World) -> BTreeMap<Who, usize> {
    let programs = world.members.iter().filter(|member| !matches!(member.who, Who::Etcd(_)));
    programs.filter_map(|member| Some((member.who, open_files(member.process_id()?)))).collect()
}

/// Open files of a process, without the log files that a coordinator keeps open on purpose, up to its bound.
fn open_files(pid: u32) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| !target.components().any(|part| part.as_os_str() == "logs")).count()
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { below(&path, found) } else { found.push(path) }
    }
}
