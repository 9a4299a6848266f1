//! A server stream that is opened again when it breaks.
//!
//! Owns when to try again and when to give up; where to go on is the owner's, who makes the request.

use std::future::Future;

use dockmgr_support::backoff::Backoff;
use tokio::time::Instant;
use tonic::{Response, Status, Streaming};

use crate::PATIENCE;
use crate::call::backoff;
use crate::connection::{Client, Link};
use crate::error::Error;

/// The parts that every resumable stream has.
#[derive(Debug)]
pub(crate) struct Stitch<T> {
    client: Client,
    stream: Option<Streaming<T>>,
    delays: Backoff,
    /// Since when nothing has come through; `None` while all is well.
    failing_since: Option<Instant>,
}

impl<T> Stitch<T> {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, stream: None, delays: backoff(), failing_since: None }
    }

    /// The next message, opening the stream with `open` where there is none; `None` when the server ended it.
    ///
    /// Cancel safe: dropping the future loses no message.
    pub(crate) async fn next<F>(&mut self, open: impl Fn(Link) -> F) -> Result<Option<T>, Error>
    where
        F: Future<Output = Result<Response<Streaming<T>>, Status>>,
    {
        loop {
            match self.step(&open).await {
                Ok(Some(message)) => {
                    self.client.answered();
                    self.failing_since = None;
                    self.delays.reset();
                    return Ok(Some(message));
                }
                Ok(None) => return Ok(None),
                Err(error) => self.pause(error).await?,
            }
        }
    }

    /// Forgets the stream: the next message comes from a new one.
    pub(crate) fn reopen(&mut self) {
        self.stream = None;
    }

    /// Waits before another try, or gives `error` back when that makes no sense (any more).
    pub(crate) async fn pause(&mut self, error: Error) -> Result<(), Error> {
        self.stream = None;
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if !error.is_retryable() || since.elapsed() > PATIENCE {
            return Err(error);
        }
        tracing::debug!(%error, "stream broke, opening it again");
        self.client.turn(&error);
        tokio::time::sleep(self.delays.next_delay()).await;
        Ok(())
    }

    /// The error for a stream that the server ended although it should go on.
    pub(crate) fn cut_short(&self) -> Error {
        Error::Unreachable {
            server: self.client.server().to_string(),
            cause: "the coordinator ended the stream".to_owned(),
        }
    }

    async fn step<F>(&mut self, open: &impl Fn(Link) -> F) -> Result<Option<T>, Error>
    where
        F: Future<Output = Result<Response<Streaming<T>>, Status>>,
    {
        if self.stream.is_none() {
            let opening = open(self.client.link());
            let opened = tokio::time::timeout(self.client.call_timeout(), opening).await;
            let answer = opened.map_err(|_| self.client.overdue())?;
            self.stream = Some(answer.map_err(|status| self.client.failure(&status))?.into_inner());
        }
        let stream = self.stream.as_mut().expect("opened above");
        stream.message().await.map_err(|status| self.client.failure(&status))
    }
}
