//! Commands of the cluster as messages to a worker's session.

use dockmgr_core::cluster::{Command, Config};
use dockmgr_core::ids::{ClusterId, Epoch};
use dockmgr_proto::convert;
use dockmgr_proto::v1::{self, session_response::Message};

/// The message that carries a command, stamped with the leader's epoch.
pub(super) fn message(
    epoch: Epoch,
    cluster_id: ClusterId,
    config: &Config,
    command: &Command,
) -> v1::SessionResponse {
    let message = match command {
        Command::Welcome => Message::Welcome(v1::Welcome {
            cluster_id: cluster_id.to_string(),
            heartbeat_interval: Some(convert::time::duration_to_wire(config.heartbeat)),
            fence_after: Some(convert::time::duration_to_wire(config.fence_after)),
        }),
        Command::Start(start) => Message::Start(convert::session::start_to_wire(start)),
        Command::Stop { attempt, cause, signal, grace } => {
            Message::Stop(convert::session::stop_to_wire(*attempt, *cause, *signal, *grace))
        }
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
