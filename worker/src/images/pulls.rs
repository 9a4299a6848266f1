//! One pull an image, many waiters.
//!
//! A pull is a task of its own: a waiter that goes away takes nothing from the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockmgr_core::agent::Ending;
use dockmgr_core::outcome::EndReason;
use dockmgr_support::backoff::Backoff;
use dockmgr_support::error_chain::Chain;
use dockmgr_support::tasks::Tasks;
use tokio::sync::{Semaphore, watch};

use super::{Error, Index};
use crate::metrics::Metrics;
use crate::runtime::docker::auth::{self, Credentials};
use crate::runtime::{
    AnyRuntime, Error as RuntimeError, ImageFailure, ImageInfo, PullProgress, RegistryAuth, Runtime as _,
};

/// How often a pull is tried: a registry that refuses three times in a row is left to the retry of the task.
const TRIES: u32 = 3;
/// First pause between tries; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Pulls at the same time: the daemon downloads three layers at a time, more pulls only take disk and memory.
const AT_ONCE: usize = 4;

/// All pulls under way. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Pulls {
    runtime: AnyRuntime,
    credentials: Credentials,
    index: Arc<Index>,
    tasks: Tasks,
    metrics: Metrics,
    running: Arc<Mutex<BTreeMap<String, Waiter>>>,
    slots: Arc<Semaphore>,
}

/// What a waiter looks at.
#[derive(Debug, Clone)]
struct Waiter {
    progress: watch::Receiver<PullProgress>,
    done: watch::Receiver<Option<Result<ImageInfo, Ending>>>,
}

impl Pulls {
    pub(super) fn new(
        runtime: AnyRuntime,
        credentials: Credentials,
        index: Arc<Index>,
        tasks: Tasks,
        metrics: Metrics,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Self { runtime, credentials, index, tasks, metrics, running: Arc::default(), slots }
    }

    /// Pulls an image or joins a pull of it that is under way.
    pub(super) async fn pull(
        &self,
        reference: &str,
        mut tell: impl FnMut(PullProgress),
    ) -> Result<ImageInfo, Error> {
        let Waiter { mut progress, mut done } = self.join(reference);
        tell(progress.borrow_and_update().clone());
        loop {
            tokio::select! {
                // The pull has ended, one way or the other.
                ended = done.wait_for(Option::is_some) => {
                    return match ended.as_deref() {
                        Ok(Some(Ok(image))) => Ok(image.clone()),
                        Ok(Some(Err(ending))) => Err(Error::Failed(ending.clone())),
                        Ok(None) | Err(_) => Err(Error::Failed(interrupted())),
                    };
                }
                // Bytes have arrived.
                Ok(()) = progress.changed() => tell(progress.borrow_and_update().clone()),
            }
        }
    }

    fn join(&self, reference: &str) -> Waiter {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiter) = running.get(reference) {
            return waiter.clone();
        }
        let (progress, progress_seen) = watch::channel(PullProgress::default());
        let (done, done_seen) = watch::channel(None);
        let waiter = Waiter { progress: progress_seen, done: done_seen };
        running.insert(reference.to_owned(), waiter.clone());
        let (this, reference) = (self.clone(), reference.to_owned());
        self.tasks.spawn("image pull", async move {
            let token = this.tasks.token().clone();
            let began = tokio::time::Instant::now();
            let result = token.run_until_cancelled(this.try_pull(&reference, &progress)).await;
            if let Some(result) = &result {
                this.metrics.pulled(result.is_ok(), began.elapsed());
            }
            // Nobody joins any more before the result is told, so a later need pulls afresh.
            this.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&reference);
            done.send_replace(Some(result.unwrap_or_else(|| Err(interrupted()))));
        });
        waiter
    }

    async fn try_pull(
        &self,
        reference: &str,
        progress: &watch::Sender<PullProgress>,
    ) -> Result<ImageInfo, Ending> {
        let _slot = self.slots.acquire().await.map_err(|_| interrupted())?;
        let auth = self.credentials.for_image(reference).await.map_err(|error| credentials_failed(&error))?;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut tried = 0;
        loop {
            tried += 1;
            let error = match self.pull_once(reference, auth.as_ref(), progress).await {
                Ok(image) => return Ok(image),
                Err(error) => error,
            };
            if tried == TRIES || !error.is_retryable() {
                tracing::warn!(image = reference, error = %Chain(&error), tried, "image pull failed");
                return Err(pull_failed(&error));
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    async fn pull_once(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
        progress: &watch::Sender<PullProgress>,
    ) -> Result<ImageInfo, RuntimeError> {
        let before = self.runtime.inspect_image(reference).await?;
        // Written before the pull, so that a crash in the middle does not make our image look like a foreign one.
        self.index.before_pull(reference, before.as_ref().map(|image| image.id.as_str()));
        let image = self.runtime.pull(reference, auth, progress).await?;
        self.index.pulled(reference, &image.id);
        tracing::info!(image = reference, image_id = image.id, "image pulled");
        Ok(image)
    }
}

fn interrupted() -> Ending {
    Ending {
        retryable: true,
        ..Ending::because(EndReason::ImageFailed, "broken: the worker ended during the pull")
    }
}

fn credentials_failed(error: &auth::Error) -> Ending {
    Ending::because(EndReason::ImageFailed, format!("auth: {}", Chain(error)))
}

/// Another attempt may find the registry, the daemon or another node's disk in a better state.
fn pull_failed(error: &RuntimeError) -> Ending {
    let full =
        matches!(error, RuntimeError::Image { failure: ImageFailure::Disk, .. } | RuntimeError::Disk { .. });
    let retryable = error.is_retryable() || full;
    Ending { retryable, ..Ending::because(EndReason::ImageFailed, Chain(error).to_string()) }
}
