//! Clusters that are scraped while they work.

use dockmgr_proto::v1::TaskState;
use dockmgr_tests::prometheus::{Prometheus, get};
use dockmgr_tests::{Cluster, STEP_LIMIT, eventually, needs, wait_until};

use super::{ANY_PORT, page};

#[tokio::test]
async fn prometheus_counts_every_job_and_every_byte_of_a_live_cluster() {
    needs::prometheus();
    let cluster = Cluster::builder()
        .coordinator_args(&ANY_PORT)
        .coordinator_args(&["--seal-after", "10ms"])
        .worker_args(&ANY_PORT)
        .workers(2)
        .cpus("2")
        .start()
        .await;
    for _ in 0..5 {
        cluster.run(["echo 1234567"]).await.expect_code(0);
    }
    for _ in 0..2 {
        cluster.run(["exit 3"]).await.expect_code(3);
    }
    let stopped = cluster.submit(["sleep 600"]).await;
    cluster.wait_state(stopped, TaskState::Running).await;
    cluster.cli(["stop", &stopped.to_string()]).ok().await;
    cluster.wait(stopped).await.expect_code(143);
    let running = cluster.submit(["--cpus", "2", "sleep 600"]).await;
    cluster.wait_state(running, TaskState::Running).await;
    let jobs = |program: &'static str| cluster.metrics_address(program);
    let workers = vec![jobs("worker-0").await, jobs("worker-1").await];
    let prometheus = Prometheus::start(
        cluster.folder(),
        &[("dockmgr-coordinator", vec![jobs("coordinator").await], None), ("dockmgr-worker", workers, None)],
    )
    .await;
    for (expression, expected) in [
        ("sum(up)", 3.0),
        ("cluster_jobs_submitted_total", 9.0),
        ("sum(cluster_jobs_finished_total)", 8.0),
        ("cluster_jobs_finished_total{state=\"succeeded\",reason=\"exited\"}", 5.0),
        ("cluster_jobs_finished_total{state=\"failed\",reason=\"exited\"}", 2.0),
        ("cluster_jobs_finished_total{state=\"cancelled\",reason=\"stopped\"}", 1.0),
        ("cluster_jobs{state=\"active\"}", 1.0),
        ("cluster_jobs{state=\"succeeded\"}", 5.0),
        ("cluster_tasks{state=\"running\"}", 1.0),
        ("cluster_attempts_placed_total", 9.0),
        ("sum(cluster_attempts_ended_total)", 8.0),
        ("cluster_job_queue_seconds_count", 9.0),
        ("cluster_job_start_seconds_count", 9.0),
        ("cluster_job_run_seconds_count", 8.0),
        ("cluster_nodes{state=\"ready\"}", 2.0),
        ("sum(cluster_node_cpu_cores{kind=\"total\"})", 4.0),
        ("sum(cluster_node_cpu_cores{kind=\"reserved\"})", 2.0),
        ("sum(cluster_worker_ready)", 2.0),
        ("sum(cluster_worker_fenced)", 0.0),
        ("sum(cluster_log_bytes_total{stage=\"captured\"})", 40.0),
        ("sum(cluster_log_bytes_total{stage=\"sent\"})", 40.0),
        ("cluster_log_bytes_total{stage=\"received\"}", 40.0),
        ("cluster_log_bytes_total{stage=\"read\"}", 40.0),
        ("sum(cluster_log_incomplete_total)", 0.0),
        ("cluster_log_unsealed_attempts", 0.0),
        ("cluster_log_segments > bool 0", 1.0),
        ("cluster_log_segment_bytes > bool 0", 1.0),
        ("cluster_log_sealed_bytes_total > bool 0", 1.0),
        ("cluster_log_seal_failures_total", 0.0),
        ("sum(cluster_store_errors_total{backend=\"redb\"})", 0.0),
        ("cluster_coordinator_leading", 1.0),
        ("sum(grpc_server_handled_total{grpc_method=\"CreateJob\",grpc_code=\"OK\"})", 9.0),
        ("cluster_events_total{type=\"JobEnded\"}", 8.0),
        ("count(cluster_build_info{version!=\"\"})", 3.0),
        ("max(cluster_heartbeat_age_seconds) < bool 5", 1.0),
        ("min(process_resident_memory_bytes) > bool 1e6", 1.0),
    ] {
        wait_until(expression, STEP_LIMIT, async || match prometheus.value(expression).await {
            Some(value) if (value - expected).abs() < f64::EPSILON => Ok(()),
            seen => Err(format!("{seen:?} instead of {expected}")),
        })
        .await;
    }
}

#[tokio::test]
async fn a_coordinator_that_follows_says_so_and_shows_no_jobs_until_it_leads() {
    if !needs::etcd() {
        return;
    }
    let mut cluster =
        Cluster::builder().coordinators(2).coordinator_args(&ANY_PORT).worker_args(&ANY_PORT).start().await;
    cluster.run(["exit 0"]).await.expect_code(0);
    let names = ["coordinator", "coordinator-1"];
    let pages = [page(&cluster, names[0]).await, page(&cluster, names[1]).await];
    let leads = |text: &String| text.contains("\ncluster_coordinator_leading 1");
    let leader = pages.iter().position(leads).expect("one leads");
    let follower = 1 - leader;
    assert!(pages[leader].contains("\ncluster_jobs{state=\"succeeded\"} 1"), "{}", pages[leader]);
    let follows = &pages[follower];
    assert!(follows.contains("\ncluster_coordinator_leading 0"), "{follows}");
    assert!(follows.contains("\ncluster_coordinator_leader_known 1"), "{follows}");
    for of_the_cluster in ["cluster_jobs{", "cluster_tasks{", "cluster_nodes{", "cluster_heartbeat_age"] {
        assert!(!follows.contains(of_the_cluster), "{of_the_cluster} in {follows}");
    }
    cluster.kill_coordinator_n(leader).await;
    wait_until("the follower to lead", STEP_LIMIT, async || {
        let text = page(&cluster, names[follower]).await;
        if leads(&text) && text.contains("\ncluster_jobs{state=\"succeeded\"} 1") {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

#[tokio::test]
async fn with_a_token_only_prometheus_that_has_it_sees_anything() {
    needs::prometheus();
    let folder = tempfile::tempdir().expect("a folder for the token");
    let (token, file) = ("0123456789abcdef-metrics", folder.path().join("token"));
    std::fs::write(&file, token).expect("write the token");
    let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, only_owner).expect("protect the token");
    let path = file.to_str().expect("a plain path");
    let args = [ANY_PORT[0], ANY_PORT[1], "--metrics-token-file", path];
    let cluster = Cluster::builder().coordinator_args(&args).worker_args(&args).start().await;
    let (coordinator, worker) =
        (cluster.metrics_address("coordinator").await, cluster.metrics_address("worker-0").await);
    for address in [coordinator, worker] {
        let api_token = format!("Bearer {}", cluster.token().expose());
        for headers in [
            &[][..],
            &[("Authorization", "Bearer wrong-wrong-wrong-wrong")],
            &[("Authorization", &api_token)],
        ] {
            let (status, text) = get(address, "/metrics", headers).await.expect("it answers");
            assert!(status == 401 && !text.contains("cluster_"), "{headers:?}: {status} {text}");
        }
    }
    let scrapes = [
        ("with", vec![coordinator, worker], Some(file.as_path())),
        ("without", vec![coordinator, worker], None),
    ];
    let prometheus = Prometheus::start(cluster.folder(), &scrapes).await;
    eventually("both to be seen with the token and neither without", STEP_LIMIT, async || {
        let up = async |job| prometheus.value(&format!("sum(up{{job=\"{job}\"}})")).await;
        up("with").await == Some(2.0) && up("without").await == Some(0.0)
    })
    .await;
}

#[tokio::test]
async fn a_page_in_a_browser_whose_name_points_here_is_refused() {
    let cluster = Cluster::builder().coordinator_args(&ANY_PORT).worker_args(&ANY_PORT).start().await;
    for program in ["coordinator", "worker-0"] {
        let address = cluster.metrics_address(program).await;
        let (status, _) = get(address, "/metrics", &[("Host", "evil.example")]).await.expect("it answers");
        assert_eq!(status, 421, "{program}");
        let (status, _) = get(address, "/", &[]).await.expect("it answers");
        assert_eq!(status, 404, "{program}");
    }
}
