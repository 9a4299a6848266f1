//! Which daemon an attempt's container is on, and what that daemon's restarts mean for its exit.
//!
//! Owns the comparison of the daemon that answers with the one the journal names. What a difference means is decided in
//! `dockmgr_core::agent`.

use dockmgr_core::agent::{Absence, Container, DaemonRun, Doubt, Phase};

use super::driver::Driver;
use crate::runtime::{ContainerState, Error, Runtime as _};

/// What is known of the container's daemon in this process.
#[derive(Debug, Default)]
pub(super) struct DaemonWatch {
    /// The daemon that answered last.
    now: Option<DaemonRun>,
    /// The run of the daemon in which the container was last known to live.
    alive_in: Option<DaemonRun>,
    /// How often the daemon had been lost by then; `None` if an earlier process saw it.
    losses: Option<u64>,
    /// Another daemon answered last.
    elsewhere: bool,
}

impl Driver {
    /// Whether the daemon that has the container answers; if not, that is noted.
    pub(super) async fn own_daemon_answers(&mut self) -> bool {
        let now = match self.context.runtime.daemon_run().await {
            Ok(now) => now,
            Err(error) => {
                self.look_failed(&error).await;
                return false;
            }
        };
        let elsewhere = self.entry.daemon.as_ref().filter(|own| own.is_another_daemon(&now));
        let trouble = elsewhere.map(|own| {
            format!("its container is on Docker daemon {}, but daemon {} answers now", own.id, now.id)
        });
        let elsewhere = trouble.is_some();
        if elsewhere {
            self.seen.container = Container::Elsewhere;
        }
        if elsewhere || self.daemon.elsewhere {
            self.context.health.trouble(self.attempt, trouble);
        }
        self.daemon.elsewhere = elsewhere;
        self.daemon.now = Some(now);
        !elsewhere
    }

    /// The daemon that answered last.
    pub(super) fn daemon_now(&self) -> Option<DaemonRun> {
        self.daemon.now.clone()
    }

    /// Notes that a start comes next, in this run of the daemon.
    pub(super) fn starts_in(&mut self, run: Option<DaemonRun>) {
        self.daemon.losses = Some(self.losses());
        self.daemon.alive_in = run;
    }

    /// An exit that is first seen after the daemon or the worker was away may be the daemon's doing.
    pub(super) async fn doubt_the_daemon(&mut self, container: Container) -> Result<(), Error> {
        if let (Container::Exited(_), Some(id)) = (container, self.container_id())
            && self.context.runtime.take_orphan(&id)
        {
            self.seen.doubt = self.seen.doubt.max(Doubt::ShimDied);
        }
        let losses = self.losses();
        if self.seen.phase < Phase::StartIntent || self.daemon.losses == Some(losses) {
            return Ok(());
        }
        // Asked afresh: what answers now may have other settings than what answered before.
        let info = self.context.runtime.info().await?;
        let now = DaemonRun { id: info.daemon_id, instance: info.instance, live_restore: info.live_restore };
        let absence = if self.daemon.losses.is_some() { Absence::Daemon } else { Absence::Worker };
        let journaled = self.entry.daemon.clone();
        // A journal of an older version names no daemon: its setting is taken to be today's.
        let before = self.daemon.alive_in.clone().or(journaled).unwrap_or_else(|| DaemonRun {
            id: String::new(),
            instance: None,
            live_restore: now.live_restore,
        });
        if container == Container::Running {
            // It lives on: what comes later is its own.
            self.daemon.losses = Some(losses);
            self.daemon.alive_in = Some(now);
        } else {
            self.seen.doubt = self.seen.doubt.max(before.doubt(&now, absence));
        }
        Ok(())
    }

    /// Whether the container was started again after the start that the journal confirms.
    pub(super) fn is_second_run(&self, state: Option<&ContainerState>) -> bool {
        let own = self.entry.started.as_ref().filter(|started| started.exact).map(|started| started.wall);
        let seen = state.and_then(|state| state.started_at);
        matches!((own, seen), (Some(own), Some(seen)) if own != seen)
    }

    /// How often the daemon was lost, restarted or replaced since this process began.
    fn losses(&self) -> u64 {
        self.context.health.outages() + self.context.runtime.restarts()
    }
}
