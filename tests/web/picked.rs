//! Many jobs at once: picked on the Jobs page, stopped, run again.

use dockmgr_tests::Cluster;
use dockmgr_tests::browser::Browser;
use dockmgr_tests::http::Http;
use serde_json::json;

use crate::page::{checked, opened, script, submit};

fn bulk(words: &str) -> String {
    format!("[...document.querySelectorAll('.bulk button')].find(one => one.innerText === '{words}')")
}

fn row(job: u64) -> String {
    format!("document.querySelector('[aria-label=\"Pick job {job}\"]')")
}

/// Waits until the jobs, the newest first, stand so.
async fn stand(browser: &mut Browser, states: &[&str]) {
    let shown = "[...document.querySelectorAll('tbody .state')].map(one => one.innerText).join()";
    browser.until(&format!("{shown} === '{}'", states.join(","))).await;
}

#[tokio::test]
async fn picked_jobs_are_stopped_together_and_run_again_together() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    for _ in 0..3 {
        submit(&http, script("sleep 600")).await;
    }
    let mut browser = opened(&cluster, "/jobs").await;
    stand(&mut browser, &["running"; 3]).await;
    browser.point(&row(1)).await;
    browser.point(&row(3)).await;
    browser.shows("2 picked").await;
    checked(&mut browser, "bulk-stop").await;
    browser.point(&bulk("Stop")).await;
    browser.shows("Stop 2 jobs?").await;
    browser.point("document.querySelector('dialog button')").await;
    browser.shows("2 picked").await;
    stand(&mut browser, &["running"; 3]).await;
    browser.point(&bulk("Stop")).await;
    browser.point("document.querySelector('dialog .primary')").await;
    browser.shows("2 jobs asked to stop").await;
    stand(&mut browser, &["cancelled", "running", "cancelled"]).await;
    browser.until("document.querySelector('.bulk').hidden").await;
    for job in [1, 3] {
        assert_eq!(http.get(&format!("/jobs/{job}")).await["job"]["exitCode"], 143, "SIGTERM, not SIGKILL");
    }
    // The one that still runs cannot be run again, and holds up nobody.
    browser.point("document.querySelector('thead input')").await;
    browser.shows("3 picked").await;
    browser.point(&bulk("Run again")).await;
    browser.shows("2 jobs submitted again").await;
    browser.shows("Job 2: ").await;
    browser.picture("bulk-again").await;
    browser.until("document.querySelectorAll('tbody tr').length === 5").await;
    stand(&mut browser, &["running", "running", "cancelled", "running", "cancelled"]).await;
    let mut repeated = Vec::new();
    for job in [4, 5] {
        repeated.push(http.get(&format!("/jobs/{job}")).await["job"]["retryOf"].clone());
    }
    repeated.sort_by_key(ToString::to_string);
    assert_eq!(repeated, [json!("1"), json!("3")]);
    // The refused one is what its network log complains about.
    assert_eq!(browser.complaints().len(), 1);
}

#[tokio::test]
async fn what_is_picked_stays_under_the_hand_while_jobs_come_and_go() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    submit(&http, script("sleep 600")).await;
    let mut browser = opened(&cluster, "/jobs").await;
    stand(&mut browser, &["running"]).await;
    browser.point(&row(1)).await;
    browser.shows("1 picked").await;
    browser.eval(&format!("{}.focus()", bulk("Stop"))).await;
    submit(&http, script("exit 0")).await;
    stand(&mut browser, &["succeeded", "running"]).await;
    assert_eq!(browser.eval("document.activeElement.innerText").await, "Stop", "the keyboard is still on it");
    browser.shows("1 picked").await;
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
