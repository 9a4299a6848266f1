//! An array of 10,000 tasks on a cluster a person starts with one command.

use std::path::Path;
use std::time::{Duration, Instant};

use dockmgr_tests::cluster::bare_cli;
use dockmgr_tests::dev::Dev;
use dockmgr_tests::{CliCall, Output, ports, wait_until};
use tempfile::TempDir;

/// What the coordinator may use with such an array.
const MOST_MEMORY: u64 = 200 << 20;
/// Lines of its description: all that is said of one job, and not a line for each task.
const MOST_LINES: usize = 200;
const TASKS: usize = 10_000;

fn call(folder: &Path, server: &str, args: &[&str]) -> CliCall {
    let mut command = bare_cli(folder);
    command.env("DOCKMGR_SERVER", server);
    CliCall::new(command, args).limit(Duration::from_secs(240))
}

/// The largest memory of the one program of this name below `folder`.
fn peak_memory(program: &str, folder: &Path) -> u64 {
    let marker = folder.display().to_string();
    for entry in std::fs::read_dir("/proc").expect("a proc file system").flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        let is_it = command.split('\0').next().is_some_and(|path| path.ends_with(program))
            && command.contains(&marker);
        if !is_it {
            continue;
        }
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel counts it");
        return line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KiB") * 1024;
    }
    panic!("no {program} runs for {marker}");
}

async fn fastest_describe(folder: &Path, server: &str) -> (Duration, Output) {
    let mut best: Option<(Duration, Output)> = None;
    for _ in 0..5 {
        let asked = Instant::now();
        let page = call(folder, server, &["describe", "1"]).run().await.expect_code(0);
        let took = asked.elapsed();
        if best.as_ref().is_none_or(|(least, _)| took < *least) {
            best = Some((took, page));
        }
    }
    best.expect("five tries")
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the figures are wanted beside the verdict")]
async fn ten_thousand_tasks_fit_a_small_coordinator_and_one_row() {
    let folder = TempDir::new().expect("a folder");
    let (path, listen) = (folder.path(), format!("127.0.0.1:{}", ports::free()));
    let server = format!("http://{listen}");
    let data = path.join("data").display().to_string();
    let dev = ["dev", "--runtime", "fake", "--workers", "2", "--data", &data, "--listen", &listen];
    let dev = Dev::start(path, &dev).await;
    let begun = Instant::now();
    call(path, &server, &["submit", "--array", "0-9999", "--cpus", "0.01", "--memory", "8m", "exit 0"])
        .ok()
        .await;
    let row = call(path, &server, &["ps"]).ok().await;
    assert_eq!(row.text().lines().count(), 2, "a head and one row: {}", row.describe());
    let (busy, _) = fastest_describe(path, &server).await;
    call(path, &server, &["wait", "1"]).ok().await;
    let took = begun.elapsed();
    let (idle, page) = fastest_describe(path, &server).await;
    assert!(page.text().contains(&TASKS.to_string()), "{}", page.describe());
    let memory = peak_memory("dockmgr-coordinator", path);
    eprintln!(
        "10,000 tasks: {took:.1?}; coordinator {} MiB; describe {busy:?} busy, {idle:?} idle",
        memory >> 20
    );
    assert!(memory < MOST_MEMORY, "the coordinator had {} MiB", memory >> 20);
    assert!(page.text().lines().count() < MOST_LINES, "{}", page.describe());
    let row = call(path, &server, &["ps", "-a"]).ok().await;
    assert_eq!(row.text().lines().count(), 2, "{}", row.describe());
    dev.end().await;
    wait_until("the token file to be gone", Duration::from_secs(5), async || {
        let left = std::fs::read_dir(path.join("run/dockmgr")).map_or(0, Iterator::count);
        if left == 0 { Ok(()) } else { Err(format!("{left} files")) }
    })
    .await;
}
