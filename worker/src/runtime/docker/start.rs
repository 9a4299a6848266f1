//! The start request, sent exactly once.
//!
//! Owns nothing but that promise: the daemon runs an exited container again when it is started again, so a repeated
//! request would run a job twice. See the guarantee "one container start per attempt".

use super::super::{Call, ContainerId, Error, Started};
use super::raw::{self, Kind};
use super::{Docker, deadline};

/// Starts a container. An error that [`Error::is_ambiguous`] may have started it.
pub(super) async fn start(docker: &Docker, id: &ContainerId) -> Result<Started, Error> {
    let path = format!("/containers/{id}/start");
    let request = async {
        let answer = raw::exchange(docker, Call::Start, "POST", &path, Kind::Plain).await?;
        match answer.status {
            200..=299 => Ok(Started::Now),
            304 => Ok(Started::Already),
            _ => Err(answer.into_refusal(docker, Call::Start).await),
        }
    };
    docker.within(Call::Start, deadline::START, request).await
}
