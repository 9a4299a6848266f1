//! The ordinary container calls: create, wait, signal, remove, list.
//!
//! Owns what counts as success. Each is one request; nothing is retried here.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::pin;

use bollard::models::ContainerSummary as ApiSummary;
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, ListContainersOptions, RemoveContainerOptions,
    WaitContainerOptions,
};
use futures_util::StreamExt;

use super::super::error::clip;
use super::super::state::is_safe_name;
use super::super::{Call, ContainerId, ContainerSpec, ContainerStatus, ContainerSummary, Error};
use super::{Docker, create_body, deadline, inspect};

/// Creates a container.
pub(super) async fn create(docker: &Docker, spec: &ContainerSpec) -> Result<ContainerId, Error> {
    if !is_safe_name(&spec.name) {
        return Err(Error::InvalidSpec(format!("'{}' is not a container name", clip(&spec.name))));
    }
    let body = create_body::create_body(spec)?;
    let options = CreateContainerOptions { name: Some(spec.name.clone()), ..Default::default() };
    let answer = docker
        .call(Call::Create, deadline::CREATE, |client| async move {
            client.create_container(Some(options), body).await
        })
        .await
        .map_err(|error| name_subject(error, spec))?;
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

/// Resolves when the container is probably not running any more.
pub(super) async fn wait_hint(docker: &Docker, id: &ContainerId) -> Result<(), Error> {
    let client = docker.client().await?;
    let options = WaitContainerOptions { condition: "not-running".to_owned() };
    let mut waiting = pin!(client.wait_container(id.as_str(), Some(options)));
    let mut silent = false;
    loop {
        let answered = async {
            if silent {
                pending::<()>().await;
            }
            // Whatever it is (a code, an error, the end of the stream): time to look.
            let _hint = waiting.next().await;
        };
        // Either the daemon says that something happened, or it is time to look anyway: waits are known to be forgotten.
        silent |= tokio::time::timeout(deadline::WAIT_POLL, answered).await.is_ok();
        match inspect::inspect(docker, id.as_str()).await? {
            Some(state) if state.status.may_run() => {}
            Some(_) | None => return Ok(()),
        }
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
    let options = ListContainersOptions {
        all: true,
        filters: Some(create_body::label_filter(labels)),
        ..Default::default()
    };
    let found = docker
        .call(Call::List, deadline::LIST, |client| async move { client.list_containers(Some(options)).await })
        .await?;
    Ok(found.into_iter().filter_map(summary).collect())
}

/// Reads one line of a list; `None` for one without a usable id.
fn summary(from: ApiSummary) -> Option<ContainerSummary> {
    let names = from.names.unwrap_or_default();
    Some(ContainerSummary {
        id: ContainerId::parse(from.id.as_deref()?)?,
        name: names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default(),
        labels: from.labels.unwrap_or_default().into_iter().collect(),
        status: ContainerStatus::parse(&from.state.map(|state| state.to_string()).unwrap_or_default()),
        image_id: from.image_id.unwrap_or_default(),
    })
}
