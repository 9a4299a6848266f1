//! What one asks and is answered at once.

use dockmgr_tests::http::Http;
use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use serde_json::{Value, json};

fn script(text: &str) -> Value {
    json!({ "spec": { "command": { "script": { "text": text } } } })
}

#[tokio::test]
async fn a_job_is_submitted_waited_for_read_and_tried_again() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let made = http.post("/jobs", &script("echo one; echo two >&2; exit 3")).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(made.json()["job"]["id"], "1");
    let ended = http.get("/jobs/1/wait?timeout=30s").await;
    assert_eq!((&ended["done"], &ended["job"]["exitCode"]), (&json!(true), &json!(3)));
    assert_eq!(ended["job"]["state"], "STATE_FAILED");
    let listed = http.get("/jobs?filter=state%20%3D%20FAILED&pageSize=10").await;
    assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(1));
    let again = http.post("/jobs/1/retry", &json!({})).await;
    assert_eq!((again.status, &again.json()["job"]["retryOf"]), (200, &json!("1")));
    http.get("/jobs/2/wait").await;
    let output = http.send("GET", "/api/v1/jobs/1/output", &[], b"").await;
    assert!(
        output.head.contains("content-disposition: attachment; filename=\"job-1.log\""),
        "{}",
        output.head
    );
    let mut lines: Vec<String> = output.text().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(http.post("/jobs/1/pin", &json!({})).await.json()["job"]["pinned"], true);
    let refused = http.post("/jobs/1/delete", &json!({})).await;
    assert_eq!((refused.status, refused.reason().as_str()), (409, "JOB_PINNED"));
    assert_eq!(http.post("/jobs/1/unpin", &json!({})).await.status, 200);
    assert_eq!(http.post("/jobs/1/delete", &json!({ "deleteLogs": true })).await.status, 200);
    let gone = http.send("GET", "/api/v1/jobs/1", &[], b"").await;
    assert_eq!((gone.status, gone.reason().as_str()), (404, "JOB_NOT_FOUND"));
}

#[tokio::test]
async fn lists_come_in_pages_and_running_jobs_are_stopped_and_killed() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let requests: Vec<Value> = (0..5).map(|_| script("sleep 300")).collect();
    let made = http.post("/jobs/batch", &json!({ "requests": requests })).await;
    assert_eq!(made.json()["jobs"].as_array().map(Vec::len), Some(5));
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("/jobs?pageSize=2&pageToken={token}")).await;
        seen.extend(page["jobs"].as_array().into_iter().flatten().map(|job| job["id"].clone()));
        token = page["nextPageToken"].as_str().unwrap_or_default().replace('=', "%3D");
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["5", "4", "3", "2", "1"]);
    wait_until("the first job to run", STEP_LIMIT, async || {
        let job = http.get("/jobs/1").await;
        if job["job"]["tasks"]["running"] == 1 { Ok(()) } else { Err(job.to_string()) }
    })
    .await;
    assert_eq!(http.post("/jobs/1/stop", &json!({ "gracePeriod": "1s" })).await.status, 200);
    assert_eq!(http.post("/jobs/2/kill", &json!({})).await.status, 200);
    for (job, code) in [("1", 143), ("2", 137)] {
        assert_eq!(http.get(&format!("/jobs/{job}/wait")).await["job"]["exitCode"], code, "{job}");
    }
    let nodes = http.get("/nodes").await;
    let name = nodes["nodes"][0]["displayName"].as_str().expect("a name");
    let drained = http.post(&format!("/nodes/{name}/drain"), &json!({})).await;
    assert_eq!(drained.json()["node"]["draining"], true);
    let resumed = http.post(&format!("/nodes/{name}/resume"), &json!({})).await;
    assert_eq!(resumed.json()["node"]["draining"], Value::Null);
}

#[tokio::test]
async fn what_is_wrong_is_said_as_a_problem() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    for (path, status, reason) in [
        ("/jobs/7", 404, "JOB_NOT_FOUND"),
        ("/jobs?pageSize=x", 400, "INVALID_ARGUMENT"),
        ("/jobs?pageSize=-1", 400, "INVALID_ARGUMENT"),
        ("/jobs?unknown=1", 400, "INVALID_ARGUMENT"),
        ("/jobs?filter=%22", 400, "INVALID_ARGUMENT"),
        ("/nothing", 404, "PATH_NOT_FOUND"),
        ("/jobs/%ff", 404, "PATH_NOT_FOUND"),
        ("/changes?afterRevision=99999999", 410, "COMPACTED"),
    ] {
        let answer = http.send("GET", &format!("/api/v1{path}"), &[], b"").await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{path}: {}", answer.text());
        assert_eq!(answer.json()["retryable"], false);
    }
    for body in
        ["", "[]", "{", "{\"spec\":1}", "{\"nothing\":1}", "{\"spec\":{\"command\":{}}}", "\"\\ud800\""]
    {
        let json = [("content-type", "application/json")];
        let answer = http.send("POST", "/api/v1/jobs", &json, body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    let large = http.post("/jobs", &script(&"x".repeat(2 << 20))).await;
    assert_eq!((large.status, large.reason().as_str()), (413, "MESSAGE_TOO_LARGE"));
    let image = http
        .post("/jobs", &json!({ "spec": { "image": "BAD:1", "command": { "argv": { "args": ["a"] } } } }))
        .await;
    assert_eq!(image.json()["violations"][0]["field"], "spec.image");
    let method = http.send("PUT", "/api/v1/jobs", &[], b"").await;
    assert_eq!(method.status, 405);
    assert!(method.head.contains("allow: get, post"), "{}", method.head);
    let twice = http.post("/jobs/1/stop", &json!({ "job": "2" })).await;
    assert_eq!(twice.status, 400);
}

#[tokio::test]
async fn a_follower_answers_as_the_leader_does() {
    let cluster = Cluster::builder().coordinators(2).start().await;
    for n in 0..2 {
        let http = Http::at(&cluster, n);
        let made = http.post("/jobs", &script("echo from $DOCKMGR_JOB")).await;
        let id = made.json()["job"]["id"].as_str().expect("a number").to_owned();
        assert_eq!(http.get(&format!("/jobs/{id}/wait")).await["job"]["state"], "STATE_SUCCEEDED");
        let mut events = http.events(&format!("/jobs/{id}/logs?follow=true"), "").await;
        events.find(|event| event.data.contains("jobEnd")).await;
    }
}
