//! The journal as drivers see it: append and know that it is written.

use std::path::PathBuf;

use dockmgr_support::error_chain::Chain;
use dockmgr_support::tasks::Tasks;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Error, JournalFile, Record};

/// Appends that may wait; drivers that find it full wait their turn.
const QUEUE: usize = 1024;
/// Most records that share one flush.
const GROUP: usize = 256;

/// A cheap clone for writing into the journal.
#[derive(Debug, Clone)]
pub struct Journal {
    sender: mpsc::Sender<Append>,
}

/// One record and who waits for it.
type Append = (Record, oneshot::Sender<bool>);

impl Journal {
    /// Starts the writer. `broken` is cancelled when a write fails: from then on nothing may be done any more, because
    /// nothing could be remembered.
    pub fn start(file: JournalFile, tasks: &Tasks, broken: CancellationToken) -> Self {
        let (sender, appends) = mpsc::channel(QUEUE);
        tasks.spawn("journal", write(file, appends, broken));
        Self { sender }
    }

    /// Writes one record; when this returns `Ok` it is as durable as its kind asks for.
    ///
    /// Dropping the future leaves open whether it is written.
    pub async fn append(&self, record: Record) -> Result<(), Error> {
        let (done, written) = oneshot::channel();
        self.sender.send((record, done)).await.map_err(|_| Error::Closed)?;
        if written.await == Ok(true) { Ok(()) } else { Err(Error::Closed) }
    }
}

/// Ends when every handle is dropped, so that whoever still lives can still remember.
async fn write(mut file: JournalFile, mut appends: mpsc::Receiver<Append>, broken: CancellationToken) {
    let mut group = Vec::with_capacity(GROUP);
    while appends.recv_many(&mut group, GROUP).await > 0 {
        let (records, waiting): (Vec<_>, Vec<_>) = group.drain(..).unzip();
        let written = tokio::task::spawn_blocking(move || {
            let result = file.append(records);
            (file, result)
        });
        let problem = match written.await {
            Ok((same, Ok(()))) => {
                file = same;
                for done in waiting {
                    // A driver that no longer waits was cancelled and reads the journal when it comes back.
                    done.send(true).ok();
                }
                continue;
            }
            Ok((_, Err(error))) => error,
            Err(error) => {
                let source = std::io::Error::other(error);
                Error::Io { what: "write", path: PathBuf::from("journal"), source }
            }
        };
        tracing::error!(error = %Chain(&problem), "journal write failed: the worker ends");
        broken.cancel();
        return;
    }
}
