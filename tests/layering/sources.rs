//! Rules about the code.

use super::tree::{self, CRATES, Source};

/// Longest production part of a file.
const MOST_LINES: usize = 500;

/// Panics with all findings at once.
fn expect_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Lines of production code that use `word`, outside the places where it belongs.
fn uses(word: &str, belongs: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree::rust().iter().filter(|file| !belongs(file)) {
        for (at, line) in file.text.lines().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//") && code.contains(word) {
                found.push(format!("{}:{}: {code}", file.path, at + 1));
            }
        }
    }
    found
}

fn manifest(name: &str) -> String {
    let path = tree::root().join(name).join("Cargo.toml");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// Names below `[dependencies]` of a crate.
fn dependencies(name: &str) -> Vec<String> {
    let text = manifest(name);
    let section = text.split("\n[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section.lines().filter_map(|line| line.split(['.', '=', ' ']).next()).map(str::to_owned).collect()
}

#[test]
fn no_production_file_is_longer_than_500_lines() {
    let mut found = Vec::new();
    for file in tree::rust().iter().filter(|file| !file.is_test()) {
        let lines = file.production().count();
        if lines > MOST_LINES {
            found.push(format!("{} has {lines}", file.path));
        }
    }
    expect_none("a file is about one thing", &found);
}

#[test]
fn only_the_docker_runtime_knows_bollard() {
    expect_none(
        "bollard belongs below worker/src/runtime/docker",
        &uses("bollard::", |file| file.path.starts_with("worker/src/runtime/docker")),
    );
}

#[test]
fn only_the_etcd_store_knows_the_etcd_client() {
    expect_none(
        "etcd_client belongs below coordinator/src/store/etcd",
        &uses("etcd_client::", |file| {
            file.path.starts_with("coordinator/src/store/etcd")
                || file.path.starts_with("coordinator/src/election")
        }),
    );
}

#[test]
fn the_core_depends_on_nothing_that_does_input_or_output() {
    let forbidden = [
        "tokio",
        "tonic",
        "prost",
        "bollard",
        "etcd-client",
        "redb",
        "dockmgr-proto",
        "dockmgr-support",
        "fastrand",
    ];
    let found: Vec<String> =
        dependencies("core").into_iter().filter(|name| forbidden.contains(&name.as_str())).collect();
    expect_none("the core is pure", &found);
    let clocks = [
        "Instant::now",
        "SystemTime::now",
        "HashMap<",
        "std::fs",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "std::env::var",
    ];
    let found: Vec<String> = clocks
        .iter()
        .flat_map(|word| uses(word, |file| !file.path.starts_with("core/") || file.is_test()))
        .collect();
    expect_none("no clock, no files, no random order in the core", &found);
}

#[test]
fn the_archive_waits_for_nothing_and_knows_no_wire() {
    let allowed = ["dockmgr-core", "bytes", "crc32fast", "memchr", "thiserror", "zstd"];
    let found: Vec<String> = dependencies("archive")
        .into_iter()
        .filter(|name| !name.is_empty() && !allowed.contains(&name.as_str()))
        .collect();
    expect_none("the archive is a byte form", &found);
}

#[test]
fn coordinator_worker_and_command_line_do_not_know_each_other() {
    let parts = ["dockmgr-coordinator", "dockmgr-worker", "dockmgr-cli"];
    let mut found = Vec::new();
    for name in CRATES {
        for dependency in dependencies(name).into_iter().filter(|d| parts.contains(&d.as_str())) {
            found.push(format!("{name} depends on {dependency}"));
        }
    }
    expect_none("they speak through the API", &found);
}

#[test]
fn no_file_is_named_after_nothing() {
    let empty = ["utils", "util", "helpers", "helper", "manager", "misc", "common"];
    let found: Vec<String> = tree::rust()
        .into_iter()
        .map(|file| file.path)
        // A credential helper is Docker's own word for a program.
        .filter(|path| !path.ends_with("docker/auth/helper.rs"))
        .filter(|path| path.split('/').any(|part| empty.contains(&part.trim_end_matches(".rs"))))
        .collect();
    expect_none("a name says what is inside", &found);
}

#[test]
fn every_module_says_what_it_owns() {
    let mut all = tree::rust();
    all.extend(tree::files("tests").into_iter().filter(|file| file.path.ends_with(".rs")));
    let found: Vec<String> = all
        .into_iter()
        .filter(|file| !file.is_test_of_a_module() && !file.text.starts_with("//!"))
        .map(|file| file.path)
        .collect();
    expect_none("a module opens with //!", &found);
}

#[test]
fn no_test_is_switched_off() {
    let mut all = tree::rust();
    all.extend(tree::files("tests").into_iter().filter(|file| file.path.ends_with(".rs")));
    let word = concat!("#[", "ignore");
    let found: Vec<String> =
        all.into_iter().filter(|file| file.text.contains(word)).map(|file| file.path).collect();
    expect_none("a test runs or does not exist", &found);
}

#[test]
fn no_placeholder_is_left() {
    let words = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("//! Place", "holder.")];
    let found: Vec<String> = words
        .iter()
        .flat_map(|word| {
            tree::rust()
                .into_iter()
                .filter(|file| file.text.contains(word))
                .map(|file| file.path)
                .collect::<Vec<_>>()
        })
        .collect();
    expect_none("nothing is half there", &found);
}
