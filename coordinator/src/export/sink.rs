//! What takes documents.

use std::sync::{Arc, Mutex, PoisonError};

use dockmgr_core::export::{Answer, Document};
use dockmgr_support::error_chain::Chain;

use super::file_sink::FileSink;
use super::http_sink::HttpSink;
use super::target::{Kind, Target};

/// The far end of one exporter. Clones share it.
#[derive(Debug, Clone)]
pub(super) enum Sink {
    /// A file. Writing blocks, and goes on when its caller is gone: the lock keeps the next one out until it is done.
    File(Arc<Mutex<FileSink>>),
    /// A server, which tells repeats by their ids.
    Http(Arc<HttpSink>),
}

impl Sink {
    /// The far end that `target` names. Opens nothing yet.
    pub(super) fn new(target: &Target) -> Self {
        match &target.kind {
            Kind::File { path, rotate, keep } => {
                Self::File(Arc::new(Mutex::new(FileSink::new(path.clone(), *rotate, *keep))))
            }
            Kind::Server(server) => Self::Http(Arc::new(HttpSink::new(server.clone()))),
        }
    }

    /// Sends documents. What is [`Answer::Taken`] is durable. Dropping the future leaves open what was taken.
    pub(super) async fn send(&self, documents: &[Document]) -> Answer {
        match self {
            Self::File(file) => {
                let (file, documents) = (Arc::clone(file), documents.to_vec());
                let write = move || lock(&file).write(&documents).map_err(|error| Chain(&error).to_string());
                blocking(write).await.map_or_else(Answer::none, |()| Answer::Taken)
            }
            Self::Http(server) => server.send(documents).await,
        }
    }

    /// Begins anew where the cursor stands: documents may come again that were taken already.
    pub(super) fn restart(&self) {
        match self {
            Self::File(file) => lock(file).restart(),
            Self::Http(_) => {}
        }
    }

    /// Whether so much was taken since the last [`Sink::stored`] that the cursor must be stored first.
    pub(super) fn is_due(&self) -> bool {
        match self {
            Self::File(file) => lock(file).is_due(),
            Self::Http(_) => false,
        }
    }

    /// The cursor was stored behind everything that was taken.
    pub(super) fn stored(&self) {
        match self {
            Self::File(file) => lock(file).stored(),
            Self::Http(_) => {}
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => Err("the program is ending".to_owned()),
    }
}

/// The sink begins anew after every error, so a panic elsewhere cannot have broken it.
fn lock(file: &Mutex<FileSink>) -> std::sync::MutexGuard<'_, FileSink> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}
