//! What a person takes away from the Logs page: a file of the lines, a link to the query.

use std::path::Path;

use dockmgr_tests::http::Http;
use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use serde_json::json;

use crate::page::{opened, script, submit};

/// The bytes of a download that is complete.
async fn saved(folder: &Path, name: &str) -> Vec<u8> {
    let file = folder.join(name);
    // The browser gives a file its name when it has all of it.
    wait_until(name, STEP_LIMIT, async || std::fs::read(&file).map_err(|error| error.to_string())).await
}

/// Lines without the time and the task before each.
fn stripped(saved: &[u8]) -> Vec<u8> {
    let lines = saved.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(|line| line.splitn(3, |byte| *byte == b' ').last().unwrap_or_default().to_vec()).collect()
}

#[tokio::test]
async fn what_is_downloaded_is_what_was_written() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    // More lines than one page of a search has, and bytes that are no text.
    let id = submit(&http, script("seq 1 2500; fake:bytes 30000 7; echo; echo the very end")).await;
    http.get(&format!("/jobs/{id}/wait")).await;
    let written = cluster.cli(["logs", "--raw", &id]).ok().await.stdout;
    assert!(written.len() > 40_000 && std::str::from_utf8(&written).is_err());
    let folder = cluster.folder().join("downloads");
    std::fs::create_dir(&folder).expect("the folder is ours");
    let mut browser = opened(&cluster, "/logs?span=1h").await;
    browser.downloads(&folder).await;
    browser.shows("200 shown").await;
    browser.click("Download").await;
    assert!(stripped(&saved(&folder, "logs.txt").await) == written, "not what was written");
    browser.shows("lines were saved").await;
    std::fs::remove_file(folder.join("logs.txt")).expect("it is there");
    browser.open(&format!("{}/logs?q=%22the%20very%22&span=1h", cluster.server())).await;
    browser.until("document.querySelectorAll('.hit').length === 1").await;
    browser.click("Download").await;
    let one = String::from_utf8(saved(&folder, "logs.txt").await).expect("a line of text");
    let found = cluster.cli(["search", "-o", "jsonl", "\"the very\""]).ok().await.text();
    let hit: serde_json::Value = serde_json::from_str(found.lines().next().expect("a hit")).expect("JSON");
    let time = hit["hit"]["line"]["time"].as_str().expect("a time");
    assert_eq!(one, format!("{time} {id}.0 the very end\n"));
    browser.open(&format!("{}/jobs/{id}", cluster.server())).await;
    browser.shows("end of the output").await;
    browser.click("Download").await;
    assert!(saved(&folder, &format!("job-{id}.log")).await == written, "not what was written");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_copied_link_opens_the_same_query_over_the_same_time() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let id = submit(&http, script("seq 1 20; echo level=error msg=\"disk full\"; seq 1 20")).await;
    http.get(&format!("/jobs/{id}/wait")).await;
    let mut browser =
        opened(&cluster, "/logs?q=%22disk%20full%22%20level%3E%3Dwarn&span=1h&split=level&around=3").await;
    let allowed = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.ask("Browser.grantPermissions", allowed).await;
    browser.until("document.querySelectorAll('.hit').length === 1").await;
    browser
        .point("[...document.querySelectorAll('button')].find(one => one.innerText === 'Copy link')")
        .await;
    browser.shows("The link is in the clipboard").await;
    let link = browser.eval("navigator.clipboard.readText()").await;
    let link = link.as_str().expect("text").to_owned();
    assert!(link.starts_with(&cluster.server()) && !link.contains("token"), "{link}");
    // What is written behind the time of the link is not in it, however late it is opened.
    browser.until(&format!("Date.parse(new URL({}).searchParams.get('to')) < Date.now()", json!(link))).await;
    let last = submit(&http, script("echo level=error msg=\"disk full\"")).await;
    http.get(&format!("/jobs/{last}/wait")).await;
    browser.open(&link).await;
    browser.until("document.querySelectorAll('.hit').length > 0 && document.querySelector('.chart')").await;
    let jobs = "[...document.querySelectorAll('.hit .j')].map(one => one.innerText).join()";
    assert_eq!(browser.eval(jobs).await, id.as_str());
    assert_eq!(
        browser.eval("document.querySelector('input.query').value").await,
        "\"disk full\" level>=warn"
    );
    let shown = "[...document.querySelectorAll('select')].map(one => one.value).join()";
    assert_eq!(browser.eval(shown).await, "level,3");
    assert_eq!(browser.eval("document.querySelectorAll('.hit .around').length").await, 6);
    browser.picture("link-opened").await;
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
