//! The sweep: containers and spool folders a crash left behind, that no attempt knows.
//!
//! Owns the loop and its caution. It touches only containers with our cluster's and our own node's label, only after two
//! looks that agree, and never one an attempt drives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockmgr_core::agent::Label;
use dockmgr_core::ids::AttemptId;
use dockmgr_support::error_chain::Chain;
use tokio_util::sync::CancellationToken;

use crate::attempt::Attempts;
use crate::runtime::{ContainerId, Error, Runtime as _};

/// Between two sweeps: nothing of ours may stay longer than this after its record is gone.
const EVERY: Duration = Duration::from_secs(60);
/// Between the two looks at one container: lists of the daemon can be a moment old.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// Sweeps at once and then every minute, until cancelled.
pub async fn sweep_forever(attempts: Attempts, token: CancellationToken) {
    loop {
        match token.run_until_cancelled(sweep(&attempts)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(error = %Chain(&error), "sweep put off"),
            None => return,
        }
        if token.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// Looks once, with two looks at whatever seems to be nobody's.
pub(crate) async fn sweep(attempts: &Attempts) -> Result<(), Error> {
    sweep_spool(attempts).await;
    let daemon = attempts.context().runtime.daemon_run().await?;
    let first = strays(attempts).await?;
    if first.is_empty() {
        return Ok(());
    }
    tokio::time::sleep(SECOND_LOOK).await;
    for id in first.intersection(&strays(attempts).await?) {
        if daemon.is_another_daemon(&attempts.context().runtime.daemon_run().await?) {
            // What was seen twice was seen on two daemons.
            return Ok(());
        }
        if is_stray(attempts, id).await? {
            tracing::warn!(container_id = %id, "removing a container that no attempt knows");
            attempts.context().runtime.remove(id, true).await?;
            attempts.context().metrics.stray_removed();
        }
    }
    Ok(())
}

/// Containers of this node that no attempt knows, by the daemon's list.
async fn strays(attempts: &Attempts) -> Result<BTreeSet<ContainerId>, Error> {
    let Some(identity) = attempts.context().identity.get() else { return Ok(BTreeSet::new()) };
    let listed = attempts.context().runtime.list(&identity.labels()).await?;
    // Read after the list: an attempt that came in meanwhile is known.
    let known = attempts.known();
    let stray = |labels: &BTreeMap<String, String>| {
        identity.attempt_of(labels).is_none_or(|attempt| !known.contains(&attempt))
    };
    Ok(listed.into_iter().filter(|one| stray(&one.labels)).map(|one| one.id).collect())
}

/// The last look before a removal: the container itself, not a list, carries our labels and nobody knows it.
async fn is_stray(attempts: &Attempts, id: &ContainerId) -> Result<bool, Error> {
    let Some(identity) = attempts.context().identity.get() else { return Ok(false) };
    let Some(state) = attempts.context().runtime.inspect(id.as_str()).await? else { return Ok(false) };
    let has = |label: Label, value: String| state.labels.get(label.key()) == Some(&value);
    let ours =
        has(Label::Cluster, identity.cluster.to_string()) && has(Label::Node, identity.node.to_string());
    let driven =
        identity.attempt_of(&state.labels).is_some_and(|attempt| attempts.known().contains(&attempt));
    Ok(ours && !driven && state.id == *id)
}

/// Spool folders of attempts nobody knows: their end was delivered, or they were forgotten.
async fn sweep_spool(attempts: &Attempts) {
    let spool = &attempts.context().spool;
    let spooled: Vec<AttemptId> = spool.attempts();
    let known = attempts.known();
    for attempt in spooled.into_iter().filter(|attempt| !known.contains(attempt)) {
        if let Err(error) = spool.remove(attempt).await {
            tracing::warn!(%attempt, error = %Chain(&error), "spool not removed");
        }
    }
}
