//! Rows N: what lies between the programs. A proxy between worker and coordinator misbehaves.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use dockmgr_proto::v1::{self, TaskState};
use dockmgr_support::tasks::Tasks;
use dockmgr_tests::proxy::{Behaviour, Direction, Proxy};
use dockmgr_tests::raw::Api;
use dockmgr_tests::{Builder, Cluster, STEP_LIMIT, needs, ports, wait_until};

use crate::{attempts, counted_once, counting, soon_lost};

/// A cluster of one worker behind a proxy.
async fn behind_a_proxy(builder: Builder) -> (Cluster, Proxy, Tasks) {
    // The coordinator names the proxy as its address: long streams go straight to where it says it is.
    let listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), ports::free());
    let advertised = format!("http://{listen}");
    let mut cluster = builder.coordinator_args(&["--advertise", &advertised]).coordinator_only().await;
    let tasks = Tasks::default();
    let target = cluster.server_of(0).trim_start_matches("http://").parse().expect("an address");
    let proxy = Proxy::start_at("to the coordinator".to_owned(), listen, target, &tasks);
    let proxy = proxy.await.expect("it listens");
    cluster.launch_worker_at(0, &format!("http://{}", proxy.address));
    cluster.wait_ready().await;
    (cluster, proxy, tasks)
}

async fn proxy_to(server: &str, tasks: &Tasks) -> Proxy {
    let target = server.trim_start_matches("http://").parse().expect("an address");
    Proxy::start("to the coordinator".to_owned(), Ipv4Addr::LOCALHOST, target, tasks)
        .await
        .expect("it listens")
}

async fn node_state(cluster: &Cluster) -> v1::node::State {
    let nodes = cluster.client().await.all_nodes().await.expect("an answer");
    nodes.first().expect("one node").state()
}

async fn wait_node(cluster: &Cluster, ready: bool) {
    wait_until("the node's state", STEP_LIMIT, async || {
        let state = node_state(cluster).await;
        if (state == v1::node::State::Ready) == ready { Ok(()) } else { Err(format!("{state:?}")) }
    })
    .await;
}

#[tokio::test]
async fn n01_a_short_cut_delays_output_and_loses_nothing() {
    let (cluster, proxy, _tasks) = behind_a_proxy(soon_lost(Cluster::builder())).await;
    let (script, due) = counting(20);
    let job = cluster.submit([script.as_str()]).await;
    cluster.wait_state(job, TaskState::Running).await;
    proxy.behave(Behaviour::Stalled(Direction::Both));
    cluster.wait_state(job, TaskState::Unknown).await;
    proxy.behave(Behaviour::Clean);
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn n01_a_job_that_waits_runs_through_a_cut_beyond_every_limit() {
    let (cluster, proxy, _tasks) = behind_a_proxy(soon_lost(Cluster::builder())).await;
    let (script, due) = counting(20);
    let job = cluster.submit(["--on-lost", "wait", &script]).await;
    cluster.wait_state(job, TaskState::Running).await;
    proxy.behave(Behaviour::Refusing);
    let cut = tokio::time::Instant::now();
    cluster.wait_state(job, TaskState::Unknown).await;
    dockmgr_tests::eventually("the loss to be long over", STEP_LIMIT, async || {
        cut.elapsed() > Duration::from_secs(14)
    })
    .await;
    assert_eq!(cluster.job(job).await.task.expect("one task").state(), TaskState::Unknown);
    proxy.behave(Behaviour::Clean);
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn n02_a_cut_of_one_direction_is_noticed_and_survived() {
    for direction in [Direction::There, Direction::Back] {
        let (cluster, proxy, _tasks) = behind_a_proxy(soon_lost(Cluster::builder())).await;
        let (script, due) = counting(20);
        let job = cluster.submit(["--on-lost", "wait", &script]).await;
        cluster.wait_state(job, TaskState::Running).await;
        proxy.behave(Behaviour::Stalled(direction));
        let cut = tokio::time::Instant::now();
        wait_node(&cluster, false).await;
        assert!(
            cut.elapsed() < Duration::from_secs(25),
            "{direction:?} was noticed after {:?}",
            cut.elapsed()
        );
        proxy.behave(Behaviour::Clean);
        wait_node(&cluster, true).await;
        counted_once(&cluster, job, &due).await;
    }
}

#[tokio::test]
async fn n03_a_worker_that_reaches_only_a_follower_works_all_the_same() {
    if !needs::etcd() {
        return;
    }
    let mut cluster = Cluster::builder().coordinators(2).workers(0).start().await;
    let follower = cluster.follower().await;
    cluster.launch_worker_at(0, &cluster.server_of(follower));
    cluster.wait_ready().await;
    let (script, due) = counting(5);
    let job = cluster.submit([script.as_str()]).await;
    counted_once(&cluster, job, &due).await;
}

#[tokio::test]
async fn n04_a_flapping_network_leaks_nothing() {
    let (mut cluster, proxy, _tasks) = behind_a_proxy(soon_lost(Cluster::builder())).await;
    let (script, due) = counting(60);
    let job = cluster.submit(["--on-lost", "wait", &script]).await;
    cluster.wait_state(job, TaskState::Running).await;
    let (coordinator, worker) = (cluster.coordinator().open_files(), cluster.worker(0).open_files());
    for _ in 0..15 {
        proxy.behave(Behaviour::Refusing);
        tokio::time::sleep(Duration::from_millis(250)).await;
        proxy.behave(Behaviour::Clean);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    counted_once(&cluster, job, &due).await;
    wait_node(&cluster, true).await;
    wait_until("as few open files as before", STEP_LIMIT, async || {
        let now = (cluster.coordinator().open_files(), cluster.worker(0).open_files());
        if now.0 <= coordinator + 10 && now.1 <= worker + 10 { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
}

#[tokio::test]
async fn n05_a_slow_and_narrow_way_costs_speed_and_no_attempt() {
    let (cluster, proxy, _tasks) = behind_a_proxy(Cluster::builder()).await;
    let (script, due) = counting(10);
    let job = cluster.submit([script.as_str()]).await;
    proxy.behave(Behaviour::Slow { delay: Duration::from_millis(200), jitter: Duration::from_millis(100) });
    counted_once(&cluster, job, &due).await;
    proxy.behave(Behaviour::Narrow(8_000));
    let job = cluster.submit(["seq 1 4000; exit 9"]).await;
    let due: String = (1..=4000).map(|n| format!("{n}\n")).collect();
    counted_once(&cluster, job, &due).await;
    assert_eq!(node_state(&cluster).await, v1::node::State::Ready);
}

#[tokio::test]
async fn n06_resets_in_the_middle_of_streams_lose_and_repeat_nothing() {
    let (cluster, proxy, tasks) = behind_a_proxy(soon_lost(Cluster::builder())).await;
    let to_reader = proxy_to(&cluster.server_of(0), &tasks).await;
    let (script, due) = counting(30);
    let server = format!("http://{}", to_reader.address);
    let run = cluster.cli(["run", &script]).env("DOCKMGR_SERVER", server).spawn();
    wait_until("the job to run", STEP_LIMIT, async || {
        let ran = cluster.cli(["ps", "-q"]).ok().await.text();
        if ran == "1" && cluster.job(1).await.start_time.is_some() { Ok(()) } else { Err(ran) }
    })
    .await;
    for _ in 0..5 {
        for proxy in [&proxy, &to_reader] {
            proxy.behave(Behaviour::Refusing);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        for proxy in [&proxy, &to_reader] {
            proxy.behave(Behaviour::Clean);
        }
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    let output = run.wait(STEP_LIMIT).await.expect_code(9);
    assert_eq!(String::from_utf8_lossy(&output.stdout), due, "{}", output.describe());
    assert_eq!(attempts(&cluster, 1).await.len(), 1);
}

#[tokio::test]
async fn n10_readers_that_stand_still_delay_only_themselves() {
    let cluster = Cluster::builder().cpus("16").memory("64GiB").start().await;
    // In pieces: what the fake's programs print at once is bounded.
    let pieces: Vec<String> =
        (0..40).map(|n| format!("seq {} {}", n * 10_000 + 1, (n + 1) * 10_000)).collect();
    let writer = cluster.submit([format!("{}; sleep 20; exit 9", pieces.join("; "))]).await;
    cluster.wait_state(writer, TaskState::Running).await;
    let api = Api::of(&cluster).await;
    let mut standing = Vec::new();
    for _ in 0..50 {
        let request =
            v1::TailLogsRequest { job: writer.to_string(), follow: true, ..v1::TailLogsRequest::default() };
        // Opened and never read.
        standing.push(api.logs().tail_logs(request).await.expect("a stream").into_inner());
    }
    for _ in 0..5 {
        let began = tokio::time::Instant::now();
        cluster.run(["echo here; exit 3"]).await.expect_code(3);
        assert!(began.elapsed() < Duration::from_secs(10), "a job took {:?}", began.elapsed());
        assert_eq!(node_state(&cluster).await, v1::node::State::Ready);
    }
    let reader = cluster.cli(["logs", "--follow", &writer.to_string()]).run().await;
    let due: String = (1..=400_000).map(|n| format!("{n}\n")).collect();
    assert!(reader.stdout == due.as_bytes(), "{} bytes of {}", reader.stdout.len(), due.len());
    cluster.wait(writer).await.expect_code(9);
    assert_eq!(attempts(&cluster, writer).await.len(), 1);
    drop(standing);
}

#[tokio::test]
async fn n13_a_way_that_closes_when_it_is_idle_costs_no_attempt_and_no_byte() {
    let (cluster, proxy, tasks) = behind_a_proxy(soon_lost(Cluster::builder())).await;
    let to_reader = proxy_to(&cluster.server_of(0), &tasks).await;
    for proxy in [&proxy, &to_reader] {
        proxy.behave(Behaviour::ClosesIdle(Duration::from_secs(3)));
    }
    let server = format!("http://{}", to_reader.address);
    let run = cluster.cli(["run", "echo begin; sleep 15; echo end; exit 9"]).env("DOCKMGR_SERVER", server);
    let output = run.run().await.expect_code(9);
    assert_eq!(output.stdout, b"begin\nend\n", "{}", output.describe());
    assert_eq!(attempts(&cluster, 1).await.len(), 1);
}
