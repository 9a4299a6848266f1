//! Waiting for conditions instead of times.

use std::time::Duration;

use tokio::time::Instant;

/// Pause between two looks: short against everything that is waited for, long enough to leave the machine to the programs.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until `condition` gives a value; panics with the last status when `limit` is over.
pub async fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let status = match condition().await {
            Ok(value) => return value,
            Err(status) => status,
        };
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}; last seen: {status}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// [`wait_until`] for a plain yes or no.
pub async fn eventually(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    wait_until(what, limit, async || if condition().await { Ok(()) } else { Err("not yet".to_owned()) })
        .await;
}
