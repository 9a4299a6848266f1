//! What a test needs from the machine, and the loud way out when a person chose to do without.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Set by a person who accepts that the Docker tests do not run.
pub const SKIP_DOCKER: &str = "DOCKMGR_SKIP_DOCKER";
/// Set by a person who accepts that the etcd tests do not run.
pub const SKIP_ETCD: &str = "DOCKMGR_SKIP_ETCD";

/// Whether the Docker tests run: true with a daemon, false if a person chose to skip them.
///
/// # Panics
/// Without a daemon and without that choice: a test that cannot run has failed.
pub fn docker() -> bool {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    if is_skipped(SKIP_DOCKER, "real Docker") {
        return false;
    }
    let found = ANSWER.get_or_init(|| {
        let ran = Command::new("docker").arg("version").stdin(Stdio::null()).output();
        match ran {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    });
    if let Err(problem) = found {
        panic!(
            "no Docker daemon answers ({problem}): run deploy/host/setup.sh --docker, or set {SKIP_DOCKER}=1"
        );
    }
    true
}

/// Whether the etcd tests run: true with an etcd, false if a person chose to skip them.
///
/// # Panics
/// Without an etcd and without that choice.
pub fn etcd() -> bool {
    if is_skipped(SKIP_ETCD, "real etcd") {
        return false;
    }
    if env::var_os("DOCKMGR_TEST_ETCD").is_none() {
        let found = Command::new("etcd").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
        if let Err(error) = found {
            panic!("no etcd here ({error}): run deploy/host/setup.sh --test, or set {SKIP_ETCD}=1");
        }
    }
    true
}

/// What tests that trace system calls need.
///
/// # Panics
/// Without it.
pub fn strace() {
    let found = Command::new("strace").arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).status();
    if let Err(error) = found {
        panic!("no strace here ({error}): run deploy/host/setup.sh --test");
    }
}

/// What tests that start a Prometheus or ask its tool need.
///
/// # Panics
/// Without them.
pub fn prometheus() {
    for program in ["prometheus", "promtool"] {
        let found = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        if let Err(error) = found {
            panic!("no {program} here ({error}): run deploy/host/setup.sh --test");
        }
    }
}

/// The folder of a tool that `deploy/host/setup.sh --test` has fetched or built.
///
/// # Panics
/// If it is not there.
pub fn tool(name: &str) -> PathBuf {
    let usual =
        || PathBuf::from(env::var_os("HOME").expect("a home folder")).join(".cache/dockmgr/test-tools");
    let folder = env::var_os("DOCKMGR_TEST_TOOLS").map_or_else(usual, PathBuf::from);
    let tool = folder.join(name);
    assert!(tool.exists(), "no {} here: run deploy/host/setup.sh --test", tool.display());
    tool
}

/// Whether the long versions run.
pub fn full() -> bool {
    env::var("DOCKMGR_FULL").is_ok_and(|value| value == "1")
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so where the person looks")]
fn is_skipped(variable: &str, what: &str) -> bool {
    let skipped = env::var(variable).is_ok_and(|value| value == "1");
    if skipped {
        eprintln!("SKIPPED: {what} ({variable}=1)");
    }
    skipped
}
