//! The names of all images of the daemon, for the scheduler's choice of a node.

use std::collections::BTreeSet;
use std::time::Duration;

use dockmgr_support::error_chain::Chain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::runtime::{AnyRuntime, Runtime as _};

/// Between two looks: placing by images is a preference, and a list costs the daemon some work.
const EVERY: Duration = Duration::from_secs(15);
/// Most names told.
const MOST: usize = 1000;

/// References and digests of the images as last listed. Clones share them.
#[derive(Debug, Clone)]
pub struct ImageNames(watch::Receiver<BTreeSet<String>>);

impl ImageNames {
    /// An empty set and the way to fill it.
    pub fn new() -> (watch::Sender<BTreeSet<String>>, Self) {
        let (sender, receiver) = watch::channel(BTreeSet::new());
        (sender, Self(receiver))
    }

    /// The names now.
    pub fn now(&self) -> BTreeSet<String> {
        self.0.borrow().clone()
    }
}

/// Lists until cancelled.
pub async fn list_forever(
    runtime: AnyRuntime,
    names: watch::Sender<BTreeSet<String>>,
    token: CancellationToken,
) {
    loop {
        match runtime.list_images().await {
            Ok(images) => {
                let all = images
                    .into_iter()
                    .flat_map(|image| image.repo_tags.into_iter().chain(image.repo_digests));
                names.send_replace(all.filter(|name| !name.contains("<none>")).take(MOST).collect());
            }
            Err(error) => tracing::debug!(error = %Chain(&error), "images not listed"),
        }
        if token.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}
