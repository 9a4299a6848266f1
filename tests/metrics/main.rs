//! What both programs show to Prometheus, asked by a real one and by its tool.

mod live;
mod rules;

use dockmgr_tests::Cluster;
use dockmgr_tests::prometheus::get;

/// A port of the kernel's choice: the program logs it.
const ANY_PORT: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// The page of a program.
async fn page(cluster: &Cluster, program: &str) -> String {
    let address = cluster.metrics_address(program).await;
    let (status, text) = get(address, "/metrics", &[]).await.expect("it answers");
    assert_eq!(status, 200, "{text}");
    text
}
