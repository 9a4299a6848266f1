//! Settings that must be refused, and the order of their sources.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use clap::Parser as _;

use super::*;

fn config(args: &[&str]) -> Result<Config, Error> {
    let all = ["dockmgr-coordinator"].iter().chain(args);
    Config::new(CommandLine::try_parse_from(all).expect("flags parse").serve)
}

#[test]
fn another_address_than_loopback_needs_tls_and_a_token() {
    for exposed in ["0.0.0.0:7443", "[::]:7443", "10.1.2.3:7443"] {
        let error = config(&["--listen", exposed]).expect_err("refused").to_string();
        assert!(error.contains("--insecure-bind"), "{error}");
        assert!(config(&["--listen", exposed, "--insecure-bind"]).is_ok());
    }
    for safe in ["127.0.0.1:0", "[::1]:7443", "localhost:7443"] {
        assert!(config(&["--listen", safe]).is_ok(), "{safe}");
    }
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    for (args, word) in [
        (&["--listen", "7443"][..], "--listen"),
        (&["--listen", "127.0.0.1:99999"], "--listen"),
        (&["--advertise", "10.0.0.1:7443"], "--advertise"),
        (&["--advertise", "https://10.0.0.1:7443"], "http://"),
        (
            &["--listen", "0.0.0.0:1", "--insecure-bind", "--store", "etcd", "--etcd", "http://127.0.0.1:1"],
            "--advertise",
        ),
        (&["--store", "etcd", "--etcd", "http://127.0.0.1:1", "--etcd-user", "x"], "--etcd-password-file"),
        (&["--store", "etcd", "--etcd", "http://127.0.0.1:1", "--etcd-password-file", "/x"], "--etcd-user"),
        (&["--store", "etcd"], "--etcd"),
        (
            &["--store", "etcd", "--etcd", "http://127.0.0.1:1", "--etcd-compact-every", "x"],
            "--etcd-compact-every",
        ),
        (&["--etcd", "http://127.0.0.1:2379"], "--store"),
        (&["--tls-cert", "/nonexistent"], "--tls-key"),
        (&["--tls-key", "/nonexistent"], "--tls-cert"),
        (&["--client-ca", "/nonexistent"], "--tls-cert"),
        (&["--token-file", "/nonexistent"], "/nonexistent"),
        (&["--max-connections", "0"], "--max-connections"),
        (&["--max-connections-per-ip", "3"], "--max-connections-per-ip"),
        (&["--default-image", "UPPER:x"], "--default-image"),
        (&["--metrics-listen", "0.0.0.0:9464"], "--metrics-token-file"),
        (&["--metrics-listen", "9464"], "--metrics-listen"),
        (&["--metrics-token-file", "/nonexistent"], "--metrics-listen"),
        (&["--seal-after", "soon"], "--seal-after"),
        (&["--log-store", "s3://"], "--log-store"),
        (&["--log-store", "some/folder"], "--log-store"),
        (&["--seal-bytes", "0"], "--seal-bytes"),
        (&["--retention-bytes", "0"], "--retention-bytes"),
        (&["--retention-job-bytes", "0"], "--retention-job-bytes"),
        (&["--export", "jobs.jsonl"], "--export"),
        (&["--export", "file:///a/x", "--export", "file:///b/x"], "two exporters"),
        (&["--config", "/nonexistent"], "/nonexistent"),
        (&["--config", "/"], "--config"),
        (&["--store", "etcd", "--etcd", "http://127.0.0.1:1", "--etcd-cert", "/x"], "--etcd-cert"),
    ] {
        let error = config(args).expect_err("refused").to_string();
        assert!(error.contains(word), "{args:?}: {error}");
    }
}

#[test]
fn a_key_that_all_users_can_read_is_refused() {
    let dir = tempfile::tempdir().expect("temp folder");
    let (cert, key) = (dir.path().join("cert"), dir.path().join("key"));
    std::fs::write(&cert, "x").expect("write");
    std::fs::write(&key, "x").expect("write");
    let args = ["--tls-cert", cert.to_str().expect("utf-8"), "--tls-key", key.to_str().expect("utf-8")];
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    assert!(config(&args).expect_err("refused").to_string().contains("chmod 600"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    assert!(config(&args).is_ok());
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let dir = tempfile::tempdir().expect("temp folder");
    let path = dir.path().join("c.toml");
    std::fs::write(&path, "listen = \"127.0.0.1:1\"\n[timing]\nheartbeat = \"1s\"\n").expect("write");
    let file = path.to_str().expect("utf-8");
    let from_file = config(&["--config", file]).expect("valid");
    assert_eq!((from_file.listen.port(), from_file.cluster.heartbeat), (1, Duration::from_secs(1)));
    assert_eq!(config(&["--config", file, "--listen", "127.0.0.1:2"]).expect("valid").listen.port(), 2);
    for (text, word) in [
        ("lisen = \"x\"", "lisen"),
        ("[timing]\nheartbeat = \"5x\"", "heartbeat"),
        ("[timing]\nheartbeat = \"0s\"", "heartbeat"),
        ("[timing]\nheartbeat = \"30s\"", "suspect-after"),
        ("[timing]\nlost_after = \"250s\"", "lost-after"),
        ("store = \"sqlite\"", "sqlite"),
    ] {
        std::fs::write(&path, text).expect("write");
        let error = config(&["--config", file]).expect_err("refused");
        let chain = dockmgr_support::error_chain::Chain(&error).to_string();
        assert!(chain.contains(word), "{text}: {chain}");
    }
}

#[test]
fn the_times_of_losing_a_worker_come_from_flags_and_must_fit_together() {
    let times = ["--suspect-after", "5s", "--fence-after", "20s", "--lost-after", "30s"];
    let cluster = config(&times).expect("they fit").cluster;
    let seconds = [cluster.suspect_after, cluster.fence_after, cluster.lost_after].map(|time| time.as_secs());
    assert_eq!(seconds, [5, 20, 30]);
    for (args, word) in [
        (["--suspect-after", "3s"], "twice the heartbeat"),
        (["--suspect-after", "240s"], "fence-after"),
        (["--fence-after", "290s"], "at least 313s"),
        (["--lost-after", "240s"], "at least 260s"),
        (["--lost-after", "5"], "not a time"),
    ] {
        let error = config(&args).expect_err("refused").to_string();
        assert!(error.contains(word), "{args:?}: {error}");
    }
}
