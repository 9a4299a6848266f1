//! OTLP: a real collector takes every line, under ids by which repeats are told.

use std::collections::BTreeSet;

use dockmgr_tests::Cluster;
use dockmgr_tests::otelcol::OtelCol;
use serde_json::Value;

use crate::held::{Held, expect, written_under_kills};

/// What the requests that a collector took hold, each line once.
fn held(requests: &[Value]) -> Held {
    let (mut held, mut seen) = (Held::default(), BTreeSet::new());
    for record in requests.iter().flat_map(records) {
        let attribute = |name: &str| {
            let attributes = record["attributes"].as_array().expect("attributes");
            let found = attributes.iter().find(|attribute| attribute["key"] == name);
            found.unwrap_or_else(|| panic!("{name} in {record}"))["value"].clone()
        };
        let number = |name: &str| {
            let value = attribute(name)["intValue"].clone();
            value.as_str().expect("numbers are text").parse::<u64>().expect("a number")
        };
        let text = |value: &Value| value["stringValue"].as_str().unwrap_or_default().to_owned();
        if !seen.insert(text(&attribute("log.record.uid"))) {
            continue;
        }
        if record["eventName"].as_str().unwrap_or_default() != "" {
            held.end(text(&attribute("log.record.uid")), text(&record["body"]));
            continue;
        }
        let stream = text(&attribute("log.iostream"));
        let place = (number("dockmgr.job"), number("dockmgr.task"), number("dockmgr.attempt"), stream);
        held.add(place, number("dockmgr.offset"), text(&record["body"]));
    }
    held
}

fn records(request: &Value) -> Vec<Value> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let scopes = list(request, "resourceLogs").into_iter().flat_map(|logs| list(&logs, "scopeLogs"));
    scopes.flat_map(|scope| list(&scope, "logRecords")).collect()
}

#[tokio::test]
async fn a_collector_takes_every_line_after_kills_of_the_coordinator_and_an_outage() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = OtelCol::start(folder.path()).await;
    let url = format!("otlp+http://{}", server.address());
    let mut cluster = Cluster::builder().cpus("64").coordinator_args(&["--export", &url]).start().await;
    let mut expected = written_under_kills(&mut cluster, 2).await;
    expect(&expected, async || held(&server.taken())).await;
    server.kill().await;
    let job = cluster.submit(["--name", "away", "echo level=error msg=away"]).await;
    cluster.wait(job).await.expect_code(0);
    expected.push((job, 0, "level=error msg=away\n".to_owned()));
    server.start_again().await;
    expect(&expected, async || held(&server.taken())).await;
    let requests = server.taken();
    let is_it = |request: &&Value| request.to_string().contains("msg=away");
    let last = requests.iter().rfind(is_it).expect("a request");
    let resources = last["resourceLogs"].as_array().expect("resources");
    let of_it = resources.iter().find(|resource| is_it(resource)).expect("its resource");
    assert_eq!(of_it["scopeLogs"][0]["logRecords"][0]["severityNumber"], 17, "{last}");
    let resource = of_it["resource"].to_string();
    assert!(resource.contains("\"service.name\"") && resource.contains("\"away\""), "{resource}");
}
