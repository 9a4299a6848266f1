//! Pulling an image with progress and two deadlines.
//!
//! Owns the reading of the pull stream. The stream answers 200 before anything is known and may carry an error later, or
//! end without the image: only an inspection after it counts.

use std::collections::BTreeMap;
use std::pin::pin;

use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::error::clip;
use super::super::{Call, Error, ImageFailure, ImageInfo, PullProgress, RegistryAuth};
use super::{Docker, classify, deadline, image_calls};

/// Layers followed for progress; images have at most 127.
const LAYERS: usize = 512;

/// Pulls `image` and inspects it.
pub(super) async fn pull(
    docker: &Docker,
    image: &str,
    auth: Option<&RegistryAuth>,
    progress: &watch::Sender<PullProgress>,
) -> Result<ImageInfo, Error> {
    image_calls::check_reference(image)?;
    let client = docker.client().await?;
    let mut stream = pin!(client.create_image(Some(options(image)), None, auth.map(credentials)));
    let (idle, longest) = (docker.limit(deadline::PULL_IDLE), docker.limit(deadline::PULL_TOTAL));
    let total = Instant::now() + longest;
    let mut layers = Layers::default();
    loop {
        let next = match timeout(idle, timeout_at(total, stream.next())).await {
            Ok(Ok(next)) => next,
            Ok(Err(_elapsed)) => {
                return Err(Error::Timeout { call: Call::Pull, after: longest });
            }
            Err(_elapsed) => return Err(Error::Timeout { call: Call::Pull, after: idle }),
        };
        match next {
            Some(Ok(step)) => layers.note(step, progress),
            Some(Err(error)) => return Err(docker.note(refusal(docker, image, &error))),
            None => break,
        }
    }
    image_calls::inspect(docker, image).await?.ok_or_else(|| Error::Image {
        image: image.to_owned(),
        failure: ImageFailure::Broken,
        message: "the pull reported success, but the image is not there".to_owned(),
    })
}

/// Splits the reference as the daemon wants it. Without a tag the daemon would pull every tag of the repository.
fn options(image: &str) -> CreateImageOptions {
    let (name, tag) = split_reference(image);
    CreateImageOptions { from_image: Some(name.to_owned()), tag: Some(tag.to_owned()), ..Default::default() }
}

/// Repository, and digest or tag; `latest` when neither is given.
fn split_reference(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        // A digest says more than the tag beside it.
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let name = name[last..].find(':').map_or(name, |colon| &name[..last + colon]);
        return (name, digest);
    }
    let last = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[last..].find(':') {
        Some(colon) => (&image[..last + colon], &image[last + colon + 1..]),
        None => (image, "latest"),
    }
}

fn credentials(auth: &RegistryAuth) -> DockerCredentials {
    let plain = auth.identity_token.is_none();
    DockerCredentials {
        username: plain.then(|| auth.username.clone()),
        password: plain.then(|| auth.password.clone()),
        identitytoken: auth.identity_token.clone(),
        serveraddress: Some(auth.server_address.clone()),
        ..Default::default()
    }
}

/// Classes a failed pull by its words: daemons answer 404 and 500 for nearly everything.
fn refusal(docker: &Docker, image: &str, error: &bollard::errors::Error) -> Error {
    use bollard::errors::Error as Client;
    let of_image = |status: u16, message: &str| Error::Image {
        image: image.to_owned(),
        failure: classify::image_failure(status, message),
        message: clip(message),
    };
    match error {
        Client::DockerStreamError { error } => of_image(0, error),
        Client::DockerResponseServerError { status_code, message } if !message.contains("client version") => {
            of_image(*status_code, message)
        }
        other => classify::client_error(Call::Pull, docker.socket(), deadline::PULL_IDLE, other),
    }
}

/// Bytes of each layer as far as the stream has told.
#[derive(Debug, Default)]
struct Layers {
    seen: BTreeMap<String, (u64, u64)>,
}

impl Layers {
    /// Takes one step of the stream into account and publishes the sum.
    fn note(&mut self, step: CreateImageInfo, progress: &watch::Sender<PullProgress>) {
        let status = step.status.unwrap_or_default();
        // Extraction repeats the same bytes; only the download moves the bar.
        if let (Some(layer), Some(detail), "Downloading") = (&step.id, step.progress_detail, status.as_str())
            && (self.seen.len() < LAYERS || self.seen.contains_key(layer))
        {
            let bytes = |value: Option<i64>| value.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
            self.seen.insert(layer.clone(), (bytes(detail.current), bytes(detail.total)));
        }
        if let (Some(layer), "Download complete" | "Pull complete") = (&step.id, status.as_str())
            && let Some((current, total)) = self.seen.get_mut(layer)
        {
            *current = *total;
        }
        let sum = |pick: fn(&(u64, u64)) -> u64| self.seen.values().map(pick).fold(0, u64::saturating_add);
        progress.send_replace(PullProgress {
            current: sum(|l| l.0),
            total: sum(|l| l.1),
            status: clip(&status),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::split_reference;

    #[test]
    fn a_reference_splits_as_the_daemon_wants_it() {
        for (image, name, tag) in [
            ("debian", "debian", "latest"),
            ("debian:12", "debian", "12"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a", "latest"),
            ("127.0.0.1:5000/a:b", "127.0.0.1:5000/a", "b"),
            ("a@sha256:00", "a", "sha256:00"),
            ("h:1/a:b@sha256:00", "h:1/a", "sha256:00"),
        ] {
            assert_eq!(split_reference(image), (name, tag), "{image}");
        }
    }
}
