//! One exporter at work.
//!
//! ```text
//!   idle --this coordinator leads--> load the cursor -> [ gather -> deliver -> move, store ] --term over, or an error--> idle
//! ```

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use dockmgr_core::export::{Cursor, Delivery};
use dockmgr_core::ids::Epoch;
use dockmgr_support::backoff::Backoff;
use dockmgr_support::error_chain::Chain;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::agenda::Agenda;
use super::dead_letters::DeadLetters;
use super::gather::{Batch, Gather};
use super::places::Places;
use super::sink::Sink;
use super::{Error, Hold, Target};
use crate::controller::Handle;
use crate::logs::LogStore;
use crate::metrics::export::Meter;
use crate::store::Store;

/// How long new output is gathered when everything older was shipped: one request for many lines.
const GATHER: Duration = Duration::from_millis(300);
/// How often the cursor is stored: few writes, and little that comes again after a crash.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// Wait before the first new try.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest wait between two tries: a server that is back is found within it.
const RETRY_MOST: Duration = Duration::from_secs(15);
/// Longest wait that a server may ask for.
const PAUSE_MOST: Duration = Duration::from_secs(5 * 60);
/// How often a trouble that goes on is told.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How often is measured how far it is behind.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// Jobs that are measured: beyond them it is far behind, whatever the number.
const MEASURED: usize = 1000;

/// What one exporter is made of.
#[derive(Debug)]
pub(crate) struct Shipper {
    name: String,
    sink: Sink,
    letters: DeadLetters,
    places: Places,
    handle: Handle,
    logs: LogStore,
    meter: Meter,
    hold: Hold,
    told: Option<Instant>,
    measured: Option<Instant>,
}

impl Shipper {
    /// An exporter to `target`; dead letters go to `folder`, and `hold` hears what is done.
    pub(crate) fn new(
        target: &Target,
        folder: &Path,
        store: Store,
        handle: Handle,
        logs: LogStore,
        meter: Meter,
        hold: Hold,
    ) -> Self {
        hold.expect(&target.name);
        Self {
            name: target.name.clone(),
            sink: Sink::new(target),
            letters: DeadLetters::new(folder, &target.name),
            places: Places::new(store, &target.name),
            handle,
            logs,
            meter,
            hold,
            told: None,
            measured: None,
        }
    }

    /// Ships while `epoch` leads; returns when it cannot go on.
    async fn ship(&mut self, epoch: Epoch) -> Result<Infallible, Error> {
        self.sink.restart();
        let mut cursor = self.places.load().await?;
        self.hold.tell(&self.name, cursor.done());
        let mut agenda = Agenda::new(self.handle.clone(), self.logs.clone());
        let mut gather = Gather::new(self.logs.clone());
        let mut stored = Instant::now();
        loop {
            agenda.refresh(&mut cursor).await?;
            let mut batch = gather.batch(&mut agenda, &cursor).await?;
            let is_idle = !batch.is_full();
            self.deliver(&mut batch, &gather, &mut agenda, &mut cursor).await?;
            batch.apply(&mut cursor, &mut agenda);
            if cursor.is_changed() && (self.sink.is_due() || stored.elapsed() >= STORE_EVERY) {
                self.places.store(epoch, &cursor.changes()).await?;
                self.sink.stored();
                self.hold.tell(&self.name, cursor.done());
                stored = Instant::now();
            }
            if is_idle {
                self.measure(&gather, &agenda, &cursor).await?;
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Sends a batch until nothing of it is left.
    async fn deliver(
        &mut self,
        batch: &mut Batch,
        gather: &Gather,
        agenda: &mut Agenda,
        cursor: &mut Cursor,
    ) -> Result<(), Error> {
        let oldest = batch.documents.iter().map(|document| document.time).min();
        self.meter.waits_since(oldest);
        let mut delivery = Delivery::new(std::mem::take(&mut batch.documents));
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
        while let Some(sent) = delivery.next() {
            let answer = self.sink.send(sent).await;
            let settled = delivery.answered(answer);
            self.meter.count(&settled);
            if !settled.dead.is_empty() {
                tracing::warn!(exporter = %self.name, documents = settled.dead.len(), why = %settled.dead[0].why,
                    "documents were refused for good: they are in the file of dead letters");
                let (letters, dead) = (self.letters.clone(), settled.dead);
                let put = tokio::task::spawn_blocking(move || letters.put(&dead));
                put.await.unwrap_or(Ok(()))?;
                backoff.reset();
            }
            if settled.delivered > 0 {
                backoff.reset();
            }
            if let Some(why) = settled.pause {
                self.tell(&why);
                let asked = settled.after.unwrap_or_default().min(PAUSE_MOST);
                tokio::time::sleep(backoff.next_delay().max(asked)).await;
                if self.is_time_to_measure() {
                    agenda.refresh(cursor).await?;
                    self.measure(gather, agenda, cursor).await?;
                }
            }
        }
        self.meter.waits_since(None);
        Ok(())
    }

    /// Tells of a trouble that may go on for long.
    fn tell(&mut self, why: &str) {
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::warn!(exporter = %self.name, why, "output is not taken at present: it waits");
            self.told = Some(Instant::now());
        }
    }

    fn is_time_to_measure(&self) -> bool {
        self.measured.is_none_or(|measured| measured.elapsed() >= MEASURE_EVERY)
    }

    /// Shows how far it is behind.
    async fn measure(&mut self, gather: &Gather, agenda: &Agenda, cursor: &Cursor) -> Result<(), Error> {
        if !self.is_time_to_measure() {
            return Ok(());
        }
        let mut behind = 0;
        for (job, look) in agenda.round().into_iter().take(MEASURED) {
            behind += gather.behind(job, &look, cursor).await?;
        }
        self.meter.is_behind(behind);
        self.measured = Some(Instant::now());
        Ok(())
    }
}

/// Ships whenever this coordinator leads, until `stop` is cancelled.
pub(crate) async fn run(mut shipper: Shipper, stop: CancellationToken) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
    loop {
        let led = tokio::select! {
            // The program ends.
            () = stop.cancelled() => return,
            led = shipper.handle.leads() => led,
        };
        let Ok(epoch) = led else { return };
        let over = shipper.handle.over(epoch);
        let began = Instant::now();
        tokio::select! {
            // The program ends.
            () = stop.cancelled() => return,
            // Another coordinator's exporters go on.
            () = over => {}
            Err(error) = shipper.ship(epoch) => {
                tracing::warn!(exporter = %shipper.name, error = %Chain(&error), "an exporter begins anew");
            }
        }
        if began.elapsed() >= RETRY_MOST {
            backoff.reset();
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}
