//! Peers that want to harm: whatever they do on their connections, others are served and memory stays bounded.

use std::time::{Duration, Instant};

use dockmgr_proto::v1;
use dockmgr_tests::frames::{END_HEADERS, Kind, PREFACE, RawConnection, call_headers, frame};
use dockmgr_tests::{Cluster, STEP_LIMIT, wait_until};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;

/// What the coordinator may use under any of this, build with checks.
const MOST_MEMORY: u64 = 200 << 20;
/// How long a new connection may be silent, with room for a loaded machine.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// How long a flood may go on.
const FLOOD_LIMIT: Duration = Duration::from_secs(20);
/// Silent connections, unless the system allows fewer files.
const CROWD: usize = 4000;

const LIST: &str = "/dockmgr.v1.JobService/ListJobs";
const UPLOAD: &str = "/dockmgr.v1.WorkerService/UploadLogs";

async fn crowd(cluster: &Cluster, size: usize) -> Vec<RawConnection> {
    let mut crowd = Vec::new();
    for _ in 0..size {
        // One that is turned away is as good as one that is not.
        crowd.extend(RawConnection::silent(&cluster.server()).await.ok());
    }
    crowd
}

/// The system's limit, as high as it goes; connections a test may hold.
fn most_connections() -> usize {
    let now = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: now.maximum, ..now }).expect("a process may raise it");
    let files = now.maximum.map_or(usize::MAX, |files| usize::try_from(files).expect("64 bits"));
    CROWD.min(files.saturating_sub(200) / 2)
}

async fn submits(cluster: &Cluster) -> Duration {
    let asked = Instant::now();
    cluster.run(["exit 3"]).await.expect_code(3);
    asked.elapsed()
}

async fn all_cut(crowd: Vec<RawConnection>, within: Duration) {
    let deadline = Instant::now() + within;
    let total = crowd.len();
    for (n, mut connection) in crowd.into_iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        assert!(connection.is_cut_within(left).await, "connection {n} of {total} is open after {within:?}");
    }
}

#[tokio::test]
async fn silent_connections_are_closed_and_a_submit_works_meanwhile() {
    let mut cluster = Cluster::fake().await;
    let crowd = crowd(&cluster, most_connections()).await;
    submits(&cluster).await;
    all_cut(crowd, SILENCE_LIMIT).await;
    submits(&cluster).await;
    assert!(cluster.coordinator().peak_memory() < MOST_MEMORY);
    let files = cluster.coordinator().open_files();
    assert!(files < 100, "{files} files are open when all have gone");
}

#[tokio::test]
async fn a_full_house_makes_room_for_whoever_calls() {
    let cluster = Cluster::builder().coordinator_args(&["--max-connections", "40"]).start().await;
    // More than there is room for: the older ones go at once, long before their time is over.
    let mut crowd = crowd(&cluster, 120).await;
    let newest = crowd.split_off(80);
    all_cut(crowd, Duration::from_secs(5)).await;
    submits(&cluster).await;
    drop(newest);
}

#[tokio::test]
async fn a_coordinator_without_free_files_rests_and_recovers() {
    let mut cluster = Cluster::fake().await;
    let id = rustix::process::Pid::from_raw(i32::try_from(cluster.coordinator().id()).expect("an id"));
    let limit = Rlimit { current: Some(64), maximum: Some(64) };
    prlimit(id, Resource::Nofile, limit).expect("a process of ours");
    let crowd = crowd(&cluster, 300).await;
    let (used, asked) = (cluster.coordinator().cpu_time(), Instant::now());
    // Those in the backlog time out one after the other; meanwhile the process must sleep, not spin.
    tokio::time::timeout(Duration::from_secs(5), std::future::pending::<()>())
        .await
        .expect_err("it never ends");
    let used = cluster.coordinator().cpu_time().saturating_sub(used);
    assert!(used < asked.elapsed() / 4, "{used:?} of {:?} were spent on nothing", asked.elapsed());
    drop(crowd);
    submits(&cluster).await;
    cluster.expect_coordinator_log("no connection can be taken in").await;
    let log = std::fs::read_to_string(cluster.folder().join("coordinator.log")).expect("a log");
    let said = log.matches("connection refused").count();
    assert!(said < 20, "{said} lines about it");
}

/// One flood: its name, what comes once, what comes again and again.
fn floods(token: &str) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let upload = frame(Kind::Headers, END_HEADERS, 1, &call_headers(UPLOAD, token, &[]));
    let long = "x".repeat(60_000);
    let huge = call_headers(LIST, token, &[("x-a", &long), ("x-b", &long)]);
    let mut pieces = huge.chunks(16_000);
    let first = frame(Kind::Headers, 0, 1, pieces.next().expect("it is long"));
    let rest: Vec<u8> = pieces.flat_map(|piece| frame(Kind::Continuation, 0, 1, piece)).collect();
    vec![
        ("ping", vec![], frame(Kind::Ping, 0, 0, &[7; 8]).repeat(100)),
        ("settings", vec![], frame(Kind::Settings, 0, 0, &[]).repeat(100)),
        ("priority", vec![], frame(Kind::Priority, 0, 3, &[0, 0, 0, 0, 1]).repeat(100)),
        ("window", vec![], frame(Kind::WindowUpdate, 0, 0, &[0, 0, 0, 1]).repeat(100)),
        ("empty data", upload.clone(), frame(Kind::Data, 0, 1, &[]).repeat(100)),
        ("window overflow", upload, frame(Kind::WindowUpdate, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        ("huge headers", first, rest.clone()),
        ("endless continuation", frame(Kind::Headers, 0, 1, &[0x40]), frame(Kind::Continuation, 0, 1, &[])),
    ]
}

#[tokio::test]
async fn floods_of_frames_are_cut_while_others_are_served() {
    let mut cluster = Cluster::fake().await;
    for (name, once, again) in floods(cluster.token().expose()) {
        let mut connection = RawConnection::open(&cluster.server()).await.expect("it listens");
        connection.0.write_all(&once).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (sent, _) = tokio::join!(connection.send_until_cut(&again, FLOOD_LIMIT), submits(&cluster));
        assert!(sent < 64 << 20, "{name}: {sent} bytes were taken");
    }
    assert!(cluster.coordinator().peak_memory() < MOST_MEMORY);
}

#[tokio::test]
async fn rapid_resets_are_cut_while_others_are_served() {
    let mut cluster = Cluster::fake().await;
    let headers = call_headers(LIST, cluster.token().expose(), &[]);
    let mut connection = RawConnection::open(&cluster.server()).await.expect("it listens");
    let mut resets = Vec::new();
    for stream in (1..200_001_u32).step_by(2) {
        resets.extend(frame(Kind::Headers, END_HEADERS, stream, &headers));
        resets.extend(frame(Kind::Reset, 0, stream, &[0, 0, 0, 8]));
    }
    let flood = async {
        // It may be cut before everything is sent.
        let _cut = connection.0.write_all(&resets).await;
        assert!(connection.is_cut_within(FLOOD_LIMIT).await, "a hundred thousand resets are let pass");
    };
    tokio::join!(flood, submits(&cluster));
    assert!(cluster.coordinator().peak_memory() < MOST_MEMORY);
}

#[tokio::test]
async fn who_never_gets_to_a_call_is_cut() {
    let cluster = Cluster::fake().await;
    let settings = frame(Kind::Settings, 0, 0, &[]);
    let mut open = Vec::new();
    for begin in
        [&PREFACE[..7], PREFACE, &[PREFACE, &settings[..5]].concat(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]
    {
        let mut connection = RawConnection::silent(&cluster.server()).await.expect("it listens");
        connection.0.write_all(begin).await.expect("it takes bytes");
        open.push(connection);
    }
    // Complete, and then nothing but a ping now and then to look alive.
    let mut pinging = RawConnection::open(&cluster.server()).await.expect("it listens");
    let ping = frame(Kind::Ping, 0, 0, &[1; 8]);
    wait_until("the pinging one to be cut", SILENCE_LIMIT, async || {
        let sent = pinging.0.write_all(&ping).await;
        if sent.is_err() { Ok(()) } else { Err("it takes pings".to_owned()) }
    })
    .await;
    all_cut(open, SILENCE_LIMIT).await;
}

#[tokio::test]
async fn a_message_over_the_limit_says_so() {
    use tonic_types::StatusExt as _;
    let cluster = Cluster::fake().await;
    let spec = v1::JobSpec { name: "x".repeat(1 << 20), ..v1::JobSpec::default() };
    let request = v1::CreateJobRequest { spec: Some(spec), ..v1::CreateJobRequest::default() };
    let answer = dockmgr_tests::raw::Api::of(&cluster).await.jobs().create_job(request).await;
    let status = answer.expect_err("too large");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let reason = status.get_details_error_info().map(|info| info.reason);
    assert_eq!(reason.as_deref(), Some("MESSAGE_TOO_LARGE"));
    tokio::time::timeout(STEP_LIMIT, submits(&cluster)).await.expect("others are served");
}
