//! Whether the daemon may have lost the end of a container's output.
//!
//! While a daemon with live-restore is down, its containers write into pipes that nobody reads. What runs on is read on when the
//! daemon is back. What ends before that takes the content of its pipes along, up to all it wrote meanwhile, and the kept log
//! says nothing of it (Docker 20.10).

use super::Capture;
use crate::runtime::{ContainerState, Runtime as _};

/// The run of the daemon in which the container was last known to live, by the moment it came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life(Option<i64>);

impl Capture {
    /// For a container that is started by this daemon, or one that was started some time.
    pub(super) fn life(&self, starts_now: bool) -> Life {
        Life(self.runtime.up_since().filter(|_| starts_now))
    }

    /// Looks whether the container lives in this run of the daemon.
    pub(super) async fn note_life(&self, life: &mut Life) {
        let up = self.runtime.up_since();
        if up == life.0 {
            return;
        }
        if let Ok(Some(state)) = self.runtime.inspect(self.container.as_str()).await
            && state.started_at.is_some()
            && state.exit().is_none()
        {
            *life = Life(up);
        }
    }

    /// Whether the container was started by an earlier run of the daemon and nobody saw it alive in this one.
    pub(super) async fn ended_unseen(&self, life: Life) -> bool {
        let Some(up) = self.runtime.up_since().filter(|up| life.0 != Some(*up)) else { return false };
        let state = self.runtime.inspect(self.container.as_str()).await.ok().flatten();
        state.is_some_and(|state| is_of_an_earlier_run(&state, up))
    }
}

fn is_of_an_earlier_run(state: &ContainerState, up: i64) -> bool {
    state.started_at.is_some_and(|started| started.0 < up)
}
