//! One loop that makes what was appended durable: many appends of many attempts by few syncs.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use dockmgr_support::error_chain::Chain;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::store::Shared;
use super::{AttemptLog, Error};

/// How long appends are gathered before a sync: readers do not wait for it, only the worker's acknowledgement does.
const GATHER: Duration = Duration::from_millis(20);
/// Syncs at a time: enough for a disk to merge them, few enough that reads get through.
const PARALLEL: usize = 8;

/// Syncs until `stop` is cancelled, and then what is left.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut last = false;
    while !last {
        tokio::select! {
            // Something was appended.
            () = shared.appended.notified() => {
                tokio::select! {
                    () = tokio::time::sleep(GATHER) => {}
                    // So much was appended that waiting gathers too much.
                    () = shared.hurry.notified() => {}
                    // The program ends: no time to gather.
                    () = stop.cancelled() => last = true,
                }
            }
            // The program ends.
            () = stop.cancelled() => last = true,
        }
        if let Err(error) = sync_all(&shared).await {
            // After a failed sync the kernel may have dropped the bytes and says so only once: nothing can be promised.
            tracing::error!(error = %Chain(&error), "log store failed to sync: it takes no output until a restart");
            shared.fail(Chain(&error).to_string());
            return;
        }
    }
}

async fn sync_all(shared: &Arc<Shared>) -> Result<(), Error> {
    let logs = shared.take_queued();
    let (logs, folders) = super::error::run(move || {
        let mut folders = BTreeSet::new();
        for log in &logs {
            log.new_folders(&mut folders);
        }
        Ok((logs, folders))
    })
    .await?;
    // Names first, once a folder: then a log is durable as soon as its bytes are.
    super::error::run(move || {
        for folder in folders {
            let synced = File::open(&folder).and_then(|open| open.sync_all());
            match synced {
                // The job was deleted meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                synced => synced.map_err(Error::io("sync", &folder))?,
            }
        }
        Ok(())
    })
    .await?;
    let mut running: JoinSet<Result<(), Error>> = JoinSet::new();
    for log in logs {
        if running.len() >= PARALLEL {
            settle(running.join_next().await)?;
        }
        let shared = Arc::clone(shared);
        running.spawn_blocking(move || sync_one(&log, &shared));
    }
    while let Some(done) = running.join_next().await {
        settle(Some(done))?;
    }
    Ok(())
}

fn sync_one(log: &AttemptLog, shared: &Shared) -> Result<(), Error> {
    match log.sync(shared) {
        // The job was deleted meanwhile.
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        synced => synced,
    }
}

fn settle(done: Option<Result<Result<(), Error>, tokio::task::JoinError>>) -> Result<(), Error> {
    match done {
        Some(Ok(synced)) => synced,
        Some(Err(_)) => Err(Error::ShuttingDown),
        None => Ok(()),
    }
}
