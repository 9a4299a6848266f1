//! The language as a whole: what parses, what it finds, and the properties it keeps.

mod generate;
mod naive;
mod properties;
mod scanning;

use std::collections::BTreeMap;

use super::*;
use crate::ids::{AttemptId, JobId};
use crate::log::Stream;
use crate::outcome::{EndReason, TaskState};
use crate::spec::{LabelKey, LabelValue};

fn query(text: &str) -> Query {
    Query::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn finds(text: &str, line: &str) -> bool {
    query(text).matches(Stream::Stdout, line.as_bytes())
}

#[test]
fn words_and_phrases_are_whole_and_stars_open_them() {
    let line = "2026 java.lang.OutOfMemoryError: Disk  full, user_id=7 (caf\u{e9})";
    for text in [
        "",
        "*",
        "java",
        "LANG",
        "java.lang.outofmemoryerror",
        "outofmemory*",
        "*MEMORY*",
        "*error",
        "\"disk  full\"",
        "disk full",
        "\"full, user_id\"",
        "*\"isk  ful\"*",
        "caf\u{e9}",
        "\"(\"",
        "NOT disc",
        "(disc OR disk) AND NOT (empty OR lost)",
        "disc OR disk full",
        "NOT NOT java",
    ] {
        assert!(finds(text, line), "{text} must be found");
    }
    for text in [
        "memory",
        "\"disk full\"",
        "user",
        "id",
        "caf",
        "*memory",
        "memory*",
        "NOT java",
        "disk disc",
        "disc OR NOT full",
    ] {
        assert!(!finds(text, line), "{text} must not be found");
    }
}

#[test]
fn regular_expressions_see_bytes_and_case() {
    let line = b"GET /a/b \xff 200";
    let found = |text: &str| query(text).matches(Stream::Stdout, line);
    for text in [r"/^GET \/\w/", r"/(?i)get/", r"/(?-u)\xff/", r"/\d+$/", "/2/ /0/"] {
        assert!(found(text), "{text}");
    }
    for text in ["/get/", r"/^200/", "/\u{fffd}/"] {
        assert!(!found(text), "{text}");
    }
}

#[test]
fn fields_of_structured_lines_and_their_severity_are_found() {
    let json = r#"{"level":"warning","user":{"id":42},"ms":12.5,"path":"/a b","state":"open"}"#;
    for text in [
        "user.id=42",
        "user.id:4*",
        "ms>12",
        "ms>=12.5",
        "ms<=12.5",
        "NOT ms<12.5",
        "path:\"/a b\"",
        "level:warn",
        "level>=warn",
        "level<error",
        "severity=WARNING",
        ".state:open",
        ".level:warning",
        "user.id!=43",
        "user.name!=x",
        "path:*",
    ] {
        assert!(finds(text, json), "{text} must be found");
    }
    for text in [
        "user.id=4",
        "ms>12.5",
        "level:error",
        "level>warn",
        "state:failed",
        "user:*",
        "nothing:*",
        ".level:warn",
    ] {
        assert!(!finds(text, json), "{text} must not be found");
    }
    assert!(finds("user.id=42 level:error", "10:00 [error] cannot do it user.id=42 t=3s"));
    assert!(!finds("t>1", "10:00 t=3s"), "3s is no number");
    assert!(
        finds("http://example.org/x 12:30:45", "12:30:45 GET http://example.org/x"),
        "no fields, but words"
    );
}

#[test]
fn terms_about_jobs_and_attempts_are_decided_before_lines_are_seen() {
    let labels = BTreeMap::from([(
        LabelKey::parse("team").expect("valid"),
        LabelValue::parse("search").expect("valid"),
    )]);
    let job = JobFacts { id: JobId::new(42).expect("valid"), name: "nightly-build", labels: &labels };
    let attempt = AttemptFacts {
        id: AttemptId::from_parts(42, 7, 2).expect("valid"),
        state: Some(TaskState::Failed),
        reason: Some(EndReason::Oom),
        node: "worker-3",
        node_id: "0198",
    };
    let decided = |text: &str| query(text).within(&job, Some(&attempt));
    for text in [
        "job:42",
        "job:42.7",
        "job=42.7.2",
        "name:nightly*",
        "label:team",
        "label:team=search",
        "label:team=s*",
        "state:failed",
        "reason:oom",
        "node:worker-3",
        "node:0198",
        "task:7",
        "task>6",
        "attempt>=2",
        "NOT state:active",
        "job:1 OR job:42",
    ] {
        assert_eq!(decided(text), Query::EVERYTHING, "{text}");
    }
    for text in [
        "job:42.8",
        "job:42.7.1",
        "name:nightly",
        "label:team=x",
        "state:running",
        "state:active",
        "reason!=oom",
        "node:w",
        "task<7",
        "NOT job:42",
        "job:42 job:43",
    ] {
        assert!(decided(text).is_never(), "{text}");
    }
}

#[test]
fn what_is_not_decided_yet_is_left() {
    let job = JobFacts { id: JobId::new(42).expect("valid"), name: "", labels: &BTreeMap::new() };
    let left = |text: &str| query(text).within(&job, None);
    assert_eq!(left("job:42 error OR stream:stderr").to_string(), "error OR stream:stderr");
    assert_eq!(left("stream:stderr").of_stream(Stream::Stderr), Query::EVERYTHING);
    assert_eq!(left("state:failed x"), query("state:failed x"));
    assert!(left("name:other state:failed").is_never());
    assert_eq!(query("x job:42.7 y").only_job(), Some(job.id));
    assert_eq!(query("job:42 OR x").only_job(), None);
}

#[test]
fn what_is_no_query_is_refused_with_its_place_and_what_was_expected() {
    for (text, at, word) in [
        ("a OR", 4, "expected a word"),
        ("OR a", 0, "expected a word"),
        ("a AND OR b", 6, "expected a word"),
        ("a AND", 5, "expected a word"),
        ("NOT", 3, "expected a word"),
        ("(a", 0, "')'"),
        ("a) b", 1, "'('"),
        ("()", 1, "expected a word"),
        ("a \"b", 2, "never closed"),
        ("\"\"", 0, "expected words"),
        ("/a", 0, "never closed"),
        ("x /(/", 2, "no regular expression"),
        ("level:", 6, "expected a value"),
        ("level:loud", 6, "trace, debug"),
        ("job:x", 4, "42.7.2"),
        ("job:0", 4, "42.7.2"),
        ("job:1.2.3.4", 4, "42.7.2"),
        ("job>1", 0, "knows only"),
        ("state:done", 6, "succeeded"),
        ("reason:x", 7, "infra_unknown"),
        ("stream:out", 7, "stdout"),
        ("attempt:x", 8, "a number"),
        ("ms>fast", 3, "a number"),
        ("ms>inf", 3, "a number"),
        ("label:-x", 6, "KEY=VALUE"),
        ("label:k=a/b*", 6, "KEY=VALUE"),
    ] {
        let error = Query::parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.problem.contains(word), "{text}: {error}");
    }
}

#[test]
fn a_query_is_bounded() {
    for (text, word) in [
        ("x".repeat(MAX_BYTES + 1), "bytes"),
        ("NOT ".repeat(MAX_DEPTH + 2) + "x", "levels"),
        ("(".repeat(MAX_DEPTH + 2), "levels"),
        ("x ".repeat(MAX_TERMS + 1), "words and fields"),
        ("/x/ ".repeat(MAX_REGEXES + 1), "regular expressions"),
        (r"/\w{1000}{1000}/".to_owned(), "too large"),
        (format!("/{}x{}/", "(".repeat(100), ")".repeat(100)), "no regular expression"),
    ] {
        let error = Query::parse(&text).expect_err("too much");
        assert!(error.problem.contains(word), "{error}");
    }
}

#[test]
fn marks_are_the_places_of_what_was_asked_for() {
    let marks = |text: &str, line: &str| {
        let found = query(text).ranges(line.as_bytes(), 9);
        found.into_iter().map(|range| line[range].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(marks("error /e\\w+d/ NOT disk", "an error ended: error"), ["error", "ended", "error"]);
    assert_eq!(marks("*ab* *bc*", "abc ab"), ["abc", "ab"], "what overlaps is one");
    assert_eq!(query("*a*").ranges(&[b'a'; 100], 9).len(), 1, "what touches is one");
    assert_eq!(query("*a*").ranges(&b"a ".repeat(100), 9).len(), 9);
    assert_eq!(marks("/x*/", "ab"), Vec::<String>::new());
}

#[test]
fn what_a_query_needs_are_the_tokens_that_every_hit_has() {
    for (text, needs) in [
        ("Error", "error"),
        ("*error", ""),
        ("java.lang*", "java"),
        ("\"disk is full\"", "disk is full"),
        ("*\"isk is ful\"*", "is"),
        ("NOT x", ""),
        ("/refused by peer$/", "by"),
        ("/(connection refused by)+ .*/", ""),
        (r"/^at \bmain\b now/", "main"),
        ("/(?i)a b c/", ""),
        ("user.id=42", "42 id user"),
        ("msg:\"a/b\"", "msg"),
        ("ms>3", "ms"),
    ] {
        let all: Vec<String> = match query(text).needs() {
            Needs::Nothing => Vec::new(),
            Needs::All(parts) => parts.iter().map(token).collect(),
            one => vec![token(&one)],
        };
        assert_eq!(all.join(" "), needs, "{text}");
    }
    let one = query("job:1 (x OR y)").needs();
    assert!(one.allow(&|token| token == b"y") && !one.allow(&|token| token == b"z"));
}

fn token(needs: &Needs) -> String {
    match needs {
        Needs::Token(token) => String::from_utf8_lossy(token).into_owned(),
        Needs::Any(parts) if parts.len() == 1 => token(&parts[0]),
        other => format!("{other:?}"),
    }
}
