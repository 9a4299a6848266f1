//! Specs from a line of text: `2cpu 1gib retries=1 array=0-9%2 on:zone=eu not:zone=us mount=/data name=x`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::spec::{
    ArraySpec, Command, Constraint, Entrypoint, EnvVar, ImageRef, JobName, JobSpec, LabelKey, LabelValue,
    Mount, NetworkMode, OnLost, Operator, PullPolicy, Resources,
};

pub(super) const MIB: u64 = 1024 * 1024;

pub(super) fn spec(text: &str) -> JobSpec {
    let mut spec = plain();
    for word in text.split_whitespace() {
        apply(&mut spec, word);
    }
    spec
}

fn plain() -> JobSpec {
    JobSpec {
        name: None,
        labels: BTreeMap::new(),
        image: ImageRef::parse("debian:stable-slim").unwrap(),
        command: Command::Argv { args: vec!["true".to_owned()], entrypoint: Entrypoint::None },
        env: Vec::new(),
        working_dir: None,
        user: None,
        resources: Resources { cpu_millis: 1000, memory: 256 * MIB, gpus: 0 },
        pids_limit: 4096,
        timeout: None,
        queue_timeout: None,
        retries: 0,
        priority: 0,
        constraints: Vec::new(),
        array: None,
        pull: PullPolicy::Missing,
        grace: Duration::from_secs(10),
        stop_signal: None,
        network: NetworkMode::Outbound,
        mounts: Vec::new(),
        read_only: false,
        log_limit: 256 * MIB,
        keep_image: false,
        on_lost: OnLost::Retry,
    }
}

fn apply(spec: &mut JobSpec, word: &str) {
    if let Some(cpus) = word.strip_suffix("cpu") {
        spec.resources.cpu_millis = cpus.parse::<u64>().unwrap() * 1000;
    } else if let Some(gib) = word.strip_suffix("gib") {
        spec.resources.memory = gib.parse::<u64>().unwrap() * 1024 * MIB;
    } else if let Some(rest) = word.strip_prefix("on:") {
        spec.constraints.push(constraint(rest, Operator::Equal));
    } else if let Some(rest) = word.strip_prefix("not:") {
        spec.constraints.push(constraint(rest, Operator::NotEqual));
    } else {
        let (key, value) = word.split_once('=').expect("key=value");
        set(spec, key, value);
    }
}

fn set(spec: &mut JobSpec, key: &str, value: &str) {
    match key {
        "parent" => {
            spec.env.push(EnvVar { name: crate::trace::VARIABLE.to_owned(), value: value.to_owned() });
        }
        "retries" => spec.retries = value.parse().unwrap(),
        "priority" => spec.priority = value.parse().unwrap(),
        "name" => spec.name = Some(JobName::parse(value).unwrap()),
        "image" => spec.image = ImageRef::parse(value).unwrap(),
        "queue" => spec.queue_timeout = Some(Duration::from_secs(value.parse().unwrap())),
        "mount" => spec.mounts.push(Mount::Bind {
            source: value.to_owned(),
            target: "/mnt".to_owned(),
            read_only: true,
        }),
        "lost" => {
            spec.on_lost = match value {
                "fail" => OnLost::Fail,
                "wait" => OnLost::Wait,
                _ => OnLost::Retry,
            }
        }
        "array" => {
            let (range, most) = value.split_once('%').unwrap_or((value, "0"));
            let (first, last) = range.split_once('-').unwrap();
            let limit = most.parse().unwrap();
            spec.array = ArraySpec::new(first.parse().unwrap(), last.parse().unwrap(), limit);
        }
        _ => panic!("unknown word {key}"),
    }
}

fn constraint(text: &str, operator: Operator) -> Constraint {
    let (key, value) = label(text);
    Constraint { key, operator, value }
}

pub(super) fn label(text: &str) -> (LabelKey, LabelValue) {
    let (key, value) = text.split_once('=').unwrap();
    (LabelKey::parse(key).unwrap(), LabelValue::parse(value).unwrap())
}
