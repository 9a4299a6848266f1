//! The task that sends: collects what waits, tries a few times, goes on.

use std::time::Duration;

use dockmgr_core::trace::Span;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{Meter, convert};
use crate::backoff::Backoff;
use crate::error_chain::Chain;

/// Most spans of a request: well under the 4 MiB that servers take by default.
const BATCH: usize = 2048;
/// How long a batch collects, so that a trace looks alive to a person.
const COLLECT: Duration = Duration::from_millis(500);
/// A collector that took longer has more than it can do.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of a batch: over a restart of the collector, not over its end.
const TRIES: u32 = 6;
/// First and longest pause between tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));
/// At the end of the program what is on its way and then what waits may take this long each: a coordinator has 3 s in all.
const LAST: Duration = Duration::from_secs(1);

/// Sends what is recorded to one collector.
pub(super) struct Sender {
    pub(super) client: TraceServiceClient<Channel>,
    pub(super) resource: Resource,
    pub(super) meter: Meter,
    pub(super) stop: CancellationToken,
}

impl Sender {
    /// Runs until it is cancelled, then sends what still waits, once.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Span>) {
        let stop = self.stop.clone();
        let mut silent = false;
        while let Some(Some(first)) = stop.run_until_cancelled(queue.recv()).await {
            let mut batch = vec![first];
            let _stopped = stop.run_until_cancelled(tokio::time::sleep(COLLECT)).await;
            while batch.len() < BATCH
                && let Ok(span) = queue.try_recv()
            {
                batch.push(span);
            }
            let sent = self.send(batch).await;
            // Said once when it begins and once when it is over.
            match (sent, std::mem::replace(&mut silent, sent.is_err())) {
                (Err(()), false) => tracing::warn!("traces are dropped until the collector takes them again"),
                (Ok(()), true) => tracing::info!("the collector takes traces again"),
                (Ok(()), false) | (Err(()), true) => {}
            }
        }
        let mut rest = Vec::new();
        while let Ok(span) = queue.try_recv() {
            rest.push(span);
        }
        if !rest.is_empty() {
            let sent = tokio::time::timeout(LAST, self.once(&rest)).await;
            self.count(&rest, sent.is_ok_and(|sent| sent.is_ok()));
        }
    }

    /// Sends a batch, a few times if that can help.
    async fn send(&mut self, batch: Vec<Span>) -> Result<(), ()> {
        let stop = self.stop.clone();
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        for attempt in 1..=TRIES {
            let sent = tokio::select! {
                // Sent, or refused.
                sent = self.once(&batch) => sent,
                // The program ends, and the collector does not answer.
                () = late(&stop) => Err(Status::cancelled("the program ends")),
            };
            let problem = match sent {
                Ok(()) => {
                    self.count(&batch, true);
                    return Ok(());
                }
                Err(problem) => problem,
            };
            tracing::debug!(error = %Chain(&problem), attempt, spans = batch.len(), "spans not taken");
            let pause = tokio::time::sleep(backoff.next_delay());
            if !helps(&problem) || stop.run_until_cancelled(pause).await.is_none() {
                break;
            }
        }
        self.count(&batch, false);
        Err(())
    }

    async fn once(&mut self, batch: &[Span]) -> Result<(), Status> {
        let request =
            ExportTraceServiceRequest { resource_spans: vec![convert::spans(&self.resource, batch)] };
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.client.export(request)).await;
        sent.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time"))).map(drop)
    }

    fn count(&self, batch: &[Span], sent: bool) {
        let counter = if sent { &self.meter.sent } else { &self.meter.dropped };
        counter.inc_by(batch.len() as u64);
    }
}

/// Returns a while after `stop`.
async fn late(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST).await;
}

/// Whether the same batch may be taken later: what OTLP calls retryable.
fn helps(problem: &Status) -> bool {
    matches!(
        problem.code(),
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            | Code::ResourceExhausted
    )
}
