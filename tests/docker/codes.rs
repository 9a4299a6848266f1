//! Exit codes of real commands.

use dockmgr_proto::v1::EndReason;
use dockmgr_tests::Store;

use crate::docker_cluster;

async fn every_way_to_end_has_its_code(store: Store) {
    let Some(cluster) = docker_cluster(store).await else { return };
    cluster.run(["--", "sh", "-c", "exit 7"]).await.expect_code(7);
    cluster.run(["--", "true"]).await.expect_code(0);
    cluster.run(["seq 100 | sort -r | head -3"]).await.expect_code(0);
    cluster.run(["set -o pipefail; false | cat"]).await.expect_code(1);
    cluster.run(["kill -KILL $$"]).await.expect_code(137);
    cluster.run(["kill -SEGV $$"]).await.expect_code(139);
    cluster.run(["--", "no-such-program", "x"]).await.expect_code(127);
    cluster.run(["--", "/etc/passwd", "x"]).await.expect_code(126);
    cluster.run(["no-such-program | cat; exit ${PIPESTATUS[0]}"]).await.expect_code(127);
    let unknown = cluster.run(["--image", "127.0.0.1:9/no/such:image", "exit 0"]).await.expect_code(125);
    unknown.expect_error("127.0.0.1:9/no/such:image");
    let job = cluster.job(10).await;
    assert_eq!(job.end_reason(), EndReason::ImageFailed);
    assert!(job.message.starts_with("network") || job.message.starts_with("not_found"), "{}", job.message);
    cluster.expect_clean().await;
}

#[tokio::test]
async fn every_way_to_end_has_its_code_on_redb() {
    every_way_to_end_has_its_code(Store::Redb).await;
}

#[tokio::test]
async fn every_way_to_end_has_its_code_on_etcd() {
    every_way_to_end_has_its_code(Store::Etcd).await;
}

#[tokio::test]
async fn a_script_keeps_its_quotes_its_traps_and_its_exit_code() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let script = "x='a  b'; printf '%s|\"%s\"|%s\\n' \"$x\" '$HOME' \"$(echo sub)\"\nexit 5";
    let output = cluster.run([script]).await.expect_code(5);
    assert_eq!(output.stdout, b"a  b|\"$HOME\"|sub\n");
    let output = cluster.run(["trap 'echo leaving' EXIT; echo inside; exit 6"]).await.expect_code(6);
    assert_eq!(output.stdout, b"inside\nleaving\n");
    let output = cluster.cli(["run", "-"]).stdin("echo from stdin\nexit 4\n").run().await.expect_code(4);
    assert_eq!(output.stdout, b"from stdin\n");
    // Exact words never meet a shell.
    let output = cluster.run(["--", "echo", "$HOME", "a  b", ";", "x"]).await.expect_code(0);
    assert_eq!(output.stdout, b"$HOME a  b ; x\n");
    let output = cluster.run(["--shell", "/bin/sh", "echo $0; test -z \"$BASH_VERSION\""]).await;
    assert!(!output.text().contains("bash"), "{}", output.describe());
}
