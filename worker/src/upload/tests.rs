use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::ids::{AttemptId, Incarnation, NodeId};
use dockmgr_core::log::{Accept, End, Entry, Offsets, Progress, Record, Stream};
use dockmgr_core::time::WallTime;
use dockmgr_proto::convert;
use dockmgr_proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use dockmgr_proto::v1::{self, upload_logs_request::Message as Up, upload_logs_response::Message as Down};
use dockmgr_support::channel::{Address, Credentials};
use dockmgr_support::tasks::Tasks;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::Upload;
use crate::spool::Spool;

/// Chunks after which the coordinator cuts the stream.
const CUT_AFTER: usize = 23;
/// Longest wait for something that takes moments.
const PATIENCE: Duration = Duration::from_secs(60);

/// A coordinator that takes output in by the order rule and breaks every stream after a while.
#[derive(Clone, Default)]
struct Coordinator {
    kept: Arc<Mutex<BTreeMap<AttemptId, Kept>>>,
    streams: Arc<AtomicUsize>,
    tasks: Tasks,
}

#[derive(Default)]
struct Kept {
    progress: Progress,
    bytes: [Vec<u8>; 2],
}

type Answers = Pin<Box<dyn futures_util::Stream<Item = Result<v1::UploadLogsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl WorkerService for Coordinator {
    type SessionStream = tokio_stream::Empty<Result<v1::SessionResponse, Status>>;
    type UploadLogsStream = Answers;

    async fn session(
        &self,
        _: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn upload_logs(
        &self,
        request: Request<Streaming<v1::UploadLogsRequest>>,
    ) -> Result<Response<Answers>, Status> {
        self.streams.fetch_add(1, Ordering::SeqCst);
        let (answers, outgoing) = mpsc::channel(4);
        let this = self.clone();
        self.tasks.spawn("ingest", async move {
            let ended = this.ingest(request.into_inner(), &answers).await;
            let _gone = answers.send(Err(ended)).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

impl Coordinator {
    async fn ingest(
        &self,
        mut incoming: Streaming<v1::UploadLogsRequest>,
        answers: &mpsc::Sender<Result<v1::UploadLogsResponse, Status>>,
    ) -> Status {
        let mut chunks = 0;
        let mut say = vec![Down::Credit(v1::UploadCredit { bytes: 300_000 })];
        loop {
            for message in say.drain(..) {
                let _gone = answers.send(Ok(v1::UploadLogsResponse { message: Some(message) })).await;
            }
            let request = match incoming.message().await {
                Ok(Some(request)) => request,
                Ok(None) => return Status::cancelled("over"),
                Err(status) => return status,
            };
            match request.message.expect("known") {
                Up::Hello(_) => {}
                Up::Open(open) => {
                    let id = convert::ids::attempt_from_wire("", open.attempt).expect("valid");
                    say.push(self.ack(id, false));
                }
                Up::Chunk(chunk) => {
                    chunks += 1;
                    if chunks > CUT_AFTER {
                        return Status::unavailable("cut");
                    }
                    let (id, record, crc) = convert::log::chunk_from_wire(chunk).expect("valid");
                    assert_eq!(crc, crc32fast::hash(&record.bytes), "checksum");
                    let bytes = u32::try_from(record.bytes.len()).expect("small");
                    let kept = self.take(id, Entry::Data(record));
                    say.push(Down::Credit(v1::UploadCredit { bytes }));
                    say.push(self.ack(id, !kept));
                }
                Up::End(end) => {
                    let id = convert::ids::attempt_from_wire("", end.attempt).expect("valid");
                    let end = convert::log::end_from_wire("end", end.end).expect("valid");
                    let kept = self.take(id, Entry::End(end));
                    say.push(self.ack(id, !kept));
                }
            }
        }
    }

    fn take(&self, attempt: AttemptId, entry: Entry) -> bool {
        let mut kept = self.kept.lock().expect("no panic");
        let kept = kept.entry(attempt).or_default();
        match kept.progress.accept(entry) {
            Accept::Append(entry) => {
                kept.progress.advance(&entry);
                if let Entry::Data(record) = entry {
                    kept.bytes[usize::from(record.stream == Stream::Stderr)].extend_from_slice(&record.bytes);
                }
            }
            Accept::Duplicate => {}
            Accept::Missing(_) => return false,
            Accept::Conflict(conflict) => panic!("{conflict}"),
        }
        true
    }

    fn ack(&self, attempt: AttemptId, rewind: bool) -> Down {
        let mut kept = self.kept.lock().expect("no panic");
        let progress = &kept.entry(attempt).or_default().progress;
        Down::Ack(v1::UploadAck {
            attempt: Some(convert::ids::attempt_to_wire(attempt)),
            durable: Some(convert::log::offsets_to_wire(progress.offsets)),
            end_durable: progress.is_ended(),
            rewind,
            refused: false,
        })
    }
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

fn record(stream: Stream, offset: usize, bytes: &[u8]) -> Entry {
    let bytes = Bytes::copy_from_slice(bytes);
    Entry::Data(Record { stream, offset: offset as u64, time: WallTime(1), bytes })
}

#[tokio::test(flavor = "multi_thread")]
async fn output_of_several_attempts_arrives_exactly_over_a_connection_that_keeps_breaking() {
    let dir = tempfile::tempdir().expect("folder");
    let coordinator = Coordinator::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address =
        Address::parse(&format!("http://{}", listener.local_addr().expect("bound"))).expect("valid");
    let service = WorkerServiceServer::new(coordinator.clone());
    let server = tonic::transport::Server::builder().add_service(service);
    coordinator.tasks.spawn("server", server.serve_with_incoming(TcpListenerStream::new(listener)));
    let spool = Spool::open(dir.path().to_owned()).await.expect("opens");
    let (delivered, mut deliveries) = mpsc::channel(64);
    let upload = Upload {
        spool: spool.clone(),
        node: NodeId(Uuid::nil()),
        incarnation: Incarnation(Uuid::nil()),
        coordinators: vec![address],
        credentials: Credentials::default(),
        sent: Counter::default(),
        delivered: Arc::new(move |attempt| delivered.try_send(attempt).expect("room")),
    };
    let uploading = coordinator.tasks.spawn("upload", upload.run(coordinator.tasks.token().clone()));
    let mut expected = BTreeMap::new();
    for index in 0..3u32 {
        let attempt = AttemptId::from_parts(5, index, 1).expect("valid");
        let log = spool.attempt(attempt).await.expect("opens");
        let (out, err) = (noise(1_500_000, u64::from(index)), noise(300_000, 100 + u64::from(index)));
        for (n, piece) in out.chunks(40_000).enumerate() {
            log.append(vec![record(Stream::Stdout, n * 40_000, piece)]).await.expect("spooled");
        }
        for (n, piece) in err.chunks(10_000).enumerate() {
            log.append(vec![record(Stream::Stderr, n * 10_000, piece)]).await.expect("spooled");
        }
        let end = End::complete(Offsets { stdout: 1_500_000, stderr: 300_000 });
        log.append(vec![Entry::End(end)]).await.expect("spooled");
        expected.insert(attempt, [out, err]);
    }
    for _ in 0..3 {
        let delivered =
            tokio::time::timeout(PATIENCE, deliveries.recv()).await.expect("in time").expect("sent");
        spool.remove(delivered).await.expect("removed");
    }
    assert_eq!(spool.attempts(), []);
    for (attempt, kept) in coordinator.kept.lock().expect("no panic").iter() {
        assert!(kept.bytes == expected[attempt], "{attempt} differs");
    }
    assert!(coordinator.streams.load(Ordering::SeqCst) > 5, "the stream was cut often");
    coordinator.tasks.token().cancel();
    uploading.await.expect("no panic");
}
