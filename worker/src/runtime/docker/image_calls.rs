//! Looking images up, listing and removing them.
//!
//! Owns the requests and the check that a reference is safe inside a request path.

use bollard::models::{ImageInspect, ImageSummary};
use bollard::query_parameters::RemoveImageOptions;

use super::super::error::clip;
use super::super::{Call, Error, ImageInfo};
use super::raw::{self, Json};
use super::{Docker, deadline};

/// Longest description of an image: its settings and the history of 127 layers.
const LONGEST_IMAGE: usize = 8 * 1024 * 1024;
/// Longest list: ten thousand images take some 10 MiB.
const LONGEST_LIST: usize = 64 * 1024 * 1024;

/// Looks an image up; `None` if it is not here.
pub(super) async fn inspect(docker: &Docker, image: &str) -> Result<Option<ImageInfo>, Error> {
    check_reference(image)?;
    let request = Json {
        call: Call::InspectImage,
        within: deadline::IMAGE_INSPECT,
        method: "GET",
        path: &format!("/images/{}/json", raw::escaped(image)),
        body: b"",
        longest: LONGEST_IMAGE,
    };
    let found: Result<ImageInspect, Error> = request.ask(docker).await;
    match found {
        Ok(found) => Ok(Some(from_inspect(found))),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes an image, never by force; `false` if it was not here.
pub(super) async fn remove(docker: &Docker, image: &str) -> Result<bool, Error> {
    check_reference(image)?;
    let options = RemoveImageOptions { force: false, noprune: false, ..Default::default() };
    let removed = docker
        .call(Call::RemoveImage, deadline::IMAGE_REMOVE, |client| async move {
            client.remove_image(image, Some(options), None).await
        })
        .await;
    match removed {
        Ok(_deleted) => Ok(true),
        Err(Error::NotFound { .. }) => Ok(false),
        Err(Error::Conflict { message, .. }) => Err(Error::Conflict { what: image.to_owned(), message }),
        Err(error) => Err(error),
    }
}

/// Lists the images.
pub(super) async fn list(docker: &Docker) -> Result<Vec<ImageInfo>, Error> {
    let request = Json {
        call: Call::ListImages,
        within: deadline::IMAGE_LIST,
        method: "GET",
        path: "/images/json?all=0&digests=1",
        body: b"",
        longest: LONGEST_LIST,
    };
    let images: Vec<ImageSummary> = request.ask(docker).await?;
    Ok(images.into_iter().map(from_summary).collect())
}

/// Refuses what is not a reference, before it becomes part of a request path.
pub(super) fn check_reference(image: &str) -> Result<(), Error> {
    const LONGEST: usize = 1024;
    let safe = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'@' | b'[' | b']' | b'+')
    };
    let sound = !image.is_empty()
        && image.len() <= LONGEST
        && image.bytes().all(safe)
        && image.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'[')
        && image.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if sound {
        Ok(())
    } else {
        Err(Error::InvalidSpec(format!("'{}' is not an image reference", clip(image))))
    }
}

fn from_inspect(from: ImageInspect) -> ImageInfo {
    let config = from.config.unwrap_or_default();
    ImageInfo {
        id: from.id.unwrap_or_default(),
        repo_digests: from.repo_digests.unwrap_or_default(),
        repo_tags: from.repo_tags.unwrap_or_default(),
        size_bytes: from.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        architecture: from.architecture.unwrap_or_default(),
        containers: None,
    }
}

fn from_summary(from: ImageSummary) -> ImageInfo {
    /// What the daemon writes for "no name".
    const NONE: &str = "<none>";
    let named = |names: Vec<String>| names.into_iter().filter(|name| !name.contains(NONE)).collect();
    ImageInfo {
        id: from.id,
        repo_digests: named(from.repo_digests),
        repo_tags: named(from.repo_tags),
        size_bytes: u64::try_from(from.size).unwrap_or(0),
        containers: u32::try_from(from.containers).ok(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::check_reference;

    #[test]
    fn only_references_reach_a_request_path() {
        for good in ["debian", "debian:stable-slim", "127.0.0.1:5000/a/b:c", "a@sha256:00ff", "sha256:00ff"] {
            assert!(check_reference(good).is_ok(), "{good}");
        }
        for bad in ["", "a?b", "a b", "../x", "a/../b", "/a", "a%2e", "a#b", "a\nb", "\u{e4}"] {
            assert!(check_reference(bad).is_err(), "{bad:?}");
        }
    }
}
