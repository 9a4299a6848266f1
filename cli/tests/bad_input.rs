//! What bad input gets: the documented exit code and a sentence that says what is wrong, from the real program.
//!
//! No row needs a cluster: either nothing is sent, or nobody who could answer is there.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// One row: the words of the command line (split at `|`), the exit code, and what standard error must contain.
type Row = (&'static str, i32, &'static str);

/// Nobody listens on port 1: a row that gets this far would say "cannot reach".
const NOBODY: &str = "http://127.0.0.1:1";

const USAGE: &[Row] = &[
    ("", 2, "cluster-cli dev"),
    ("frobnicate", 2, "unrecognized subcommand"),
    ("sumbit|true", 2, "submit"),
    ("ps|--frobnicate", 2, "unexpected argument"),
    ("run|--frobnicate|true", 125, "unexpected argument"),
    ("wait|--frobnicate|1", 125, "unexpected argument"),
    ("submit|--wait|--frobnicate|true", 125, "unexpected argument"),
    ("submit|--frobnicate|true", 2, "unexpected argument"),
    ("run|--cpus|1|--cpus|2|true", 125, "cannot be used multiple times"),
    ("submit|--name|aa|--name|bb|true", 2, "cannot be used multiple times"),
    ("ps|--server|a|--server|b", 2, "cannot be used multiple times"),
    ("run|--read-only|--read-only|true", 125, "cannot be used multiple times"),
    ("run", 125, "script on standard input is empty"),
    ("run|-", 125, "script on standard input is empty"),
    ("submit", 2, "script on standard input is empty"),
    ("run|", 125, "command is empty"),
    ("run|  ", 125, "command is empty"),
    ("run|--shell|/bin/sh|a|b", 125, "--shell takes a script"),
    ("run|--shell|none|-", 125, "empty"),
    ("run|--shell||a b", 125, "--shell must not be empty"),
    ("run|--entrypoint||true", 125, "--entrypoint must not be empty"),
    ("run|--output|json|true", 125, "--dry-run"),
];

const FLAGS: &[Row] = &[
    ("run|--cpus|0|true", 125, "0.01"),
    ("run|--cpus|NaN|true", 125, "no number of processors"),
    ("run|--cpus|inf|true", 125, "no number of processors"),
    ("run|--cpus|0.0000001|true", 125, "finer than"),
    ("run|--cpus|1,5|true", 125, "no number of processors"),
    ("run|--cpus|-1|true", 125, "no number of processors"),
    ("run|--cpus|1e3|true", 125, "no number of processors"),
    ("run|--cpus|999999999|true", 125, "more than any machine"),
    ("run|--memory|0|true", 125, "more than 0"),
    ("run|--memory|5m|true", 125, "--memory"),
    ("run|--memory|99999999999g|true", 125, "larger than any memory"),
    ("run|--memory|-1g|true", 125, "no size"),
    ("run|--memory|1GiBB|true", 125, "no size"),
    ("run|--timeout|0|true", 125, "more than 0"),
    ("run|--timeout|-5|true", 125, "no duration"),
    ("run|--timeout|1e20|true", 125, "no duration"),
    ("run|--timeout|5x|true", 125, "no duration"),
    ("run|--queue-timeout|0s|true", 125, "more than 0"),
    ("run|--grace|-1|true", 125, "no duration"),
    ("run|--grace|1d|true", 125, "--grace"),
    ("run|--priority|2147483648|true", 125, "--priority"),
    ("run|--priority|1000001|true", 125, "--priority"),
    ("run|--retries|-1|true", 125, "--retries"),
    ("run|--retries|101|true", 125, "--retries"),
    ("run|--gpus|-1|true", 125, "--gpus"),
    ("run|--array|7-0|true", 125, "ends before it begins"),
    ("run|--array|0-1000000|true", 125, "too many"),
    ("run|--array|0-7%0|true", 125, "at least 1"),
    ("run|--array|x|true", 125, "no array"),
    ("run|--pull|sometimes|true", 125, "possible values"),
    ("run|--network|host|true", 125, "possible values"),
    ("run|--on-lost|panic|true", 125, "possible values"),
    ("run|--privileged|true", 125, "unexpected argument"),
    ("run|--constraint|zone|true", 125, "no constraint"),
    ("run|--mount|type=bind,target=/a|true", 125, "source"),
    ("run|--mount|type=bind,source=/a,target=/|true", 125, "--mount"),
    ("run|--mount|type=bind,source=/var/run/docker.sock,target=/s|true", 125, "--mount"),
    ("run|--mount|type=magic,target=/a|true", 125, "no kind of mount"),
    ("run|--stop-signal|SIGFOO|true", 125, "--stop-signal"),
    ("run|--stop-signal|0|true", 125, "--stop-signal"),
    ("run|--stop-signal|65|true", 125, "--stop-signal"),
    ("run|--log-limit|0|true", 125, "more than 0"),
    ("run|--key||true", 125, "--key"),
];

const NAMES: &[Row] = &[
    ("run|--image|-|true", 125, "--image"),
    ("run|--image=--privileged|true", 125, "--image"),
    ("run|--image|BB:1|true", 125, "--image"),
    ("run|--image|a:|true", 125, "--image"),
    ("run|--image|a@sha256:zz|true", 125, "--image"),
    ("run|--image|http://x/y|true", 125, "--image"),
    ("run|--image|a b|true", 125, "--image"),
    ("run|--image|../x|true", 125, "--image"),
    ("run|--image|scratch|true", 125, "--image"),
    ("run|--image||true", 125, "--image must not be empty"),
    ("run|--env|DOCKMGR_SURELY_NOT_SET|true", 125, "not set here"),
    ("run|--env|A B=1|true", 125, "no name of a variable"),
    ("run|--env|=1|true", 125, "no name of a variable"),
    ("run|--env|A\nB=1|true", 125, "no name of a variable"),
    ("run|--env|DOCKMGR_JOB=1|true", 125, "--env"),
    ("run|--env-file|/nonexistent|true", 125, "environment file"),
    ("run|--label|dockmgr.cluster=x|true", 125, "reserved"),
    ("run|--label|=x|true", 125, "no label"),
    ("ps|-l|a=b=c", 2, "no label"),
    ("ps|-l|,", 2, "no label"),
    ("ps|-l|a!=b", 2, "no label"),
    ("run|--label|a b=x|true", 125, "--label"),
    ("run|--name|../../x|true", 125, "--name"),
    ("run|--name|a/b|true", 125, "--name"),
    ("run|--name=-a|true", 125, "--name"),
    ("run|--name|a|true", 125, "--name"),
    ("run|--name|42|true", 125, "--name"),
    ("run|--name|last|true", 125, "--name"),
    ("run|--name|ab |true", 125, "--name"),
    ("run|--workdir|relative|true", 125, "--workdir"),
    ("run|--workdir|/a/../b|true", 125, "--workdir"),
    ("run|--workdir|/proc/self/fd/8|true", 125, "--workdir"),
    ("run|--user|99999999999|true", 125, "--user"),
];

const REFERENCES: &[Row] = &[
    ("logs", 2, "required"),
    ("logs|0", 2, "no job"),
    ("logs|-1", 2, "unexpected argument"),
    ("logs|42.x", 2, "no job"),
    ("logs|99999999999999999999", 2, "no job"),
    ("logs|' OR 1=1", 2, "no job"),
    ("logs|*", 2, "no job"),
    ("logs|[a-z]+", 2, "no job"),
    ("logs|../../x", 2, "no job"),
    ("logs|1|--attempt|0", 2, "--attempt"),
    ("logs|1|--since|yesterday", 2, "neither a time"),
    ("logs|1|-n|-1", 2, "unexpected argument"),
    ("logs|1|--stream|both", 2, "possible values"),
    ("logs|1|-o|table", 2, "possible values"),
    ("wait|0", 125, "no job"),
    ("wait", 125, "required"),
    ("wait|1.2", 125, "whole jobs"),
    ("wait|--timeout|0|1", 125, "more than 0"),
    ("stop", 2, "required"),
    ("stop|a b", 2, "no job"),
    ("stop|-t|x|1", 2, "no duration"),
    ("retry|1.2", 2, "whole job"),
    ("node|inspect|a b", 2, "no node"),
    ("node|drain", 2, "required"),
    ("node", 2, "Usage"),
    ("ps|--state|sleeping", 2, "possible values"),
    ("ps|-q|-o|json", 2, "cannot be used with"),
    ("ps|-o|xml", 2, "possible values"),
    ("completion|cobol", 2, "possible values"),
];

const SERVERS: &[Row] = &[
    ("ps|--server|nonsense", 2, "coordinator address"),
    ("ps|--server|127.0.0.1:7443", 2, "coordinator address"),
    ("ps|--server|ftp://127.0.0.1:1", 2, "http or https"),
    ("ps|--server|unix:/run/x.sock", 2, "coordinator address"),
    ("ps|--server|http://[::1", 2, "coordinator address"),
    ("ps|--server|http://user:pass@127.0.0.1:1", 2, "must not contain a user"),
    ("ps|--server|http://127.0.0.1:99999", 2, "coordinator address"),
    ("ps|--server|http://127.0.0.1:1/path", 2, "path"),
    ("run|--server|nonsense|true", 125, "coordinator address"),
    ("ps|--server|http://127.0.0.1:1", 1, "cannot reach the coordinator"),
    ("run|--server|http://127.0.0.1:1|true", 125, "cannot reach the coordinator"),
    ("wait|--server|http://127.0.0.1:1|1", 125, "cannot reach the coordinator"),
    ("ps|--token-file|/nonexistent", 2, "token file"),
    ("ps|--token-file|/dev/zero", 2, "not a plain file"),
    ("ps|--server|https://127.0.0.1:1|--ca|/nonexistent", 2, "CA certificate"),
    ("ps|--server|https://127.0.0.1:1|--cert|/dev/null", 2, "key"),
    ("ps|--context|nowhere", 2, "no context"),
    ("context|use|nowhere", 2, "no context"),
    ("context|add|x", 2, "needs --server"),
    ("context|add|../x|--server|http://127.0.0.1:1", 2, "name"),
    ("dev|--listen|0.0.0.0:7443", 2, "loopback only"),
    ("dev|--listen|nonsense", 2, "invalid"),
    ("dev|--workers|0", 2, "--workers"),
    ("dev|--store|etcd", 2, "--etcd"),
];

fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster-cli"));
    command.env_clear().env("HOME", home).env("DOCKMGR_SERVER", NOBODY).stdin(Stdio::null());
    command
}

fn check(output: &Output, what: &str, code: i32, fragment: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}: {stderr}");
    assert!(stderr.contains(fragment), "{what}: stderr has no '{fragment}': {stderr}");
    assert!(!stderr.contains("panicked"), "{what}: {stderr}");
    assert!(output.stdout.is_empty(), "{what}: stdout is for data only");
}

fn check_all(rows: &[Row]) {
    let home = tempfile::tempdir().expect("temp folder");
    for (words, code, fragment) in rows {
        let words_given: Vec<&str> = if words.is_empty() { Vec::new() } else { words.split('|').collect() };
        let output = program(home.path()).args(words_given).output().expect("the program starts");
        check(&output, words, *code, fragment);
    }
}

#[test]
fn a_line_that_cannot_be_read_gets_the_usage_code_of_its_command() {
    check_all(USAGE);
}

#[test]
fn values_of_flags_are_checked_before_anything_is_sent() {
    check_all(FLAGS);
}

#[test]
fn names_and_images_are_checked_before_anything_is_sent() {
    check_all(NAMES);
}

#[test]
fn references_are_checked_before_anything_is_sent() {
    check_all(REFERENCES);
}

#[test]
fn servers_and_credentials_that_cannot_be_used_say_why() {
    check_all(SERVERS);
}

#[test]
fn sizes_beyond_all_limits_are_refused() {
    let home = tempfile::tempdir().expect("temp folder");
    let long = |n: usize| "x".repeat(n);
    let many: Vec<String> = (0..10_000).flat_map(|n| ["-e".to_owned(), format!("V{n}=1")]).collect();
    for (what, words, fragment) in [
        ("name", vec!["--name".to_owned(), long(300)], "--name"),
        ("label", vec!["--label".to_owned(), format!("a={}", long(65_000))], "--label"),
        (
            "value",
            vec![
                "-e".to_owned(),
                format!("A={}", long(120_000)),
                "-e".into(),
                format!("B={}", long(120_000)),
                "-e".into(),
                format!("C={}", long(120_000)),
            ],
            "--env",
        ),
        ("variables", many, "--env"),
        ("key", vec!["--key".to_owned(), long(129)], "--key"),
    ] {
        let output = program(home.path()).arg("run").args(words).arg("true").output().expect("starts");
        check(&output, what, 125, fragment);
    }
    let output = program(home.path()).args(["logs", &"9".repeat(4096)]).output().expect("starts");
    check(&output, "job of 4 KiB", 2, "no job");
}

#[test]
fn job_files_that_are_wrong_say_what_is_wrong() {
    let home = tempfile::tempdir().expect("temp folder");
    let path = home.path().join("job");
    for (what, content, fragment) in [
        ("empty", b"".as_slice(), "is empty"),
        ("unknown key", b"imge = 'a'", "imge"),
        ("duplicate key", b"image = 'a'\nimage = 'b'", "duplicate"),
        ("wrong type", b"cpus = []", "cpus"),
        ("bad value", b"memory = 'lots'", "memory: "),
        ("utf-16", b"\xff\xfei\0", "UTF-16"),
        ("no utf-8", b"image = '\xff'", "not UTF-8"),
        ("json", b"{\"image\": }", "not right"),
        ("yaml", b"image: [", "not right"),
        ("nul", b"image = '\0'", "not right"),
    ] {
        fs::write(&path, content).expect("write");
        let output =
            program(home.path()).args(["submit", "-f"]).arg(&path).arg("true").output().expect("starts");
        check(&output, what, 2, fragment);
    }
    fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).expect("write");
    for (file, fragment) in [
        (path.as_path(), "larger than"),
        (Path::new("/nonexistent"), "No such file"),
        (Path::new("/dev/zero"), "not a plain file"),
        (home.path(), "not a plain file"),
    ] {
        let output = program(home.path()).args(["run", "-f"]).arg(file).arg("true").output().expect("starts");
        check(&output, &file.display().to_string(), 125, fragment);
    }
}

#[test]
fn a_pipe_without_a_writer_is_refused_and_not_waited_for() {
    let home = tempfile::tempdir().expect("temp folder");
    let pipe = home.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let output = program(home.path()).args(["submit", "-f"]).arg(&pipe).arg("true").output().expect("starts");
    check(&output, "pipe", 2, "not a plain file");
}

#[test]
fn words_that_are_no_utf8_are_refused() {
    let home = tempfile::tempdir().expect("temp folder");
    let odd = std::ffi::OsStr::from_bytes(b"a\xff");
    let output = program(home.path()).arg("run").arg("echo").arg(odd).output().expect("starts");
    check(&output, "argv", 125, "UTF-8");
}

#[test]
fn exposed_token_files_and_broken_contexts_are_refused() {
    let home = tempfile::tempdir().expect("temp folder");
    let token = home.path().join("token");
    fs::write(&token, "0123456789abcdef0123456789abcdef").expect("write");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).expect("chmod");
    let output = program(home.path()).arg("ps").arg("--token-file").arg(&token).output().expect("starts");
    check(&output, "exposed", 2, "chmod 600");
    let config = home.path().join(".config/dockmgr/config.toml");
    fs::create_dir_all(&config).expect("a folder where the file should be");
    let output = program(home.path()).args(["context", "ls"]).output().expect("starts");
    check(&output, "folder", 2, "not a plain file");
    fs::remove_dir(&config).expect("remove");
    fs::write(&config, "curent = 'x'").expect("write");
    let output = program(home.path()).args(["context", "ls"]).output().expect("starts");
    check(&output, "unknown key", 2, "curent");
}
