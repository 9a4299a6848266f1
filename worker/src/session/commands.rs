//! What a coordinator's message does here.

use std::time::Duration;

use dockmgr_core::agent::ContainerIdentity;
use dockmgr_core::cluster::Command;
use dockmgr_core::ids::Epoch;
use dockmgr_proto::convert::{ids, session as wire, time};
use dockmgr_proto::v1::{SessionResponse, Welcome, session_response::Message};

use super::{Error, Session};

/// Heartbeats where the coordinator names no interval or a senseless one.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(2);
/// Shortest and longest interval taken from a coordinator.
const HEARTBEATS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

impl Session {
    /// Carries out one message.
    pub(super) fn command(&self, response: SessionResponse) -> Result<(), Error> {
        self.obey(response.epoch)?;
        let attempts = &self.attempts;
        // A kind of message this version does not know is passed over: the coordinator may be newer.
        let Some(message) = response.message else { return Ok(()) };
        match message {
            Message::Welcome(_) => {}
            Message::HeartbeatAck(ack) => {
                let clock = time::optional_duration_from_wire("heartbeat_ack.leader_clock", ack.leader_clock)
                    .map_err(Error::Convert)?;
                // A coordinator of an older version tells no clock.
                if let Some(clock) = clock {
                    attempts.context().health.beat_answered(ack.sequence, clock);
                }
            }
            Message::Start(start) => {
                attempts.start(Box::new(wire::start_from_wire(start).map_err(Error::Convert)?));
            }
            Message::Stop(stop) => match wire::stop_from_wire(stop).map_err(Error::Convert)? {
                Command::Stop { attempt, cause, signal, grace } => {
                    attempts.stop(attempt, cause, signal, grace);
                }
                Command::Signal { attempt, signal } => attempts.signal(attempt, signal),
                Command::Welcome
                | Command::Start(_)
                | Command::Acknowledge { .. }
                | Command::Forget { .. } => {}
            },
            Message::ReportAck(ack) => {
                let attempt =
                    ids::attempt_from_wire("report_ack.attempt", ack.attempt).map_err(Error::Convert)?;
                attempts.acknowledge(attempt, ack.sequence);
            }
            Message::Forget(forget) => {
                let attempt =
                    ids::attempt_from_wire("forget.attempt", forget.attempt).map_err(Error::Convert)?;
                attempts.forget(attempt);
            }
        }
        Ok(())
    }

    /// Refuses an old leader, remembers a new one.
    pub(super) fn obey(&self, epoch: u64) -> Result<(), Error> {
        self.node.with_data(|data| data.obey(Epoch(epoch))).map_err(Error::Refused)
    }

    /// Joins the cluster, or checks that it is ours.
    pub(super) fn join(&self, welcome: &Welcome) -> Result<Duration, Error> {
        let cluster = ids::cluster_id("welcome.cluster_id", &welcome.cluster_id).map_err(Error::Convert)?;
        let node =
            self.node.with_data(|data| data.join(cluster).map(|()| data.node())).map_err(Error::Refused)?;
        // Set once; a second Welcome has passed the check above and names the same cluster.
        self.attempts.context().identity.set(ContainerIdentity { cluster, node }).ok();
        let fence_after = time::optional_duration_from_wire("welcome.fence_after", welcome.fence_after)
            .map_err(Error::Convert)?;
        if let Some(fence_after) = fence_after {
            self.attempts.context().contact.set_fence_after(fence_after);
        }
        let interval =
            time::optional_duration_from_wire("welcome.heartbeat_interval", welcome.heartbeat_interval)
                .map_err(Error::Convert)?
                .unwrap_or(DEFAULT_HEARTBEAT);
        Ok(interval.clamp(*HEARTBEATS.start(), *HEARTBEATS.end()))
    }
}
