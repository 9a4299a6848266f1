//! The page in a real browser: what it shows, what it does, that it lives through a restart, and that everybody can use it.

use std::path::Path;

use dockmgr_tests::browser::Browser;
use dockmgr_tests::http::Http;
use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use serde_json::{Value, json};

/// A browser on a path of the page, let in by the token in the address as `dev` prints it.
pub(crate) async fn opened(cluster: &Cluster, path: &str) -> Browser {
    let mut browser = Browser::start().await;
    browser.open(&format!("{}{path}#token={}", cluster.server(), cluster.token().expose())).await;
    browser.until("document.querySelector('h1')").await;
    assert_eq!(browser.eval("location.hash").await, "", "the token does not stay in the address");
    browser
}

pub(crate) async fn submit(http: &Http, spec: Value) -> String {
    let made = http.post("/jobs", &json!({ "spec": spec })).await;
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["job"]["id"].as_str().expect("a number").to_owned()
}

pub(crate) fn script(text: &str) -> Value {
    json!({ "command": { "script": { "text": text } } })
}

/// Looks for barriers with axe-core in both colours, keeps pictures, and lets nothing be complained about.
pub(crate) async fn checked(browser: &mut Browser, name: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/axe/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: run deploy/host/setup.sh --test", file.display()));
    browser.eval(&format!("{axe}; 0")).await;
    for scheme in ["light", "dark"] {
        browser.colours(scheme).await;
        browser.picture(&format!("{name}-{scheme}")).await;
        let found = "axe.run().then(({ violations }) => violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
            .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).slice(0, 3).join(' ')}`))";
        let violations = browser.eval(found).await;
        assert_eq!(violations, json!([]), "{name}, {scheme}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
}

#[tokio::test]
async fn every_view_shows_what_there_is_and_bars_nobody() {
    let cluster = Cluster::builder().workers(3).start().await;
    let http = Http::of(&cluster);
    let mut browser = opened(&cluster, "/jobs").await;
    browser.shows("No jobs yet").await;
    checked(&mut browser, "jobs-empty").await;
    for (name, text) in [
        ("nightly-report", "echo report written; exit 0"),
        ("build", "echo compiling; echo 'error: it does not compile' >&2; exit 2"),
        ("train-model", "echo epoch 1; sleep 600"),
        ("import", "echo read 10 rows; exit 0"),
    ] {
        let id = submit(&http, json!({ "name": name, "labels": { "team": "search" }, "command": { "script": { "text": text } } })).await;
        if name != "train-model" {
            http.get(&format!("/jobs/{id}/wait")).await;
        }
    }
    submit(&http, json!({ "resources": { "cpuMillis": "4000" }, "priority": 3, "command": { "script": { "text": "sleep 600" } } })).await;
    let array = json!({ "name": "shards", "array": { "first": 0, "last": 39 }, "command": { "script": { "text": "echo $DOCKMGR_TASK" } } });
    let array = submit(&http, array).await;
    http.get(&format!("/jobs/{array}/wait")).await;
    browser.shows("train-model").await;
    browser.shows("40 / 40").await;
    checked(&mut browser, "jobs").await;
    for (path, words, name) in [
        ("/", "Failed in the last hour", "overview"),
        ("/workers", "3 registered", "workers"),
        ("/events?type=JobEnded", "JobEnded", "events"),
        ("/jobs/2", "it does not compile", "job-failed"),
        ("/jobs/3", "epoch 1", "job-running"),
        (&format!("/jobs/{array}"), "end of the output", "job-array"),
        ("/jobs?state=failed", "build", "jobs-failed"),
        ("/jobs?q=labels.team%20%3D%20%22none%22", "No job fits this filter", "jobs-none"),
        ("/jobs/999", "Not found", "not-found"),
    ] {
        browser.open(&format!("{}{path}", cluster.server())).await;
        browser.shows(words).await;
        let expected_problem = name == "not-found";
        if expected_problem {
            browser.complaints();
        }
        checked(&mut browser, name).await;
    }
}

#[tokio::test]
async fn without_a_token_the_page_asks_for_one() {
    let cluster = Cluster::fake().await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{}/jobs", cluster.server())).await;
    browser.shows("asks for an API token").await;
    browser.complaints();
    checked(&mut browser, "token").await;
    let token = Value::from(cluster.token().expose());
    browser.eval(&format!("document.querySelector('#token').value = {token}")).await;
    browser.click("Open").await;
    browser.shows("No jobs yet").await;
}

#[tokio::test]
async fn jobs_appear_and_are_stopped_and_run_again_by_hand() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let mut browser = opened(&cluster, "/jobs").await;
    browser.shows("No jobs yet").await;
    let id =
        submit(&http, json!({ "name": "sleeper", "command": { "script": { "text": "sleep 600" } } })).await;
    browser.shows("sleeper").await;
    browser.click("sleeper").await;
    browser.until("document.querySelector('h1 + .state')?.innerText === 'running'").await;
    browser.click("Stop").await;
    browser.picture("stop-asked").await;
    browser.eval("document.querySelector('dialog .primary').click()").await;
    browser.until("document.querySelector('h1 + .state')?.innerText === 'cancelled'").await;
    assert_eq!(http.get(&format!("/jobs/{id}")).await["job"]["exitCode"], 143);
    browser.click("Run again").await;
    browser.until("location.pathname === '/jobs/2'").await;
    assert_eq!(http.get("/jobs/2").await["job"]["retryOf"], id.as_str());
    for _ in 0..3 {
        submit(&http, script("sleep 600")).await;
    }
    browser.press("gj").await;
    browser.until("document.querySelectorAll('tbody tr').length === 5").await;
    browser.eval("document.querySelector('thead input').click()").await;
    browser.shows("5 picked").await;
    browser.picture("bulk").await;
    browser
        .eval("[...document.querySelectorAll('.bulk button')].find(one => one.innerText === 'Kill').click()")
        .await;
    browser.until("document.querySelector('dialog .primary')").await;
    browser.eval("document.querySelector('dialog .primary').click()").await;
    wait_until("all jobs to end", STEP_LIMIT, async || {
        let active = http.get("/jobs?filter=state%20%3D%20ACTIVE").await;
        if active["jobs"].is_null() { Ok(()) } else { Err(active.to_string()) }
    })
    .await;
    browser
        .until("[...document.querySelectorAll('tbody .state')].every(one => one.innerText === 'cancelled')")
        .await;
    browser.press("gw").await;
    browser.shows("1 registered").await;
    browser.click("Drain").await;
    browser.until("document.querySelector('dialog .primary')").await;
    browser.eval("document.querySelector('dialog .primary').click()").await;
    browser.until("document.querySelector('td .state')?.innerText === 'draining'").await;
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn the_page_lives_through_a_restart_of_its_coordinator() {
    let mut cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    submit(&http, json!({ "name": "before", "command": { "script": { "text": "echo kept; sleep 600" } } }))
        .await;
    let mut browser = opened(&cluster, "/jobs").await;
    browser.shows("before").await;
    browser.until("document.querySelector('#link').innerText === 'Live'").await;
    cluster.kill_coordinator().await;
    browser.until("document.querySelector('#link').innerText === 'Reconnecting'").await;
    browser.picture("reconnecting").await;
    cluster.start_coordinator().await;
    browser.until("document.querySelector('#link').innerText === 'Live'").await;
    submit(&http, json!({ "name": "after", "command": { "script": { "text": "exit 0" } } })).await;
    browser.shows("after").await;
    browser.open(&format!("{}/jobs/1", cluster.server())).await;
    browser.shows("kept").await;
    cluster.stop_coordinator().await;
    browser.until("document.querySelector('#link').innerText === 'Reconnecting'").await;
    cluster.start_coordinator().await;
    browser.until("document.querySelector('#link').innerText === 'Live'").await;
    let kept = "[...document.querySelectorAll('.row .l')].filter(row => row.innerText === 'kept').length";
    assert_eq!(browser.eval(kept).await, 1, "nothing is shown twice");
}
