//! Commands of the cluster as messages to a worker's session.

use std::time::Duration;

use dockmgr_core::cluster::{Command, StopCause};
use dockmgr_core::ids::{ClusterId, Epoch};
use dockmgr_proto::convert;
use dockmgr_proto::v1::{self, session_response::Message};

/// The message that carries a command, stamped with the leader's epoch.
pub(super) fn message(
    epoch: Epoch,
    cluster_id: ClusterId,
    heartbeat: Duration,
    command: &Command,
) -> v1::SessionResponse {
    let message = match command {
        Command::Welcome => Message::Welcome(v1::Welcome {
            cluster_id: cluster_id.to_string(),
            heartbeat_interval: Some(convert::time::duration_to_wire(heartbeat)),
        }),
        Command::Start(start) => Message::Start(convert::session::start_to_wire(start)),
        Command::Stop { attempt, cause, signal, grace } => Message::Stop(v1::StopAttempt {
            attempt: Some(convert::ids::attempt_to_wire(*attempt)),
            cause: cause_to_wire(*cause).into(),
            signal: signal.map(|signal| signal.to_string()).unwrap_or_default(),
            grace_period: grace.map(convert::time::duration_to_wire),
            signal_only: false,
        }),
        Command::Signal { attempt, signal } => Message::Stop(v1::StopAttempt {
            attempt: Some(convert::ids::attempt_to_wire(*attempt)),
            cause: v1::StopCause::Kill.into(),
            signal: signal.to_string(),
            grace_period: None,
            signal_only: true,
        }),
        Command::Acknowledge { attempt, sequence } => Message::ReportAck(v1::ReportAck {
            attempt: Some(convert::ids::attempt_to_wire(*attempt)),
            sequence: *sequence,
        }),
        Command::Forget { attempt } => {
            Message::Forget(v1::ForgetAttempt { attempt: Some(convert::ids::attempt_to_wire(*attempt)) })
        }
    };
    v1::SessionResponse { epoch: epoch.0, message: Some(message) }
}

fn cause_to_wire(cause: StopCause) -> v1::StopCause {
    match cause {
        StopCause::Stop => v1::StopCause::Stop,
        StopCause::Kill => v1::StopCause::Kill,
        StopCause::Timeout => v1::StopCause::Timeout,
        StopCause::Superseded => v1::StopCause::Superseded,
    }
}
