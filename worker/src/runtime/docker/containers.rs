//! The ordinary container calls: create, wait, signal, remove, list.
//!
//! Owns what counts as success. Each is one request; nothing is retried here.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::pin;

use bollard::query_parameters::{KillContainerOptions, RemoveContainerOptions, WaitContainerOptions};
use dockmgr_core::time::WallTime;
use futures_util::StreamExt;
use serde::Deserialize;

use super::super::error::clip;
use super::super::state::is_safe_name;
use super::super::{Call, ContainerId, ContainerSpec, ContainerStatus, ContainerSummary, Error};
use super::raw::{self, Json};
use super::shim::Shim;
use super::{Docker, classify, create_body, deadline, inspect};

/// Longest answer of a call about one object.
const SMALL: usize = 1024 * 1024;
/// Longest list: ten thousand containers take some 20 MiB.
const LARGE: usize = 64 * 1024 * 1024;

/// What the daemon answers to a create.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

/// Creates a container.
pub(super) async fn create(docker: &Docker, spec: &ContainerSpec) -> Result<ContainerId, Error> {
    if !is_safe_name(&spec.name) {
        return Err(Error::InvalidSpec(format!("'{}' is not a container name", clip(&spec.name))));
    }
    let body = create_body::create_body(spec)?;
    let body = serde_json::to_vec(&body).map_err(|error| Error::InvalidSpec(error.to_string()))?;
    let request = Json {
        call: Call::Create,
        within: deadline::CREATE,
        method: "POST",
        path: &format!("/containers/create?name={}", spec.name),
        body: &body,
        longest: SMALL,
    };
    let answer: Created = request.ask(docker).await.map_err(|error| name_subject(error, spec))?;
    ContainerId::parse(&answer.id)
        .ok_or_else(|| Error::Protocol { call: Call::Create, message: "no container id".to_owned() })
}

/// Fills in what a refused create was about.
fn name_subject(error: Error, spec: &ContainerSpec) -> Error {
    match error {
        Error::Conflict { message, .. } => Error::Conflict { what: spec.name.clone(), message },
        Error::Image { failure, message, .. } => Error::Image { image: spec.image.clone(), failure, message },
        other => other,
    }
}

/// Resolves when the container is probably not running any more, or was started again since the run that began at `run`.
pub(super) async fn wait_hint(docker: &Docker, id: &ContainerId, run: Option<WallTime>) -> Result<(), Error> {
    let Some(first) = inspect::inspect(docker, id.as_str()).await? else { return Ok(()) };
    if run.is_some() && first.started_at != run {
        return Ok(());
    }
    let client = docker.client().await?;
    let options = WaitContainerOptions { condition: "not-running".to_owned() };
    let mut waiting = pin!(client.wait_container(id.as_str(), Some(options)));
    let mut silent = false;
    let mut shim = first.pid.and_then(Shim::of);
    let poll = docker.limit(deadline::WAIT_POLL);
    loop {
        let answered = async {
            if silent {
                pending::<()>().await;
            }
            tokio::select! {
                // Asked first: only while the container is known to live the order of the two is certain.
                biased;
                // The process that holds it has ended.
                orphaned = died_first(shim.as_ref()) => {
                    shim = None;
                    if orphaned {
                        docker.orphaned(&first.id);
                    }
                    waiting.next().await
                }
                // The daemon has answered.
                answer = waiting.next() => answer,
            }
        };
        // Either the daemon says that something happened, or it is time to look anyway: waits are known to be forgotten.
        let answer = tokio::time::timeout(poll, answered).await;
        if let Ok(Some(Err(error))) = &answer {
            let error = classify::client_error(Call::Wait, docker.socket(), poll, error);
            if error.is_daemon_trouble() {
                // A daemon that went away must be noticed even if it is back already. Its other answers say nothing.
                return Err(docker.note(error));
            }
        }
        silent |= answer.is_ok();
        match inspect::inspect(docker, id.as_str()).await? {
            Some(state) if state.status.may_run() && state.started_at == first.started_at => {}
            Some(_) | None => return Ok(()),
        }
    }
}

async fn died_first(shim: Option<&Shim>) -> bool {
    match shim {
        Some(shim) => shim.died_first().await,
        None => pending().await,
    }
}

/// Sends a signal; `false` if the container was not running or is gone.
pub(super) async fn signal(docker: &Docker, id: &ContainerId, signal: &str) -> Result<bool, Error> {
    let options = KillContainerOptions { signal: signal.to_owned() };
    let sent = docker
        .call(Call::Signal, deadline::SIGNAL, |client| async move {
            client.kill_container(id.as_str(), Some(options)).await
        })
        .await;
    match sent {
        Ok(()) => Ok(true),
        Err(Error::NotFound { .. } | Error::Conflict { .. }) => Ok(false),
        // Docker before 22 answers 500 for a container that ended between its check and the kill.
        Err(Error::Daemon { message, .. }) if message.contains("is not running") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a container and its anonymous volumes.
pub(super) async fn remove(docker: &Docker, id: &ContainerId, force: bool) -> Result<(), Error> {
    let options = RemoveContainerOptions { v: true, force, link: false };
    let removed = docker
        .call(Call::Remove, deadline::REMOVE, |client| async move {
            client.remove_container(id.as_str(), Some(options)).await
        })
        .await;
    match removed {
        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
        Err(Error::Conflict { message, .. }) if message.contains("already in progress") => Ok(()),
        Err(Error::Conflict { message, .. }) => Err(Error::Conflict { what: id.to_string(), message }),
        Err(error) => Err(error),
    }
}

/// Lists containers in every state by labels.
pub(super) async fn list(
    docker: &Docker,
    labels: &BTreeMap<String, String>,
) -> Result<Vec<ContainerSummary>, Error> {
    let filters = serde_json::to_string(&create_body::label_filter(labels))
        .map_err(|error| Error::InvalidSpec(error.to_string()))?;
    let request = Json {
        call: Call::List,
        within: deadline::LIST,
        method: "GET",
        path: &format!("/containers/json?all=1&filters={}", raw::escaped(&filters)),
        body: b"",
        longest: LARGE,
    };
    let found: Vec<Listed> = request.ask(docker).await?;
    Ok(found.into_iter().filter_map(summary).collect())
}

/// One line of a list; every field may be missing or null.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: Option<String>,
    names: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    state: Option<String>,
    #[serde(rename = "ImageID")]
    image_id: Option<String>,
}

/// Reads one line of a list; `None` for one without a usable id.
fn summary(from: Listed) -> Option<ContainerSummary> {
    let names = from.names.unwrap_or_default();
    Some(ContainerSummary {
        id: ContainerId::parse(from.id.as_deref()?)?,
        name: names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default(),
        labels: from.labels.unwrap_or_default(),
        status: ContainerStatus::parse(&from.state.unwrap_or_default()),
        image_id: from.image_id.unwrap_or_default(),
    })
}
