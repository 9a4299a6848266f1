//! Job files: the flags of `submit` under their own names, in TOML, JSON or YAML.
//!
//! ```toml
//! image = "debian:stable-slim"
//! command = "make test"            # a script; a list is an exact argv
//! cpus = 2
//! memory = "4g"
//! timeout = "10m"
//! array = "0-7%2"
//! env = { MODE = "fast" }
//! labels = { team = "search" }
//! constraints = ["zone=a"]
//! mounts = ["type=tmpfs,target=/tmp"]
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::flags::{Network, OnLost, Pull, SpecFlags};
use crate::failure::Failure;
use crate::{input, parse};

/// Largest job file that is read.
const MOST_BYTES: u64 = 1024 * 1024;

/// A job file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct JobFile {
    image: Option<String>,
    command: Option<Words>,
    env: BTreeMap<String, Scalar>,
    env_file: Option<PathBuf>,
    workdir: Option<String>,
    user: Option<Scalar>,
    entrypoint: Option<String>,
    shell: Option<String>,
    name: Option<String>,
    labels: BTreeMap<String, Scalar>,
    cpus: Option<Scalar>,
    memory: Option<Scalar>,
    gpus: Option<u16>,
    timeout: Option<Scalar>,
    queue_timeout: Option<Scalar>,
    retries: Option<u16>,
    priority: Option<i32>,
    constraints: Vec<String>,
    array: Option<String>,
    pull: Option<Pull>,
    grace: Option<Scalar>,
    stop_signal: Option<Scalar>,
    network: Option<Network>,
    mounts: Vec<String>,
    read_only: bool,
    key: Option<String>,
    log_limit: Option<Scalar>,
    keep_image: bool,
    on_lost: Option<OnLost>,
}

/// A command in a job file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Words {
    /// A script, or one word.
    Text(String),
    /// An exact argv.
    List(Vec<Scalar>),
}

/// Text, or a number that stands for itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Text(String),
    Whole(i64),
    Number(f64),
    Truth(bool),
}

impl Scalar {
    pub(super) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Truth(truth) => truth.to_string(),
        }
    }
}

/// Reads a job file; `-` is standard input. Gives its flags and its command.
pub(super) fn read(path: &Path) -> Result<(SpecFlags, Option<Words>), Failure> {
    let shown = path.display().to_string();
    let text = if shown == "-" {
        input::read_stdin(MOST_BYTES, "the job file")?
    } else {
        input::read_text(path, MOST_BYTES, "the job file")?
    };
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("the job file '{}' is empty", shown.escape_default())));
    }
    let file = parse_text(&text, path.extension().and_then(|e| e.to_str())).map_err(|problem| {
        Failure::usage(format!("the job file '{}' is not right: {problem}", shown.escape_default()))
            .hint("its keys are the long flags of submit: image, command, env, labels, cpus, memory, timeout, array, ...")
    })?;
    flags(file).map_err(|problem| {
        Failure::usage(format!("the job file '{}' is not right: {problem}", shown.escape_default()))
    })
}

/// The language by the file's extension; without one by its first character, TOML before YAML.
fn parse_text(text: &str, extension: Option<&str>) -> Result<JobFile, String> {
    let json = || serde_json::from_str(text).map_err(|e| input::one_line(&e));
    let toml = || toml::from_str(text).map_err(|e| input::toml_problem(text, &e));
    // A word such as y or no is a word, as in YAML 1.2.
    let options = || serde_saphyr::options! { strict_booleans: true };
    let yaml = || serde_saphyr::from_str_with_options(text, options()).map_err(|e| input::first_line(&e));
    match extension {
        Some("json") => json(),
        Some("yaml" | "yml") => yaml(),
        Some("toml") => toml(),
        _ if text.trim_start().starts_with('{') => json(),
        _ if looks_like_toml(text) => toml(),
        _ => yaml().map_err(|problem| format!("{problem} (read as YAML; name it .toml, .json or .yaml)")),
    }
}

/// Whether the first line that says something is `key = value` or a `[table]`.
fn looks_like_toml(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let word = |key: &str| key.trim().chars().all(|c| c.is_ascii_alphanumeric() || "_-.\"'".contains(c));
    first.is_some_and(|line| line.starts_with('[') || line.split_once('=').is_some_and(|(key, _)| word(key)))
}

/// Reads one value with the parser of its flag.
fn parsed<T>(
    field: &str,
    value: Option<Scalar>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    value.map(|v| parse(&v.text())).transpose().map_err(|problem| format!("{field}: {problem}"))
}

/// Reads each value with the parser of its flag.
fn all<T>(
    field: &str,
    values: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    values.iter().map(|v| parse(v)).collect::<Result<_, _>>().map_err(|problem| format!("{field}: {problem}"))
}

fn pairs(map: BTreeMap<String, Scalar>) -> Vec<String> {
    map.into_iter().map(|(key, value)| format!("{key}={}", value.text())).collect()
}

fn flags(file: JobFile) -> Result<(SpecFlags, Option<Words>), String> {
    let flags = SpecFlags {
        file: None,
        image: file.image,
        env: pairs(file.env),
        env_file: file.env_file.into_iter().collect(),
        workdir: file.workdir,
        user: file.user.map(Scalar::text),
        entrypoint: file.entrypoint,
        shell: file.shell,
        name: file.name,
        label: all("labels", &pairs(file.labels), parse::label)?,
        cpus: parsed("cpus", file.cpus, parse::cpus)?,
        memory: parsed("memory", file.memory, parse::size)?,
        gpus: file.gpus,
        timeout: parsed("timeout", file.timeout, parse::positive_duration)?,
        queue_timeout: parsed("queue_timeout", file.queue_timeout, parse::positive_duration)?,
        retries: file.retries,
        priority: file.priority,
        constraint: all("constraints", &file.constraints, parse::constraint)?,
        array: file
            .array
            .map(|a| parse::array(&a))
            .transpose()
            .map_err(|problem| format!("array: {problem}"))?,
        pull: file.pull,
        grace: parsed("grace", file.grace, parse::duration)?,
        stop_signal: file.stop_signal.map(Scalar::text),
        network: file.network,
        mount: all("mounts", &file.mounts, parse::mount)?,
        read_only: file.read_only,
        key: file.key,
        log_limit: parsed("log_limit", file.log_limit, parse::size)?,
        keep_image: file.keep_image,
        on_lost: file.on_lost,
    };
    Ok((flags, file.command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_languages_say_the_same() {
        let toml = "image = 'a'\ncommand = ['x', 'y']\ncpus = 0.5\ntimeout = 90\nenv = { A = 1 }\n";
        let json = r#"{"image": "a", "command": ["x", "y"], "cpus": 0.5, "timeout": 90, "env": {"A": 1}}"#;
        let yaml = "image: a\ncommand: [x, y]\ncpus: 0.5\ntimeout: 90\nenv:\n  A: 1\n";
        for text in [toml, json, yaml] {
            let (flags, words) = flags(parse_text(text, None).expect(text)).expect(text);
            assert_eq!(flags.image.as_deref(), Some("a"), "{text}");
            assert_eq!((flags.cpus, flags.env), (Some(500), vec!["A=1".to_owned()]), "{text}");
            assert_eq!(flags.timeout, Some(std::time::Duration::from_secs(90)), "{text}");
            assert_eq!(
                words,
                Some(Words::List(vec![Scalar::Text("x".into()), Scalar::Text("y".into())])),
                "{text}"
            );
        }
    }

    #[test]
    fn unknown_and_repeated_keys_are_refused() {
        for bad in
            ["imge = 'a'", "image = 'a'\nimage = 'b'", "{\"imge\": 1}", "image: a\nimage: b\n", "a", "[1]"]
        {
            assert!(parse_text(bad, None).is_err(), "{bad} must be refused");
        }
    }
}
