//! Loki's push call: a server that has it takes every line, under ids by which repeats are told.

use std::collections::BTreeSet;

use dockmgr_tests::Cluster;
use dockmgr_tests::victorialogs::VictoriaLogs;
use serde_json::Value;

use crate::held::{Held, expect, written_under_kills};

/// What a server holds, each entry once.
fn held(entries: &[Value]) -> Held {
    let (mut held, mut seen) = (Held::default(), BTreeSet::new());
    for entry in entries {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| text(name).parse::<u64>().unwrap_or_else(|_| panic!("{name} in {entry}"));
        if !seen.insert(text("id")) {
            continue;
        }
        if text("kind") == "output" {
            let place = (number("job"), number("task"), number("attempt"), text("stream"));
            held.add(place, number("offset"), text("_msg"));
        } else {
            held.end(text("id"), text("_msg"));
        }
    }
    held
}

#[tokio::test]
async fn a_server_with_the_push_call_of_loki_holds_every_line_after_kills_and_an_outage() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = VictoriaLogs::start(folder.path()).await;
    let url = format!("loki+http://{}/insert/loki/api/v1/push?cluster=test", server.address());
    let mut cluster = Cluster::builder().cpus("64").coordinator_args(&["--export", &url]).start().await;
    let mut expected = written_under_kills(&mut cluster, 2).await;
    expect(&expected, async || held(&server.entries("*").await)).await;
    server.stop().await;
    let job = cluster.submit(["--name", "away", "--label", "team=x", "echo level=error msg=away"]).await;
    cluster.wait(job).await.expect_code(0);
    expected.push((job, 0, "level=error msg=away\n".to_owned()));
    server.start_again().await;
    expect(&expected, async || held(&server.entries("*").await)).await;
    // What people filter by are labels of the stream, the rest lies beside the line.
    let found =
        server.entries("{cluster=\"test\",service_name=\"away\",stream=\"stdout\",level=\"error\"}").await;
    let [entry] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(entry["label_team"], "x", "{entry}");
}
