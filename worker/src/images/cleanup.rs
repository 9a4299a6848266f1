//! Removing images nobody has needed for long, or that take too much room.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockmgr_core::time::BootTime;
use dockmgr_support::clock;
use dockmgr_support::error_chain::Chain;
use tokio_util::sync::CancellationToken;

use super::Images;
use super::index::Pulled;
use crate::runtime::{Error, Runtime as _};

/// How often is looked for images to remove: far finer than the hours they are kept.
const EVERY: Duration = Duration::from_secs(60);

/// How long and how much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// An image goes when no attempt has needed it for this long.
    pub keep_for: Duration,
    /// The longest unused go when ours together take more bytes than this.
    pub budget: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { keep_for: Duration::from_secs(24 * 3600), budget: 20 << 30 }
    }
}

/// Cleans up until cancelled.
pub async fn clean_up_forever(images: Images, limits: Limits, token: CancellationToken) {
    let mut last = BootTime(clock::boot_nanos());
    while token.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        let now = BootTime(clock::boot_nanos());
        images.index.age(now.since(last), &images.in_use());
        last = now;
        if let Err(error) = images.clean_up(limits).await {
            tracing::debug!(error = %Chain(&error), "image clean-up put off");
        }
    }
}

impl Images {
    /// Removes what the limits say.
    pub(super) async fn clean_up(&self, limits: Limits) -> Result<(), Error> {
        let ours = self.index.all();
        if ours.is_empty() {
            return Ok(());
        }
        let listed = self.runtime.list_images().await?;
        let sizes: BTreeMap<String, u64> =
            listed.into_iter().map(|image| (image.id, image.size_bytes)).collect();
        for reference in surplus(&ours, &sizes, &self.in_use(), limits) {
            match self.runtime.remove_image(&reference).await {
                Ok(_) => {
                    tracing::info!(image = reference, "unused image removed");
                    self.index.removed(&reference);
                    let size = ours.get(&reference).and_then(|image| sizes.get(&image.id));
                    self.metrics.image_removed(size.copied().unwrap_or(0));
                }
                // Somebody's container uses it, or another name holds it: it stays, and is looked at again.
                Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What goes, longest unused first: everything idle for too long, then more while the rest is over the budget.
///
/// Pure. `sizes` is by id; an image that is not there any more has no size and goes from the index the same way.
fn surplus(
    ours: &BTreeMap<String, Pulled>,
    sizes: &BTreeMap<String, u64>,
    in_use: &BTreeSet<String>,
    limits: Limits,
) -> Vec<String> {
    let ids: BTreeSet<&str> = ours.values().map(|image| image.id.as_str()).collect();
    let mut total: u64 = ids.iter().filter_map(|id| sizes.get(*id)).sum();
    let removable = |(reference, image): &(&String, &Pulled)| {
        !image.keep && !image.id.is_empty() && !in_use.contains(*reference) && !in_use.contains(&image.id)
    };
    let mut candidates: Vec<_> = ours.iter().filter(removable).collect();
    candidates.sort_by_key(|(_, image)| std::cmp::Reverse(image.idle_seconds));
    let mut gone = Vec::new();
    for (reference, image) in candidates {
        if image.idle_seconds < limits.keep_for.as_secs() && total <= limits.budget {
            break;
        }
        total = total.saturating_sub(sizes.get(&image.id).copied().unwrap_or(0));
        gone.push(reference.clone());
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> BTreeMap<String, Pulled> {
        let image = |id: &str, idle_seconds, keep| Pulled { id: id.into(), idle_seconds, keep };
        BTreeMap::from([
            ("old:1".into(), image("a", 100, false)),
            ("middle:1".into(), image("b", 50, false)),
            ("new:1".into(), image("c", 0, false)),
            ("kept:1".into(), image("d", 999, true)),
        ])
    }

    fn sizes() -> BTreeMap<String, u64> {
        ["a", "b", "c", "d"].into_iter().map(|id| (id.to_owned(), 10)).collect()
    }

    fn gone(in_use: &[&str], keep_for: u64, budget: u64) -> Vec<String> {
        let in_use = in_use.iter().map(|id| (*id).to_owned()).collect();
        surplus(&ours(), &sizes(), &in_use, Limits { keep_for: Duration::from_secs(keep_for), budget })
    }

    #[test]
    fn the_longest_unused_go_first_and_only_as_many_as_needed() {
        assert_eq!(gone(&[], 1000, 40), Vec::<String>::new());
        assert_eq!(gone(&[], 100, 40), ["old:1"], "too long unused");
        assert_eq!(gone(&[], 1000, 25), ["old:1", "middle:1"], "over the budget");
    }

    #[test]
    fn what_is_used_or_kept_stays_whatever_the_budget() {
        assert_eq!(gone(&["a", "b", "new:1"], 0, 0), Vec::<String>::new());
        assert!(!gone(&[], 0, 0).contains(&"kept:1".to_owned()));
    }
}
