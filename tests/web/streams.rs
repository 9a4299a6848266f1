//! Server-sent events: live, whole after a break, and ended where the call ends.

use base64::Engine as _;
use dockmgr_tests::Cluster;
use dockmgr_tests::http::Http;
use serde_json::{Value, json};

async fn submit(http: &Http, text: &str) -> String {
    let made = http.post("/jobs", &json!({ "spec": { "command": { "script": { "text": text } } } })).await;
    made.json()["job"]["id"].as_str().unwrap_or_else(|| panic!("{}", made.text())).to_owned()
}

fn data(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The output in a step of a tail.
fn output(step: &str) -> String {
    let records = data(step)["batch"]["records"].as_array().cloned().unwrap_or_default();
    let bytes = records.iter().flat_map(|record| {
        let text = record["data"].as_str().expect("bytes");
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    });
    String::from_utf8(bytes.collect()).expect("text")
}

#[tokio::test]
async fn output_is_live_and_goes_on_where_it_broke() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let id = submit(&http, "echo one; sleep 1; echo two; sleep 1; echo three").await;
    let path = format!("/jobs/{id}/logs?follow=true");
    let mut events = http.events(&path, "").await;
    let first = events.find(|event| event.data.contains("batch")).await;
    let mut text = output(&first.data);
    assert!(text.starts_with("one\n"), "{text}");
    drop(events);
    let mut events = http.events(&path, &first.id).await;
    loop {
        let event = events.next().await.expect("the stream goes on");
        if event.name == "end" {
            break;
        }
        text += &output(&event.data);
    }
    assert_eq!(text, "one\ntwo\nthree\n", "nothing twice, nothing missing");
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn changes_of_jobs_have_a_place_to_go_on_from_once_the_snapshot_is_whole() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    for _ in 0..3 {
        let id = submit(&http, "exit 0").await;
        http.get(&format!("/jobs/{id}/wait")).await;
    }
    let mut events = http.events("/changes", "").await;
    for _ in 0..3 {
        assert_eq!(events.next().await.expect("a job").id, "", "half a snapshot is no place to go on from");
    }
    let done = events.next().await.expect("its end");
    assert_eq!(data(&done.data)["bookmark"]["snapshotDone"], true);
    assert!(!done.id.is_empty());
    drop(events);
    let id = submit(&http, "exit 0").await;
    let mut events = http.events("/changes", &done.id).await;
    let event = events.next().await.expect("what was missed");
    assert_eq!(data(&event.data)["changed"]["id"], id.as_str());
    assert!(event.id.parse::<u64>().expect("a revision") > done.id.parse::<u64>().expect("a revision"));
}

#[tokio::test]
async fn events_go_on_after_the_last_one_seen_and_end_where_nobody_follows() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let id = submit(&http, "exit 0").await;
    http.get(&format!("/jobs/{id}/wait")).await;
    let mut events = http.events("/events?newest=2", "").await;
    let (first, second) = (events.next().await.expect("one"), events.next().await.expect("two"));
    assert_eq!(events.next().await.expect("the end").name, "end");
    let mut events = http.events("/events?newest=2&follow=true", &first.id).await;
    assert_eq!(events.next().await, Some(second), "what was asked for first does not count any more");
}

#[tokio::test]
async fn a_stream_tells_when_its_coordinator_ends() {
    let mut cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let mut events = http.events("/changes", "").await;
    let done = events.find(|event| !event.id.is_empty()).await;
    cluster.stop_coordinator().await;
    while let Some(event) = events.next().await {
        if event.name == "problem" {
            assert_eq!(data(&event.data)["retryable"], true, "{}", event.data);
        }
    }
    cluster.start_coordinator().await;
    // Which of both it is depends on what the new term begins with; either tells the reader what to do.
    let status = http.status(&format!("/changes?afterRevision={}", done.id)).await;
    assert!(matches!(status, 200 | 410), "go on from there, or begin anew: {status}");
}
