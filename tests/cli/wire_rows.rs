//! Bytes that are no messages, connections that are no clients. Whatever comes, others are served and nothing is stored.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _};
use dockmgr_proto::v1::{self, session_request::Message as Up};
use dockmgr_tests::raw::Api;
use dockmgr_tests::{Cluster, STEP_LIMIT};
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Request, Status};

/// Passes bytes through as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length).to_vec()))
    }
}

/// Calls a method with these bytes as the message.
async fn call(
    cluster: &Cluster,
    path: &'static str,
    body: Vec<u8>,
    header: Option<(&'static str, String)>,
) -> Code {
    let mut grpc = tonic::client::Grpc::new(Api::of(cluster).await.channel());
    grpc.ready().await.expect("a connection");
    let mut request = Request::new(body);
    let token: AsciiMetadataValue =
        format!("Bearer {}", cluster.token().expose()).parse().expect("printable");
    request.metadata_mut().insert("authorization", token);
    if let Some((name, value)) = header {
        request.metadata_mut().insert(name, value.parse().expect("printable"));
    }
    let path = path.parse().expect("a path");
    let answer = tokio::time::timeout(STEP_LIMIT, grpc.unary::<_, Vec<u8>, _>(request, path, Plain)).await;
    answer.expect("an answer in time").err().map_or(Code::Ok, |status| status.code())
}

const CREATE: &str = "/dockmgr.v1.JobService/CreateJob";
const LIST: &str = "/dockmgr.v1.JobService/ListJobs";

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let cluster = Cluster::fake().await;
    let mut wrong = Vec::new();
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("a group", vec![0x0b, 0x0c]),
        ("an unclosed group", vec![0x0b]),
        ("field number 0", vec![0x02, 0x00]),
        ("a varint of 11 bytes", [vec![0x18], vec![0xff; 11]].concat()),
        ("a length beyond the end", vec![0x0a, 0xff, 0x01]),
        ("a length of 2^63", vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("text that is no UTF-8", vec![0x12, 0x02, 0xff, 0xfe]),
        ("wire type 7", vec![0x0f]),
        ("noise", (0..200_u8).map(|n| n.wrapping_mul(97) | 0x80).collect()),
        (
            "a spec nested in itself",
            (0..200).fold(vec![0x22_u8, 0x00], |inner, _| {
                let mut outer = vec![0x0a];
                prost::encoding::encode_varint(inner.len() as u64, &mut outer);
                outer.extend(inner);
                outer
            }),
        ),
    ];
    for (name, body) in rows {
        let code = call(&cluster, CREATE, body, None).await;
        if !matches!(code, Code::Internal | Code::InvalidArgument) {
            wrong.push(format!("{name}: {code:?}"));
        }
    }
    for (name, path, body, header, due) in [
        ("an unknown field is skipped", LIST, vec![0xf8, 0x7f, 0x01], None, Code::Ok),
        ("an unknown method", "/dockmgr.v1.JobService/Nonsense", vec![], None, Code::Unimplemented),
        ("an unknown service", "/dockmgr.v9.Nonsense/X", vec![], None, Code::Unimplemented),
        (
            "a time-out that has passed",
            LIST,
            vec![],
            Some(("grpc-timeout", "1n".to_owned())),
            Code::Cancelled,
        ),
        ("a header of 10 KB", LIST, vec![], Some(("x-long", "x".repeat(10_000))), Code::Ok),
    ] {
        let code = call(&cluster, path, body, header).await;
        let close = due == Code::Cancelled && matches!(code, Code::DeadlineExceeded | Code::Ok);
        if code != due && !close {
            wrong.push(format!("{name}: {code:?}, not {due:?}"));
        }
    }
    let huge = call(&cluster, CREATE, vec![0; (1 << 20) + 1], None).await;
    if huge != Code::ResourceExhausted {
        wrong.push(format!("one byte over the limit: {huge:?}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cluster.cli(["ps", "-a", "-q"]).ok().await.text(), "");
}

/// Sends bytes on a fresh connection and reads until the other side closes, or for a while.
async fn poke(cluster: &Cluster, bytes: &[u8]) -> Vec<u8> {
    let address = cluster.server().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).await.expect("the coordinator listens");
    stream.write_all(bytes).await.expect("it takes bytes");
    let mut answer = Vec::new();
    // Whether it closes is its own affair; that it does not fall over is looked at by the caller.
    let _open = tokio::time::timeout(Duration::from_millis(300), stream.read_to_end(&mut answer)).await;
    answer
}

#[tokio::test]
async fn connections_that_are_no_clients_do_no_harm() {
    let mut cluster = Cluster::fake().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let pings: Vec<u8> = preface
        .iter()
        .copied()
        .chain([0, 0, 0, 4, 0, 0, 0, 0, 0])
        .chain(std::iter::repeat_n([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], 2000).flatten())
        .collect();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &preface[..7],
        preface,
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        &[0xff; 4096],
        &pings,
        // A frame of 16 MiB is announced.
        &[&preface[..], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat(),
    ] {
        poke(&cluster, bytes).await;
    }
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(
            TcpStream::connect(cluster.server().trim_start_matches("http://")).await.expect("it listens"),
        );
    }
    let before = std::time::Instant::now();
    cluster.run(["exit 3"]).await.expect_code(3);
    assert!(
        before.elapsed() < Duration::from_secs(20),
        "silent connections slow others: {:?}",
        before.elapsed()
    );
    drop(silent);
    assert!(!cluster.coordinator().has_ended());
}

async fn session(cluster: &Cluster, messages: Vec<Option<Up>>) -> Code {
    let mut workers = Api::of(cluster).await.workers();
    let messages = messages.into_iter().map(|message| v1::SessionRequest { message });
    let answer = tokio::time::timeout(STEP_LIMIT, async {
        let mut stream = workers.session(stream::iter(messages)).await?.into_inner();
        while stream.message().await?.is_some() {}
        Ok::<(), Status>(())
    });
    answer.await.expect("an answer in time").err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn sessions_that_are_no_workers_get_nothing() {
    let cluster = Cluster::fake().await;
    assert_eq!(session(&cluster, vec![]).await, Code::InvalidArgument, "no message at all");
    assert_eq!(session(&cluster, vec![None]).await, Code::InvalidArgument, "an empty message");
    let heartbeat = Some(Up::Heartbeat(v1::Heartbeat::default()));
    assert_eq!(session(&cluster, vec![heartbeat]).await, Code::InvalidArgument, "a heartbeat first");
    let empty = Some(Up::Hello(v1::Hello::default()));
    assert_eq!(session(&cluster, vec![empty]).await, Code::InvalidArgument, "an empty hello");
    assert_eq!(cluster.client().await.all_nodes().await.expect("an answer").len(), 1);
    cluster.run(["exit 3"]).await.expect_code(3);
}

#[tokio::test]
async fn every_service_wants_the_token_and_the_right_one() {
    let cluster = Cluster::fake().await;
    let channel = Api::of(&cluster).await.channel();
    let bare = v1::job_service_client::JobServiceClient::new(channel.clone())
        .list_jobs(v1::ListJobsRequest::default())
        .await;
    assert_eq!(bare.expect_err("no token").code(), Code::Unauthenticated);
    let bare =
        v1::worker_service_client::WorkerServiceClient::new(channel.clone()).session(stream::empty()).await;
    assert_eq!(bare.expect_err("no token").code(), Code::Unauthenticated);
    let long = "x".repeat(10_000);
    for token in ["", "Bearer", "Bearer ", "Basic eDp4", "Bearer wrong-wrong-wrong-wrong", long.as_str()] {
        let mut request = Request::new(v1::ListJobsRequest::default());
        request.metadata_mut().insert("authorization", token.parse().expect("printable"));
        let answer = v1::job_service_client::JobServiceClient::new(channel.clone()).list_jobs(request).await;
        assert_eq!(answer.expect_err("a wrong token").code(), Code::Unauthenticated, "{token:.20}");
    }
}
