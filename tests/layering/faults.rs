//! What `docs/faults.md` says is tested has a test of that name, and no row is missing.

use std::collections::BTreeSet;

use super::tree;

/// The rows: a letter and how many there are of it.
const ROWS: [(&str, u32); 10] =
    [("P", 20), ("D", 23), ("I", 8), ("N", 13), ("E", 16), ("R", 6), ("C", 4), ("L", 7), ("S", 4), ("X", 1)];

#[test]
fn every_row_of_the_fault_matrix_is_there_and_names_tests_that_exist() {
    let matrix = std::fs::read_to_string(tree::root().join("docs/faults.md")).expect("docs/faults.md exists");
    let rows: Vec<(&str, &str)> = matrix.lines().filter_map(row).collect();
    let told: BTreeSet<String> = rows.iter().map(|(id, _)| (*id).to_owned()).collect();
    let due: BTreeSet<String> =
        ROWS.iter().flat_map(|(letter, count)| (1..=*count).map(move |n| format!("{letter}{n}"))).collect();
    assert_eq!(told, due, "rows of docs/faults.md");
    let tests = tests();
    let unknown: Vec<&str> =
        rows.iter().flat_map(|(_, text)| names(text)).filter(|name| !tests.contains(*name)).collect();
    assert!(unknown.is_empty(), "docs/faults.md names tests that do not exist: {unknown:#?}");
}

/// Id and the rest of a line that is a row of a table.
fn row(line: &str) -> Option<(&str, &str)> {
    let (id, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
    id.ends_with(|last: char| last.is_ascii_digit()).then_some((id, rest))
}

/// The words in code marks that can only be names of tests.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let marked = text.split('`').skip(1).step_by(2);
    marked.filter(|word| !word.contains(['/', ' ', '.', '=']) && word.matches('_').count() >= 3)
}

/// The names of all functions that are marked as tests, and of those a conformance suite runs on each implementation.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in tree::files(".").into_iter().filter(|file| file.path.ends_with(".rs")) {
        let suite = file.path.contains("/conformance/");
        let mut marked = false;
        for line in file.text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                marked = true;
            } else if let Some((_, name)) = line.split_once("fn ").filter(|_| marked || suite) {
                found.extend(name.split('(').next().map(str::to_owned));
                marked = false;
            }
        }
    }
    found
}
