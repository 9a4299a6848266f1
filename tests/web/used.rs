//! What attempts use over time: the call, the words of `describe`, the charts of the page.

use dockmgr_tests::http::Http;
use dockmgr_tests::{Cluster, STEP_LIMIT, needs, wait_until};
use serde_json::{Value, json};

use crate::page::{checked, opened, script, submit};

/// Waits until the one attempt of job 1 has so many points.
async fn points(http: &Http, least: usize) -> Vec<Value> {
    wait_until("points", STEP_LIMIT, async || {
        let usage = http.get("/jobs/1/usage").await;
        let points = usage["points"].as_array().cloned().unwrap_or_default();
        if points.len() >= least { Ok(points) } else { Err(usage.to_string()) }
    })
    .await
}

#[tokio::test]
async fn what_an_attempt_uses_is_told_while_it_runs_and_after_it() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    submit(&http, script("sleep 600")).await;
    let before = points(&http, 2).await;
    // The fake runtime pretends a hundredth of a core.
    let cores = |point: &Value| point["cpuMillis"].as_str().and_then(|millis| millis.parse::<u64>().ok());
    assert!(
        before.iter().all(|point| cores(point).is_some_and(|millis| (5..20).contains(&millis))),
        "{before:?}"
    );
    let said = cluster.cli(["describe", "1"]).ok().await.text();
    assert!(said.contains("Uses now: 0.0"), "{said}");
    assert_eq!(http.post("/jobs/1/kill", &json!({})).await.status, 200);
    http.get("/jobs/1/wait").await;
    let after = http.get("/jobs/1/usage").await;
    assert_eq!((&after["attempt"]["attempt"], &after["points"][0]), (&json!(1), &before[0]));
    let said = cluster.cli(["describe", "1"]).ok().await.text();
    assert!(!said.contains("Uses now"), "{said}");
    assert_eq!(http.get("/jobs/1/usage?attempt=2").await, json!({}));
    assert_eq!(http.get("/jobs/1/usage?taskIndex=7").await, json!({}));
    assert_eq!(http.status("/jobs/2/usage").await, 404);
}

#[tokio::test]
async fn the_page_of_a_running_job_shows_the_cores_and_the_memory_of_its_container() {
    if !needs::docker() {
        return;
    }
    let cluster = Cluster::builder().docker().start().await;
    let http = Http::of(&cluster);
    // A quarter of a core in turns, and more memory with each.
    let text = "x=; while true; do end=$((SECONDS+4)); while [ $SECONDS -lt $end ]; do :; done; x=$x$(head -c 8000000 /dev/zero | tr '\\0' x); echo ${#x} bytes held; sleep 4; done";
    let spec = json!({ "name": "train-model", "resources": { "cpuMillis": "250" }, "command": { "script": { "text": text } } });
    submit(&http, spec).await;
    let mut browser = opened(&cluster, "/jobs/1").await;
    browser.shows("What it uses").await;
    let points = points(&http, 5).await;
    let of = |field: &str| points.iter().filter_map(|point| point[field].as_str()?.parse::<u64>().ok()).max();
    assert!(of("cpuMillis").is_some_and(|most| (20..400).contains(&most)), "{points:?}");
    assert!(of("memoryBytes").is_some_and(|most| most > 8_000_000), "{points:?}");
    let labels = "[...document.querySelectorAll('svg.usage')].map(one => one.getAttribute('aria-label'))";
    browser.until(&format!("{labels}.length === 2 && {labels}[1].includes('MiB')")).await;
    let labels = browser.eval(labels).await;
    assert!(labels[0].as_str().is_some_and(|label| label.contains(" last, at most 0.")), "{labels}");
    browser.eval("document.querySelector('svg.usage').scrollIntoView({ block: 'center' })").await;
    checked(&mut browser, "usage").await;
    cluster.cli(["kill", "1"]).ok().await;
    browser.until("document.querySelector('h1 + .state')?.innerText === 'cancelled'").await;
    browser.shows("What it uses").await;
}
