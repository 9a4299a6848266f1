//! D21: what is on the wire is not what a daemon would send.

use std::time::Duration;

use super::Rig;
use crate::runtime::docker::testing::Fault;
use crate::runtime::{Call, Runtime as _};

fn raw(text: &str) -> Fault {
    Fault::Raw(bytes::Bytes::copy_from_slice(text.as_bytes()))
}

fn odd() -> Vec<(&'static str, Fault)> {
    let long_line =
        format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 2\r\n\r\n{{}}", "x".repeat(64 << 10));
    vec![
        ("cut in the head", Fault::Cut(9)),
        ("cut in the body", Fault::Cut(120)),
        ("nothing", Fault::Cut(0)),
        ("a chunk that is cut", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n{\"Id")),
        (
            "a chunk of no size",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
        ),
        ("a line of 64 KiB", raw(&long_line)),
        (
            "compressed",
            raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\u{1f}\u{8}ab"),
        ),
        ("moved", raw("HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")),
        ("another protocol", raw("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n")),
        ("no protocol", raw("SSH-2.0-x\r\n")),
        ("a length that is none", raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}")),
        ("drip", Fault::Drip(Duration::from_millis(100))),
        ("no json", Fault::body(200, "<html>")),
        ("an empty body", Fault::body(200, "")),
    ]
}

#[tokio::test]
async fn d21_answers_that_are_no_http_or_no_json_cost_a_try_and_nothing_else() {
    let rig = Rig::new().await;
    let mut job = 0;
    for call in [Call::Inspect, Call::InspectImage, Call::Create] {
        for (case, fault) in odd() {
            job += 1;
            let case = format!("{call}: {case}");
            rig.daemon.order(call, fault);
            let attempt = rig.run(job, "sleep 0.1; exit 3");
            rig.expect_exit(attempt, 3, &case).await;
            assert_eq!(rig.runs(attempt), Some(1), "{case}");
            rig.settle_clean(attempt, &case).await;
            rig.daemon.mend();
        }
    }
    assert_eq!(rig.daemon.count(Call::Start), usize::try_from(job).expect("small"));
}

#[tokio::test]
async fn d21_an_answer_without_end_is_cut_off_in_bounded_memory() {
    let rig = Rig::new().await;
    let endless = Fault::Endless("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\"");
    for call in [Call::Inspect, Call::Info, Call::List, Call::InspectImage, Call::Create, Call::Negotiate] {
        let before = resident();
        rig.daemon.order(call, endless.clone());
        let runtime = crate::runtime::AnyRuntime::Docker(rig.daemon.client());
        match call {
            Call::Inspect => drop(runtime.inspect("x").await.expect_err("endless")),
            Call::Info | Call::Negotiate => drop(runtime.info().await.expect_err("endless")),
            Call::List => drop(runtime.list(&std::collections::BTreeMap::new()).await.expect_err("endless")),
            Call::InspectImage => drop(runtime.inspect_image("x").await.expect_err("endless")),
            _ => {
                let spec = crate::runtime::ContainerSpec::new("x", "y", vec!["z".into()]);
                drop(runtime.create(&spec).await.expect_err("endless"));
            }
        }
        let grown = resident().saturating_sub(before) >> 20;
        assert!(grown < 96, "{call}: {grown} MiB");
    }
}

/// Memory of this process in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("reads");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}
