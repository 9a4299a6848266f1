use std::path::Path;

use bytes::Bytes;
use dockmgr_core::ids::{JobId, TaskIndex};
use dockmgr_core::log::{End, Offsets, Record, Stream as LogStream};
use dockmgr_core::time::WallTime;
use dockmgr_proto::v1::worker_service_client::WorkerServiceClient;
use dockmgr_proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use tokio_stream::wrappers::TcpListenerStream;

use super::*;
use crate::controller;
use crate::logs::BegunTask;

/// Longest wait for an answer that takes moments.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster that knows job 1 only.
#[derive(Clone)]
struct Cluster;

impl AttemptDirectory for Cluster {
    type Error = controller::Error;

    async fn begun(&self, _: JobId, _: TaskIndex, _: usize) -> Result<Option<Vec<BegunTask>>, Self::Error> {
        Ok(None)
    }

    async fn is_over(&self, _: JobId) -> Result<Option<bool>, Self::Error> {
        Ok(None)
    }

    fn changes(&self) -> Result<watch::Receiver<u64>, Self::Error> {
        Err(controller::Error::NotLeader)
    }

    async fn wants(&self, _: NodeId, attempt: AttemptId) -> Result<bool, Self::Error> {
        Ok(attempt.job().get() == 1)
    }
}

struct Service(UploadDesk<Cluster>);

#[tonic::async_trait]
impl WorkerService for Service {
    type SessionStream = tokio_stream::Empty<Result<v1::SessionResponse, Status>>;
    type UploadLogsStream = Acks;

    async fn session(
        &self,
        _: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn upload_logs(
        &self,
        request: Request<Streaming<v1::UploadLogsRequest>>,
    ) -> Result<Response<Acks>, Status> {
        self.0.open(request).await
    }
}

/// A worker's side of one upload.
struct Upload {
    up: mpsc::Sender<v1::UploadLogsRequest>,
    down: Streaming<v1::UploadLogsResponse>,
}

impl Upload {
    async fn open(root: &Path) -> Self {
        let tasks = Tasks::default();
        let store = LogStore::open(root.to_owned(), logs::Sharing::Alone, logs::Sealing::default(), &tasks)
            .expect("opens");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let desk = UploadDesk::new(Cluster, store, tasks.clone(), Counter::default());
        let server = tonic::transport::Server::builder().add_service(WorkerServiceServer::new(Service(desk)));
        tasks.spawn("server", server.serve_with_incoming(TcpListenerStream::new(listener)));
        let mut client = WorkerServiceClient::connect(address).await.expect("connects");
        let (up, outgoing) = mpsc::channel(64);
        let hello = v1::UploadHello { node_id: uuid::Uuid::nil().to_string(), incarnation: String::new() };
        up.send(v1::UploadLogsRequest { message: Some(Up::Hello(hello)) }).await.expect("room");
        let down = client.upload_logs(ReceiverStream::new(outgoing)).await.expect("opens").into_inner();
        Self { up, down }
    }

    async fn say(&self, message: Up) {
        self.up.send(v1::UploadLogsRequest { message: Some(message) }).await.expect("open");
    }

    async fn open_attempt(&self, attempt: AttemptId) {
        self.say(Up::Open(v1::UploadOpen { attempt: Some(convert::ids::attempt_to_wire(attempt)) })).await;
    }

    async fn chunk(&self, attempt: AttemptId, offset: u64, bytes: &'static [u8], crc: u32) {
        let bytes = Bytes::from_static(bytes);
        let record = Record { stream: LogStream::Stdout, offset, time: WallTime(1), bytes };
        self.say(Up::Chunk(convert::log::chunk_to_wire(attempt, &record, crc))).await;
    }

    /// The next ack that `wanted` accepts.
    async fn ack(&mut self, wanted: impl Fn(&v1::UploadAck) -> bool) -> v1::UploadAck {
        loop {
            let answer = tokio::time::timeout(PATIENCE, self.down.message()).await.expect("in time");
            let answer = answer.expect("no error").expect("not over");
            if let Some(Down::Ack(ack)) = answer.message
                && wanted(&ack)
            {
                return ack;
            }
        }
    }
}

fn stdout(ack: &v1::UploadAck) -> u64 {
    ack.durable.expect("always there").stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_acknowledged_when_durable_and_what_is_wrong_is_asked_for_again() {
    let dir = tempfile::tempdir().expect("folder");
    let mut upload = Upload::open(dir.path()).await;
    let (known, unknown) = (AttemptId::from_parts(1, 0, 1), AttemptId::from_parts(2, 0, 1));
    let (known, unknown) = (known.expect("valid"), unknown.expect("valid"));
    upload.open_attempt(unknown).await;
    upload.ack(|ack| ack.refused).await;
    upload.open_attempt(known).await;
    assert_eq!(stdout(&upload.ack(|_| true).await), 0, "the first ack says from where to send");
    upload.chunk(known, 0, b"abc", crc32fast::hash(b"abc")).await;
    upload.ack(|ack| stdout(ack) == 3).await;
    upload.chunk(known, 9, b"x", crc32fast::hash(b"x")).await;
    assert_eq!(stdout(&upload.ack(|ack| ack.rewind).await), 3, "a hole");
    upload.chunk(known, 3, b"def", 1).await;
    assert_eq!(stdout(&upload.ack(|ack| ack.rewind).await), 3, "a wrong checksum");
    upload.chunk(known, 1, b"bcdef", crc32fast::hash(b"bcdef")).await;
    let end = End::complete(Offsets { stdout: 6, stderr: 0 });
    let attempt = Some(convert::ids::attempt_to_wire(known));
    upload.say(Up::End(v1::UploadEnd { attempt, end: Some(convert::log::end_to_wire(&end)) })).await;
    assert_eq!(stdout(&upload.ack(|ack| ack.end_durable).await), 6);
}
