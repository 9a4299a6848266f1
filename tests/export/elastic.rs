//! OpenSearch: every line once, whatever is killed; what it refuses is put aside and nothing else.

use std::fs;

use dockmgr_tests::opensearch::OpenSearch;
use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use serde_json::Value;

use crate::held::{Held, expect, written_under_kills};

const TEMPLATE: &str = include_str!("../../deploy/elastic/index-template.json");

#[tokio::test]
async fn opensearch_holds_every_line_once_after_kills_of_both_sides() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = OpenSearch::start(folder.path()).await;
    server.put("/_index_template/dockmgr", TEMPLATE).await;
    let url = format!("opensearch+http://{}", server.address());
    let mut cluster = Cluster::builder().cpus("64").coordinator_args(&["--export", &url]).start().await;
    let mut expected = written_under_kills(&mut cluster, 3).await;
    let held = async |server: &OpenSearch| Held::of(server.documents("dockmgr-output").await);
    // The server dies in the middle of things, and jobs go on while it is away.
    server.kill().await;
    let job = cluster.submit(["for i in $(seq 1 50); do echo away $i; done"]).await;
    cluster.wait(job).await.expect_code(0);
    expected.push((job, 0, (1..=50).map(|i| format!("away {i}\n")).collect()));
    server.start_again().await;
    let held = expect(&expected, async || held(&server).await).await;
    assert_eq!(held.repeats, 0, "each line once");
    assert_eq!(held.text(expected[1].0, 3, "stderr"), "no\n");
}

#[tokio::test]
async fn a_document_that_opensearch_refuses_is_put_aside_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = OpenSearch::start(folder.path()).await;
    // An index in which labels are numbers.
    let mapping =
        r#"{ "mappings": { "properties": { "labels": { "properties": { "n": { "type": "long" } } } } } }"#;
    server.put("/mine", mapping).await;
    let url = format!("opensearch+http://{}/mine#main", server.address());
    let cluster = Cluster::builder().coordinator_args(&["--export", &url]).start().await;
    for (label, text) in [("n=1", "fine"), ("n=x", "refused"), ("n=2", "fine, too")] {
        cluster.run(["--label", label, &format!("echo {text}")]).await.expect_code(0);
    }
    let expected = [(1, 0, "fine\n".to_owned()), (3, 0, "fine, too\n".to_owned())];
    let held = expect(&expected, async || Held::of(server.documents("mine").await)).await;
    assert_eq!(held.text(2, 0, "stdout"), "");
    let letters = cluster.coordinator_folder().join("export/main.dead.jsonl");
    wait_until("the dead letter", STEP_LIMIT, async || {
        let text = fs::read_to_string(&letters).unwrap_or_default();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        // The line, the end of its attempt and the end of its job: all of them have the label.
        let is_of_it = |letter: &Value| letter["document"]["dockmgr"]["job"] == 2;
        if lines.len() != 3 || !lines.iter().all(is_of_it) {
            return Err(text);
        }
        let why = lines[0]["why"].as_str().unwrap_or_default();
        let is_it = lines[0]["document"]["message"] == "refused" && why.contains("mapper_parsing_exception");
        if is_it { Ok(()) } else { Err(text) }
    })
    .await;
}
