//! The files of `deploy/`: alerts that fire when they should, a dashboard that asks only for what exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dockmgr_tests::prometheus::promtool;
use dockmgr_tests::{Cluster, needs};
use serde_json::Value;

use super::{ANY_PORT, page};

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder below the root").join("deploy").join(name)
}

#[tokio::test]
async fn the_configuration_and_the_rules_are_sound_and_every_alert_fires_when_it_should() {
    needs::prometheus();
    let folder = deploy("prometheus");
    for args in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "alerts.yml"],
        &["test", "rules", "alerts.test.yml"],
    ] {
        let said = promtool(args, &folder, "").await;
        assert!(said.is_ok(), "promtool {args:?}: {}", said.unwrap_or_else(|problem| problem));
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("the file exists");
    let (rules, stories) = (read("alerts.yml"), read("alerts.test.yml"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 7, "{alerts:?}");
    for alert in alerts {
        let story = stories.contains(&format!("name: {alert}\n"));
        assert!(story, "alerts.test.yml must tell when {alert} fires");
    }
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_and_the_dashboard_and_the_alerts_ask_only_for_what_is_shown() {
    needs::prometheus();
    let folder = tempfile::tempdir().expect("a folder");
    let export = format!("file://{}/jobs.jsonl", folder.path().display());
    let args = [&ANY_PORT[..], &["--export", &export]].concat();
    let cluster = Cluster::builder().coordinator_args(&args).worker_args(&ANY_PORT).start().await;
    // Makes the counters that appear with their first event: a pull, an end, a call.
    cluster.run(["echo seen; exit 3"]).await.expect_code(3);
    let (coordinator, worker) = (page(&cluster, "coordinator").await, page(&cluster, "worker-0").await);
    for (program, text) in [("coordinator", &coordinator), ("worker", &worker)] {
        let said = promtool(&["check", "metrics"], cluster.folder(), text).await;
        assert!(said.is_ok(), "{program}: {}\n{text}", said.unwrap_or_else(|problem| problem));
    }
    let shown: BTreeSet<&str> = coordinator.lines().chain(worker.lines()).filter_map(sample_name).collect();
    let mut asked = BTreeSet::new();
    let rules = fs::read_to_string(deploy("prometheus/alerts.yml")).expect("the rules exist");
    for expr in rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")) {
        names(expr, &mut asked);
    }
    let dashboard = fs::read_to_string(deploy("grafana/dashboard.json")).expect("the dashboard exists");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("the dashboard is JSON");
    for expr in expressions(&dashboard) {
        names(&expr, &mut asked);
    }
    assert!(asked.len() > 25, "{asked:?}");
    let unknown: Vec<&String> = asked.iter().filter(|name| !shown.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "not shown by any program: {unknown:?}; shown are {shown:?}");
}

/// The name of the metric of a sample's line.
fn sample_name(line: &str) -> Option<&str> {
    line.split(['{', ' ']).next().filter(|name| !name.is_empty() && !name.starts_with('#'))
}

/// Every name of ours in an expression.
fn names(expression: &str, into: &mut BTreeSet<String>) {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours =
        words.filter(|word| ["cluster_", "grpc_server_", "process_"].iter().any(|p| word.starts_with(p)));
    into.extend(ours.map(str::to_owned));
}

/// Every `expr` anywhere in the dashboard.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(expressions)).collect()
        }
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
