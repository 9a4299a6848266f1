//! Docker's API in front of the fake daemon: each call of the worker, its answer and its refusals.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dockmgr_core::time::WallTime;
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::State;
use super::wire::{Reply, Request};
use crate::runtime::output::Stream;
use crate::runtime::{
    Call, ContainerId, ContainerSpec, ContainerState, ContainerStatus, Error, ImageInfo, PullProgress,
    Recovered, Runtime as _, Started,
};

/// Which call a request is.
pub(super) fn call_of(request: &Request) -> Option<Call> {
    let mut parts = request.path.trim_start_matches('/').split('/');
    let (first, last) = (parts.next()?, request.path.rsplit('/').next()?);
    Some(match (request.method.as_str(), first, last) {
        ("GET", "version", _) => Call::Negotiate,
        ("GET", "info", _) => Call::Info,
        ("POST", "images", "create") => Call::Pull,
        ("GET", "images", "json") if request.path == "/images/json" => Call::ListImages,
        ("GET", "images", "json") => Call::InspectImage,
        ("DELETE", "images", _) => Call::RemoveImage,
        ("POST", "containers", "create") => Call::Create,
        ("POST", "containers", "start") => Call::Start,
        ("POST", "containers", "wait") => Call::Wait,
        ("POST", "containers", "kill") => Call::Signal,
        ("POST", "containers", "attach") => Call::Attach,
        ("GET", "containers", "json") if request.path == "/containers/json" => Call::List,
        ("GET", "containers", "json") => Call::Inspect,
        ("GET", "containers", "logs") => Call::RecoverLog,
        ("GET", "containers", "stats") => Call::Usage,
        ("DELETE", "containers", _) => Call::Remove,
        _ => return None,
    })
}

/// Carries a call out and makes its answer.
pub(super) async fn carry_out(state: &Arc<State>, call: Call, request: &Request) -> Reply {
    match tried(state, call, request).await {
        Ok(reply) => reply,
        Err(error) => refusal(&error),
    }
}

async fn tried(state: &Arc<State>, call: Call, request: &Request) -> Result<Reply, Error> {
    match call {
        Call::Negotiate | Call::Info => Ok(about(state, call)),
        Call::InspectImage | Call::RemoveImage | Call::ListImages | Call::Pull => {
            of_image(state, call, request).await
        }
        Call::Create
        | Call::Start
        | Call::Inspect
        | Call::Wait
        | Call::Signal
        | Call::Remove
        | Call::List
        | Call::Attach
        | Call::RecoverLog
        | Call::Usage => of_container(state, call, request).await,
    }
}

/// What the daemon says of itself.
fn about(state: &Arc<State>, call: Call) -> Reply {
    let about = state.about();
    let answer = if call == Call::Negotiate {
        json!({ "Version": about.version, "MinAPIVersion": about.api.0, "ApiVersion": about.api.1 })
    } else {
        json!({
            "ID": about.id, "ServerVersion": about.version, "LiveRestoreEnabled": about.live_restore,
            "DockerRootDir": about.root, "NCPU": 8, "MemTotal": 8_589_934_592_u64, "Driver": "overlay2",
            "CgroupVersion": "1", "OSType": "linux", "Architecture": "x86_64", "Images": 1,
            "Runtimes": { "runc": { "path": "runc" } },
        })
    };
    Reply::Json(200, answer)
}

async fn of_image(state: &Arc<State>, call: Call, request: &Request) -> Result<Reply, Error> {
    let (fake, name) = (state.fake(), subject(&request.path));
    let absent = || Reply::refusal(404, &format!("No such image: {name}"));
    Ok(match call {
        Call::InspectImage => {
            fake.inspect_image(&name).await?.map_or_else(absent, |image| Reply::Json(200, image_json(&image)))
        }
        Call::RemoveImage if fake.remove_image(&name).await? => Reply::Json(200, json!([])),
        Call::RemoveImage => absent(),
        Call::ListImages => {
            Reply::Json(200, fake.list_images().await?.iter().map(image_json).collect::<Vec<_>>().into())
        }
        _ => pull(state, request).await?,
    })
}

async fn of_container(state: &Arc<State>, call: Call, request: &Request) -> Result<Reply, Error> {
    let (fake, name) = (state.fake(), subject(&request.path));
    let id = || ContainerId::parse(&name).ok_or_else(|| Error::InvalidSpec("not an id".to_owned()));
    let absent = || Reply::refusal(404, &format!("No such container: {name}"));
    Ok(match call {
        Call::Create => {
            Reply::Json(201, json!({ "Id": fake.create(&spec(request)?).await?.as_str(), "Warnings": [] }))
        }
        Call::Start => match fake.start(&id()?).await? {
            Started::Now => Reply::Empty(204),
            Started::Already => Reply::Empty(304),
        },
        Call::Inspect => {
            fake.inspect(&name).await?.map_or_else(absent, |found| Reply::Json(200, state_json(&found)))
        }
        Call::Wait => wait(state, id()?).await?,
        Call::Signal => {
            match (fake.inspect(&name).await?, fake.signal(&id()?, request.asked("signal")).await?) {
                (None, _) => absent(),
                (Some(_), true) => Reply::Empty(204),
                (Some(_), false) => Reply::refusal(409, &format!("Container {name} is not running")),
            }
        }
        Call::Remove if fake.inspect(&name).await?.is_none() => absent(),
        Call::Remove => {
            fake.remove(&id()?, matches!(request.asked("force"), "1" | "true")).await?;
            Reply::Empty(204)
        }
        Call::List => list(&fake, request).await?,
        Call::Attach => attach(&fake, &id()?).await?,
        Call::RecoverLog => logs(&fake, &id()?).await?,
        _ => Reply::refusal(404, "no statistics"),
    })
}

/// The name, id or reference a path is about.
fn subject(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let rest = path.split_once('/').map_or("", |(_, rest)| rest);
    for verb in ["/json", "/start", "/wait", "/kill", "/attach", "/logs", "/stats"] {
        if let Some(name) = rest.strip_suffix(verb) {
            return name.to_owned();
        }
    }
    rest.to_owned()
}

fn refusal(error: &Error) -> Reply {
    match error {
        Error::NotFound { what } => Reply::refusal(404, &format!("No such container: {what}")),
        Error::Conflict { what, message } if message.contains("remove a running") => Reply::refusal(
            409,
            &format!("You cannot remove a running container {what}. Stop the container before"),
        ),
        Error::Conflict { what, .. } => {
            Reply::refusal(409, &format!("Conflict. The container name \"/{what}\" is already in use"))
        }
        Error::Image { message, .. } => Reply::refusal(404, message),
        Error::InvalidSpec(message) => Reply::refusal(400, message),
        Error::StartFailed { message, .. } => {
            Reply::refusal(400, &format!("OCI runtime create failed: {message}"))
        }
        other => Reply::refusal(500, &other.to_string()),
    }
}

fn image_json(image: &ImageInfo) -> Value {
    json!({
        "Id": image.id, "RepoTags": image.repo_tags, "RepoDigests": image.repo_digests,
        "Size": image.size_bytes, "Architecture": image.architecture,
        "Config": { "Entrypoint": image.entrypoint, "Cmd": image.command, "User": image.user },
    })
}

/// The state of a container as `inspect` tells it.
pub(super) fn state_json(state: &ContainerState) -> Value {
    let status = match &state.status {
        ContainerStatus::Created => "created",
        ContainerStatus::Running => "running",
        ContainerStatus::Paused => "paused",
        ContainerStatus::Restarting => "restarting",
        ContainerStatus::Removing => "removing",
        ContainerStatus::Exited => "exited",
        ContainerStatus::Dead => "dead",
        ContainerStatus::Unknown(word) => word,
    };
    json!({
        "Id": state.id.as_str(), "Name": format!("/{}", state.name), "Image": state.image_id,
        "Config": { "Labels": state.labels },
        "State": {
            "Status": status, "Pid": 0, "ExitCode": state.raw_exit_code.unwrap_or(0),
            "OOMKilled": state.oom_killed, "Error": state.error,
            "StartedAt": time(state.started_at), "FinishedAt": time(state.finished_at),
        },
    })
}

fn time(at: Option<WallTime>) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at.0).ok());
    at.map_or("0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
}

fn spec(request: &Request) -> Result<ContainerSpec, Error> {
    let body: Value =
        serde_json::from_slice(&request.body).map_err(|error| Error::InvalidSpec(error.to_string()))?;
    let words = |field: &str| -> Vec<String> {
        let list = body[field].as_array().into_iter().flatten();
        list.filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let argv = words("Entrypoint").into_iter().chain(words("Cmd")).collect();
    let image = body["Image"].as_str().unwrap_or_default();
    let env = words("Env")
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(a, b)| (a.into(), b.into()))
        .collect();
    let labels = body["Labels"].as_object().into_iter().flatten();
    let labels =
        labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    Ok(ContainerSpec { labels, env, ..ContainerSpec::new(request.asked("name"), image, argv) })
}

async fn pull(state: &Arc<State>, request: &Request) -> Result<Reply, Error> {
    let (name, tag) = (request.asked("fromImage"), request.asked("tag"));
    let mark = if tag.contains(':') { '@' } else { ':' };
    let image = format!("{name}{mark}{tag}");
    let progress = watch::Sender::new(PullProgress::default());
    state.fake().pull(&image, None, &progress).await?;
    let steps = vec![
        json!({ "status": "Pulling", "id": tag }),
        json!({ "status": "Downloading", "id": "layer", "progressDetail": { "current": 1, "total": 2 } }),
        json!({ "status": "Status: Downloaded newer image" }),
    ];
    Ok(Reply::Stream { status: 200, chunks: stream::iter(steps).boxed() })
}

async fn wait(state: &Arc<State>, id: ContainerId) -> Result<Reply, Error> {
    let fake = state.fake();
    if fake.inspect(id.as_str()).await?.is_none() {
        return Err(Error::NotFound { what: id.to_string() });
    }
    let answer = async move {
        let _ended = fake.wait_hint(&id, None).await;
        let state = fake.inspect(id.as_str()).await.ok().flatten();
        json!({ "StatusCode": state.and_then(|state| state.raw_exit_code).unwrap_or(0) })
    };
    Ok(Reply::Stream { status: 200, chunks: stream::once(answer).boxed() })
}

async fn list(fake: &crate::runtime::fake::Fake, request: &Request) -> Result<Reply, Error> {
    let filters: Value = serde_json::from_str(request.asked("filters")).unwrap_or_default();
    let labels = filters["label"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let labels: BTreeMap<String, String> =
        labels.filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    let found = fake.list(&labels).await?;
    let rows = found.iter().map(|one| {
        let status = format!("{:?}", one.status).to_lowercase();
        json!({
            "Id": one.id.as_str(), "Names": [format!("/{}", one.name)], "Labels": one.labels,
            "State": status, "ImageID": one.image_id,
        })
    });
    Ok(Reply::Json(200, rows.collect::<Vec<_>>().into()))
}

/// The framing of two streams on one connection.
fn frame(stream: Stream, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + payload.len());
    let kind = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    out.extend_from_slice(&[kind, 0, 0, 0]);
    out.extend_from_slice(&u32::try_from(payload.len()).expect("a short piece").to_be_bytes());
    out.extend_from_slice(payload);
    out.freeze()
}

/// The head of an attached stream.
const UPGRADED: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

async fn attach(fake: &crate::runtime::fake::Fake, id: &ContainerId) -> Result<Reply, Error> {
    let attached = fake.attach(id).await?;
    let frames = stream::unfold(attached, |mut attached| async move {
        let (stream, bytes) = attached.next().await.ok().flatten()?;
        // The daemon's own pieces are at most 32 KiB.
        let frames: Vec<u8> =
            bytes.chunks(32 * 1024).flat_map(|piece| frame(stream, piece).to_vec()).collect();
        Some((Bytes::from(frames), attached))
    });
    Ok(Reply::Frames { head: UPGRADED, frames: frames.boxed() })
}

/// The head of a log.
const LOG_HEAD: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";

/// Lines with their time in front, cut at 16 KiB; the pieces of one line carry the time of its first.
async fn logs(fake: &crate::runtime::fake::Fake, id: &ContainerId) -> Result<Reply, Error> {
    const SPLIT: usize = 16 * 1024;
    let log = fake.recover_log(id).await?;
    // Line number and length so far of each stream's open line.
    let frames =
        stream::unfold((log, 0_u64, [None::<u64>; 2]), |(mut log, mut lines, mut open)| async move {
            let (stream, bytes) = match log.next().await.ok().flatten()? {
                Recovered::Bytes(stream, bytes) => (stream, bytes),
                Recovered::End { .. } => return None,
            };
            let slot = usize::from(stream == Stream::Stderr);
            let mut out = Vec::new();
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                for piece in line.chunks(SPLIT) {
                    let number = open[slot].take().unwrap_or_else(|| {
                        lines += 1;
                        lines
                    });
                    let stamped = [format!("2026-01-01T00:00:00.{number:09}Z ").as_bytes(), piece].concat();
                    out.extend_from_slice(&frame(stream, &stamped));
                    if piece.last() != Some(&b'\n') {
                        open[slot] = Some(number);
                    }
                }
            }
            Some((Bytes::from(out), (log, lines, open)))
        });
    Ok(Reply::Frames { head: LOG_HEAD, frames: frames.boxed() })
}
