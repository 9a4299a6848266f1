//! Sends finished spans to an OpenTelemetry collector, or any server of OTLP over gRPC.
//!
//! Owns the queue, the batches and the tries; which spans there are is decided in `core::trace`. Traces are a help and not
//! a promise: whoever records never waits, and what a slow or absent collector cannot take is dropped, counted and told.
//! Used by both programs; off unless `--otlp-endpoint` names a collector.

mod batch;
mod convert;
#[cfg(test)]
mod tests;

use dockmgr_core::trace::Span;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::channel::{self, Address, Credentials};
use crate::tasks::Tasks;
use batch::Sender;

/// Spans that may wait: at 200 bytes each a few MiB, and the ends of several thousand attempts while a collector restarts.
const QUEUE: usize = 16_384;

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("--otlp-endpoint")]
    Endpoint(#[from] channel::Error),
}

/// Parses what `--otlp-endpoint` was given.
///
/// # Errors
/// [`Error::Endpoint`] if it is no address.
pub fn endpoint(text: Option<&str>) -> Result<Option<Address>, Error> {
    Ok(text.map(Address::parse).transpose()?)
}

/// Counts spans by what became of them. Clones count together.
#[derive(Debug, Clone)]
pub struct Meter {
    sent: Counter,
    dropped: Counter,
}

impl Meter {
    /// Counts that are shown.
    pub fn register(registry: &mut Registry) -> Self {
        let spans = Family::<[(&'static str, &'static str); 1], Counter>::default();
        registry.register("cluster_spans", "Spans of traces, by what became of them", spans.clone());
        let outcome = |outcome| spans.get_or_create(&[("outcome", outcome)]).clone();
        Self { sent: outcome("sent"), dropped: outcome("dropped") }
    }
}

/// Where spans go. Clones share the queue; the default records nothing.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Queue>);

#[derive(Debug, Clone)]
struct Queue {
    to: mpsc::Sender<Span>,
    meter: Meter,
}

/// Who sends: resource attributes of OpenTelemetry's semantic conventions.
#[derive(Debug, Clone)]
pub struct Service {
    /// `service.name`.
    pub name: &'static str,
    /// `service.instance.id`.
    pub instance: String,
}

impl Tracer {
    /// Starts to send to a collector, if there is to be one.
    ///
    /// # Errors
    /// [`Error::Endpoint`] if TLS cannot be set up. A collector that does not answer is no error.
    pub fn open(
        address: Option<&Address>,
        service: &Service,
        meter: Meter,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let Some(address) = address else { return Ok(Self::default()) };
        let channel = channel::endpoint(address, &Credentials::default())?.connect_lazy();
        let (to, queue) = mpsc::channel(QUEUE);
        let sender = Sender {
            client: TraceServiceClient::new(channel),
            resource: convert::resource(service),
            meter: meter.clone(),
            stop: tasks.token().clone(),
        };
        tasks.spawn("traces", sender.run(queue));
        Ok(Self(Some(Queue { to, meter })))
    }

    /// Whether spans go anywhere: if not, nobody needs to draw them.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes spans, or drops them where too many wait already.
    pub fn record(&self, spans: impl IntoIterator<Item = Span>) {
        let Some(queue) = &self.0 else { return };
        for span in spans {
            if queue.to.try_send(span).is_err() {
                queue.meter.dropped.inc();
            }
        }
    }
}
