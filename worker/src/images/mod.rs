//! The image cache of a worker: having an image when an attempt needs it, and not keeping it for ever.
//!
//! Owns when to pull, one pull an image for many waiters, what was pulled by us (on disk, over restarts) and which of it
//! goes when unused. Called by attempt drivers and by the clean-up loop. How a pull works is the runtime's business.
//!
//! Invariant: only names that did not exist when dockmgr first pulled them are ever removed, never by force, never while
//! an attempt of this worker needs them.

mod cleanup;
mod index;
mod names;
mod pulls;

pub use cleanup::{Limits, clean_up_forever};
pub use index::Index;
pub use names::{ImageNames, list_forever};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockmgr_core::agent::Ending;
use dockmgr_core::ids::AttemptId;
use dockmgr_core::outcome::EndReason;
use dockmgr_core::spec::PullPolicy;
use dockmgr_support::tasks::Tasks;

use crate::journal::ImagePin;
use crate::metrics::Metrics;
use crate::runtime::docker::auth::Credentials;
use crate::runtime::{AnyRuntime, Error as RuntimeError, ImageInfo, PullProgress, Runtime as _};

use pulls::Pulls;

/// Why an image is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The attempt ends with this.
    #[error("{}", .0.message)]
    Failed(Ending),
    /// The daemon did not answer: ask again.
    #[error("look the image up")]
    Daemon(#[source] RuntimeError),
}

/// What image an attempt needs.
#[derive(Debug, Clone)]
pub struct Need {
    /// The attempt.
    pub attempt: AttemptId,
    /// The reference of the spec.
    pub reference: String,
    /// Digest or id that an earlier attempt of the job ran.
    pub pinned: Option<String>,
    /// When to pull.
    pub policy: PullPolicy,
    /// It is exempt from clean-up.
    pub keep: bool,
}

/// The image cache. Clones share it.
#[derive(Debug, Clone)]
pub struct Images {
    runtime: AnyRuntime,
    index: Arc<Index>,
    pulls: Pulls,
    metrics: Metrics,
    /// What each attempt holds: its reference, and the id once known.
    held: Arc<Mutex<BTreeMap<AttemptId, BTreeSet<String>>>>,
}

impl Images {
    /// A cache over `runtime` that remembers in `index`.
    pub fn new(
        runtime: AnyRuntime,
        credentials: Credentials,
        index: Index,
        tasks: Tasks,
        metrics: Metrics,
    ) -> Self {
        let index = Arc::new(index);
        let pulls = Pulls::new(runtime.clone(), credentials, Arc::clone(&index), tasks, metrics.clone());
        Self { runtime, index, pulls, metrics, held: Arc::default() }
    }

    /// Makes sure that the image is there and says which one it is exactly; `again` pulls even if it seems to be there.
    ///
    /// `progress` is called with news of a pull. Dropping the future leaves a pull running for its other waiters.
    pub async fn ensure(
        &self,
        need: &Need,
        again: bool,
        progress: impl FnMut(PullProgress),
    ) -> Result<ImagePin, Error> {
        self.hold(need.attempt, &need.reference);
        let wanted = wanted_reference(need);
        let found = self.look_up(need, &wanted).await?;
        let pull = match (need.policy, &found) {
            (PullPolicy::Never, Some(_)) => false,
            (PullPolicy::Never, None) => return Err(Error::Failed(absent(need))),
            (_, None) => true,
            // A pinned image cannot have moved.
            (PullPolicy::Always, Some(_)) => again || need.pinned.is_none(),
            (PullPolicy::Missing, Some(_)) => again,
        };
        let image = match found {
            Some(image) if !pull => image,
            Some(_) | None => self.pulls.pull(&wanted, progress).await?,
        };
        let pin = ImagePin { digest: digest_of(&image, &need.reference), id: image.id };
        self.hold(need.attempt, &pin.id);
        self.index.used(&wanted, need.keep);
        Ok(pin)
    }

    /// Tells that an attempt needs this image, by reference or id.
    pub fn hold(&self, attempt: AttemptId, image: &str) {
        self.held().entry(attempt).or_default().insert(image.to_owned());
    }

    /// Tells that an attempt needs its image no more.
    pub fn release(&self, attempt: AttemptId) {
        self.held().remove(&attempt);
    }

    /// References and ids that attempts need now.
    fn in_use(&self) -> BTreeSet<String> {
        self.held().values().flatten().cloned().collect()
    }

    async fn look_up(&self, need: &Need, wanted: &str) -> Result<Option<ImageInfo>, Error> {
        // An image that was never in a registry is pinned by its id.
        for name in need.pinned.iter().map(String::as_str).chain([wanted]) {
            if let Some(image) = self.runtime.inspect_image(name).await.map_err(Error::Daemon)? {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<AttemptId, BTreeSet<String>>> {
        // The map is whole after every statement, so a panic elsewhere cannot have broken it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reference to look for and to pull: by digest where one is pinned.
fn wanted_reference(need: &Need) -> String {
    match &need.pinned {
        Some(pinned) if !need.reference.contains('@') => {
            format!("{}@{pinned}", repository(&need.reference))
        }
        Some(_) | None => need.reference.clone(),
    }
}

/// A reference without tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rfind(':') {
        // A colon before the last slash belongs to the registry's port.
        Some(colon) if !name[colon..].contains('/') => &name[..colon],
        Some(_) | None => name,
    }
}

/// A repository without what Docker leaves out for its default registry.
fn familiar(repository: &str) -> &str {
    let name = repository.strip_prefix("index.").unwrap_or(repository);
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

/// The digest under which the reference's own registry knows the image; its id if that does not. The digest of another
/// repository, to which somebody pushed a local image, would not be found under this name.
fn digest_of(image: &ImageInfo, reference: &str) -> String {
    let wanted = familiar(repository(reference));
    let mut digests = image.repo_digests.iter().filter_map(|entry| entry.split_once('@'));
    let same = digests.find(|(name, _)| familiar(name) == wanted);
    same.map_or_else(|| image.id.clone(), |(_, digest)| digest.to_owned())
}

fn absent(need: &Need) -> Ending {
    Ending::because(
        EndReason::ImageFailed,
        format!("not_found: image {} is not on this node and the pull policy is 'never'", need.reference),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_reference_without_tag_and_digest() {
        for (reference, expected) in [
            ("debian", "debian"),
            ("debian:stable-slim", "debian"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b"),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b"),
            ("a/b:1@sha256:00", "a/b"),
        ] {
            assert_eq!(repository(reference), expected);
        }
    }

    #[test]
    fn an_image_is_pinned_by_its_own_registrys_digest_or_by_its_id() {
        let image = |repo_digests: &[&str]| ImageInfo {
            id: "sha256:id".to_owned(),
            repo_digests: repo_digests.iter().map(|entry| (*entry).to_owned()).collect(),
            ..ImageInfo::default()
        };
        for (reference, repo_digests, expected) in [
            ("dockmgr/base:local", &["127.0.0.1:5000/dockmgr/base@sha256:other"][..], "sha256:id"),
            ("dockmgr/base:local", &[], "sha256:id"),
            ("docker.io/library/debian:12", &["debian@sha256:aa"], "sha256:aa"),
            ("a/b", &["c/d@sha256:cc", "a/b@sha256:bb"], "sha256:bb"),
        ] {
            assert_eq!(digest_of(&image(repo_digests), reference), expected, "{reference} {repo_digests:?}");
        }
    }
}
