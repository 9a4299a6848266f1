//! Rules about the documents and what must not be written anywhere.

use super::tree;

#[test]
fn the_documents_exist_and_name_the_two_commands() {
    let root = tree::root();
    let read = |name: &str| {
        std::fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name} must exist: {error}"))
    };
    let readme = read("README.md");
    for words in ["make demo", "make test", "cluster-cli"] {
        assert!(readme.contains(words), "README.md must tell about {words}");
    }
    let map = read("ARCHITECTURE.md");
    assert!(
        map.matches("Invariant:").count() >= 5,
        "ARCHITECTURE.md must have lines that begin with Invariant:"
    );
    for folder in [
        "core",
        "archive",
        "proto",
        "support",
        "client",
        "coordinator",
        "worker",
        "cli",
        "tests",
        "deploy",
        "docs",
    ] {
        assert!(map.contains(folder), "ARCHITECTURE.md must tell about {folder}/");
    }
    for name in ["CONTRIBUTING.md", "CHANGELOG.md", "docs/guarantees.md"] {
        assert!(!read(name).trim().is_empty(), "{name} must not be empty");
    }
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    // Put together here so that this file does not name them either.
    let words = [
        concat!("crates", ".io"),
        concat!("py", "pi.org"),
        concat!("npm", "js.org"),
        concat!("npm", "js.com"),
        concat!("proxy.go", "lang.org"),
        concat!("/wo", "rk/main"),
        concat!("/wo", "rk/shared"),
        concat!("/ro", "ot/"),
    ];
    let mut found = Vec::new();
    for file in tree::files(".") {
        let path = file.path.trim_start_matches("./");
        // Cargo writes where packages come from, and its checker is told the same.
        if matches!(path, "Cargo.lock" | "deny.toml") {
            continue;
        }
        for (at, line) in file.text.lines().enumerate() {
            for word in words.iter().filter(|word| names(line, word)) {
                found.push(format!("{path}:{}: {word}", at + 1));
            }
        }
    }
    assert!(found.is_empty(), "must not be written down:\n{}", found.join("\n"));
}

/// Whether the line has the word on its own: as a path or a host, not as the end of another one.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !word.starts_with('/')
            || !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')' | '*'))
    })
}

#[test]
fn every_script_says_how_it_is_tested() {
    let mut found = Vec::new();
    for file in tree::files("deploy").into_iter().filter(|file| file.path.ends_with(".sh")) {
        let head: String = file.text.lines().take(12).collect::<Vec<_>>().join(" ").to_lowercase();
        if !head.contains("test") {
            found.push(file.path);
        }
    }
    assert!(found.is_empty(), "no word about tests at the top of {found:?}");
}
