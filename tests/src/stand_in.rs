//! A worker's session without a worker: registers, sends heartbeats, times their acknowledgement, takes no work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dockmgr_proto::v1::{self, session_request::Message as Up, session_response::Message as Down};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use crate::raw::Api;
use crate::{Cluster, STEP_LIMIT};

/// A session that is held open. Dropping it ends it.
#[derive(Debug)]
pub struct StandIn {
    beats: JoinHandle<()>,
    ears: JoinHandle<()>,
    taken: Arc<Mutex<Taken>>,
}

/// What was measured.
#[derive(Debug, Default)]
struct Taken {
    /// When the heartbeat that is not acknowledged yet was sent, by its number.
    waiting: Vec<(u64, Instant)>,
    acknowledged: Vec<Duration>,
}

impl StandIn {
    /// Opens a session on a connection of its own, as a worker does.
    pub async fn open(cluster: &Cluster, name: &str, interval: Duration) -> Self {
        let mut workers = Api::of(cluster).await.workers();
        let (up, queue) = mpsc::channel(64);
        up.send(say(Up::Hello(hello(name)))).await.expect("a fresh queue");
        let opened = tokio::time::timeout(STEP_LIMIT, workers.session(ReceiverStream::new(queue))).await;
        let mut down = opened.expect("an answer in time").expect("the session opens").into_inner();
        let taken = Arc::new(Mutex::new(Taken::default()));
        let heard = Arc::clone(&taken);
        let ears = tokio::spawn(async move {
            while let Ok(Some(message)) = down.message().await {
                if let Some(Down::HeartbeatAck(ack)) = message.message {
                    lock(&heard).acknowledge(ack.sequence);
                }
            }
        });
        let told = Arc::clone(&taken);
        let beats = tokio::spawn(async move {
            let mut tick = tokio::time::interval(interval);
            for sequence in 1.. {
                tick.tick().await;
                lock(&told).waiting.push((sequence, Instant::now()));
                let beat = v1::Heartbeat { sequence, status: Some(idle()), ..v1::Heartbeat::default() };
                if up.send(say(Up::Heartbeat(beat))).await.is_err() {
                    return;
                }
            }
        });
        Self { beats, ears, taken }
    }

    /// The times from sending a heartbeat to its acknowledgement since the last call; one that is still waited for counts
    /// with the time so far.
    pub fn take(&self) -> Vec<Duration> {
        let mut taken = lock(&self.taken);
        let mut times = std::mem::take(&mut taken.acknowledged);
        times.extend(taken.waiting.iter().map(|(_, sent)| sent.elapsed()));
        times
    }

    /// Whether the coordinator has ended it.
    pub fn has_ended(&self) -> bool {
        self.ears.is_finished()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.beats.abort();
        self.ears.abort();
    }
}

impl Taken {
    fn acknowledge(&mut self, sequence: u64) {
        let Some(at) = self.waiting.iter().position(|(sent, _)| *sent == sequence) else { return };
        let (_, sent) = self.waiting.remove(at);
        self.acknowledged.push(sent.elapsed());
    }
}

fn lock(taken: &Mutex<Taken>) -> std::sync::MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say(message: Up) -> v1::SessionRequest {
    v1::SessionRequest { message: Some(message) }
}

/// Ready for nothing, so that no work comes.
fn idle() -> v1::NodeStatus {
    v1::NodeStatus {
        not_ready_reasons: vec!["stands in for a worker".to_owned()],
        disk_free_bytes: 1 << 40,
        images: 0,
        warnings: Vec::new(),
    }
}

fn hello(name: &str) -> v1::Hello {
    v1::Hello {
        node_id: Uuid::now_v7().to_string(),
        incarnation: Uuid::now_v7().to_string(),
        display_name: name.to_owned(),
        capacity: Some(v1::Resources {
            cpu_millis: 64_000,
            memory_bytes: 64 << 30,
            ..v1::Resources::default()
        }),
        version: "0".to_owned(),
        runtime_version: "none".to_owned(),
        boot_id: "boot".to_owned(),
        status: Some(idle()),
        ..v1::Hello::default()
    }
}
