//! What can go wrong with one answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use super::wire::{Reply, Request};
use super::{HELD, State, api, wire};
use crate::runtime::Call;

/// Whether the call takes effect although its answer is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does nothing.
    None,
    /// It is carried out first.
    Before,
    /// It is carried out this much later.
    After(Duration),
}

/// What happens to one call.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// No answer comes.
    Hang(Effect),
    /// The connection is closed without an answer.
    Drop(Effect),
    /// A refusal is answered.
    Status(Effect, u16, &'static str),
    /// These bytes are answered instead, then the connection is closed.
    Raw(Bytes),
    /// The right answer is cut after this many bytes.
    Cut(usize),
    /// The right answer comes byte by byte with this pause.
    Drip(Duration),
    /// A head, then bytes without end.
    Endless(&'static str),
}

impl Fault {
    /// A success with this body.
    pub(crate) fn body(status: u16, body: &str) -> Self {
        Self::Raw(wire::head_and_body(status, "application/json", body.as_bytes()))
    }
}

/// Answers one call, with or without a fault.
pub(super) async fn answer(
    state: &Arc<State>,
    call: Call,
    request: &Request,
    mut socket: UnixStream,
    fault: Option<Fault>,
) {
    let Some(fault) = fault else {
        let reply = api::carry_out(state, call, request).await;
        return reply.send(state.edit_of(call), &mut socket).await;
    };
    match fault {
        Fault::Hang(effect) => {
            take_effect(state, call, request, effect).await;
            tokio::time::sleep(HELD).await;
        }
        Fault::Drop(effect) => {
            if let Effect::After(later) = effect {
                drop(socket);
                tokio::time::sleep(later).await;
                take_effect(state, call, request, Effect::Before).await;
            } else {
                take_effect(state, call, request, effect).await;
            }
        }
        Fault::Status(effect, status, message) => {
            take_effect(state, call, request, effect).await;
            wire::refuse(&mut socket, status, message).await;
        }
        Fault::Raw(bytes) => {
            let _left = socket.write_all(&bytes).await;
            let _closed = socket.shutdown().await;
        }
        Fault::Cut(length) => {
            let bytes = whole(state, call, request).await;
            let _left = socket.write_all(&bytes[..length.min(bytes.len())]).await;
            let _closed = socket.shutdown().await;
        }
        Fault::Drip(pause) => {
            for byte in whole(state, call, request).await {
                if socket.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        }
        Fault::Endless(head) => {
            let chunk = vec![b'x'; 64 * 1024];
            let mut sent = socket.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = socket.write_all(&chunk).await;
            }
        }
    }
}

async fn take_effect(state: &Arc<State>, call: Call, request: &Request, effect: Effect) {
    match effect {
        Effect::None => {}
        Effect::Before => drop(api::carry_out(state, call, request).await),
        Effect::After(later) => {
            let (state, request) = (Arc::clone(state), request.clone());
            state.clone().tasks.spawn("late effect", async move {
                tokio::time::sleep(later).await;
                drop(api::carry_out(&state, call, &request).await);
            });
        }
    }
}

/// The right answer as bytes.
async fn whole(state: &Arc<State>, call: Call, request: &Request) -> Bytes {
    match api::carry_out(state, call, request).await {
        Reply::Json(status, value) => {
            wire::head_and_body(status, "application/json", value.to_string().as_bytes())
        }
        Reply::Empty(status) => wire::head_and_body(status, "text/plain", b""),
        // A stream has no whole; its head stands for it.
        Reply::Stream { status, .. } => wire::head_and_body(status, "application/json", b""),
        Reply::Frames { head, mut frames } => {
            use futures_util::StreamExt as _;
            let mut bytes = head.to_vec();
            while let Some(frame) = frames.next().await {
                bytes.extend_from_slice(&frame);
            }
            Bytes::from(bytes)
        }
    }
}
