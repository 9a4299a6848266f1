//! The last steps: the result is put together, written down and reported; later every trace goes.

use std::time::Duration;

use dockmgr_core::agent::{Ending, Phase, StartRequest};
use dockmgr_core::cluster::Progress;
use dockmgr_core::log::{End, Entry as LogEntry, Mark};
use dockmgr_core::outcome::{AttemptEnd, EndReason};
use dockmgr_core::time::{BootTime, WallTime};
use dockmgr_support::clock;
use dockmgr_support::error_chain::Chain;

use super::driver::Driver;
use crate::journal::{self, Change};

/// Longest message of a result, in bytes.
const MESSAGE_LIMIT: usize = 4096;

/// What is to be said of the output of a command that ran and whose capture did not come to an end.
fn not_to_its_end() -> Mark {
    Mark::Suspect { reason: "the output was not captured to its end".to_owned() }
}

/// How an attempt ends whose worker was killed between the end of its output and the record of its end.
pub(super) fn interrupted() -> Ending {
    let words = "the worker was killed while it ended the attempt";
    Ending { retryable: true, ..Ending::because(EndReason::InfraUnknown, words) }
}

/// Cuts words to the limit at a character border.
fn clipped(mut words: String) -> String {
    let border = (0..=MESSAGE_LIMIT.min(words.len())).rev().find(|at| words.is_char_boundary(*at));
    words.truncate(border.unwrap_or(0));
    words
}

impl Driver {
    /// Whether an earlier process had decided to end this attempt before its start. The end of its output is written, and
    /// perhaps delivered: what it wrote if it ran now would be lost.
    pub(super) async fn was_being_ended(&self) -> bool {
        let not_started = matches!(self.entry.phase, Phase::Intent | Phase::Created);
        if !not_started || !self.context.spool.attempts().contains(&self.attempt) {
            return false;
        }
        match self.context.spool.attempt(self.attempt).await {
            Ok(spool) => spool.captured().is_ended(),
            // Nothing runs whose output has no place.
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "spool of an earlier process not read");
                false
            }
        }
    }

    /// Writes the result down, durably, then reports it.
    pub(super) async fn end(&mut self, ending: Ending) -> Result<(), journal::Error> {
        let log_end = self.finish_log().await;
        let end = Box::new(self.result(ending, log_end));
        tracing::info!(
            reason = %end.reason, exit_code = end.exit_code, message = end.message,
            container_id = end.container, "attempt ended"
        );
        // An end that could not be written will never be delivered, and must not hold the container for ever.
        self.seen.log_end_durable |= end.log_end.is_none();
        self.journal(Change::Ended(end.clone())).await?;
        self.trace(&end);
        self.context.images.release(self.attempt);
        self.report(Progress::Ended(end));
        // What was seen before the end may have changed, and the removal begins with a look.
        self.seen.container = dockmgr_core::agent::Container::Unknown;
        Ok(())
    }

    fn result(&self, ending: Ending, log_end: Option<End>) -> AttemptEnd {
        let state = self.state.as_ref().filter(|state| state.started_at.is_some());
        let started = self.entry.started.as_ref().map(|at| at.wall);
        let finished = state.and_then(|state| state.finished_at);
        let message = clipped(ending.message);
        AttemptEnd {
            reason: ending.reason,
            exit_code: ending.exit_code,
            message,
            oom_seen: ending.oom_seen,
            started,
            ended: Some(finished.unwrap_or(WallTime(clock::wall_millis()))),
            run: self.run_time(started, finished),
            usage: self.samples.total(),
            log_end,
            container: self.entry.container.clone(),
            image_digest: Some(self.image.digest.clone()).filter(|digest| !digest.is_empty()),
            retryable: ending.retryable,
        }
    }

    /// By our own clock where this process saw the start, else as the daemon's times say. In whole
    /// milliseconds, as journal, wire and store keep it: what is told before a crash is what is told after it.
    fn run_time(&self, started: Option<WallTime>, finished: Option<WallTime>) -> Duration {
        match (self.ran_since, started, finished) {
            (Some(since), Some(_), _) => {
                let ran = BootTime(clock::boot_nanos()).since(since);
                Duration::from_millis(u64::try_from(ran.as_millis()).unwrap_or(u64::MAX))
            }
            (None, Some(WallTime(started)), Some(WallTime(finished))) => {
                Duration::from_millis(u64::try_from(finished.saturating_sub(started)).unwrap_or(0))
            }
            (_, None, _) | (None, _, None) => Duration::ZERO,
        }
    }

    /// The end of the output: as captured, or here and now for an attempt that never ran.
    async fn finish_log(&mut self) -> Option<End> {
        if let Some(end) = self.log_end.clone() {
            return Some(end);
        }
        self.stop_capture().await;
        loop {
            match self.write_log_end().await {
                Ok(end) => return Some(end),
                // What a command wrote must not go because the disk is full for a while.
                Err(error) if error.is_retryable() && self.entry.started.is_some() => {
                    tracing::warn!(error = %Chain(&error), "end of the output not written yet");
                    self.pause().await;
                }
                Err(error) => {
                    tracing::error!(error = %Chain(&error), "end of the output not written");
                    return None;
                }
            }
        }
    }

    async fn write_log_end(&self) -> Result<End, crate::spool::Error> {
        let spool = self.context.spool.attempt(self.attempt).await?;
        let captured = spool.captured();
        // A start that was sent and never confirmed may have run: its output is not claimed to be whole.
        let may_have_run = self.seen.start == StartRequest::Sent && self.seen.failure.is_none();
        let ran = self.entry.started.is_some() || may_have_run;
        let marks = if ran { vec![not_to_its_end()] } else { Vec::new() };
        let end = captured.end.unwrap_or(End { offsets: captured.offsets, marks });
        spool.append(vec![LogEntry::End(end.clone())]).await?;
        Ok(end)
    }

    /// Ends a capture nobody waits for any more.
    pub(super) async fn stop_capture(&mut self) {
        if let Some(capture) = self.capture.take() {
            capture.abort();
            // Aborted or ended: either way it writes no more.
            drop(capture.await);
        }
    }

    /// Removes what is left of the attempt on this machine.
    pub(super) async fn forget(&mut self) -> Result<(), journal::Error> {
        self.stop_capture().await;
        self.context.images.release(self.attempt);
        // The spool goes first: an ended attempt without a spool tells a later process that its output was delivered.
        while let Err(error) = self.context.spool.remove(self.attempt).await {
            tracing::warn!(error = %Chain(&error), "spool not removed");
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        if let Some(guard) = &self.context.guard {
            guard.remove(self.attempt);
        }
        self.journal(Change::Forgotten).await?;
        self.context.health.trouble(self.attempt, None);
        self.context.outbox.remove(self.attempt);
        tracing::debug!("attempt forgotten");
        Ok(())
    }
}
