//! What others tell a driver. Level-triggered: the driver looks at the newest state, so nothing queues up.

use dockmgr_core::agent::Wanted;

/// The newest wishes and acknowledgements.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each told by somebody else")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inbox {
    /// What the cluster wants.
    pub(super) wanted: Wanted,
    /// The result is durable at the coordinator.
    pub(super) result_acknowledged: bool,
    /// The end of the output is durable there, or it is not wanted.
    pub(super) log_end_durable: bool,
    /// There is no contact with the leader, and the attempt may not go on without. Wakes the driver; the plan asks the clock.
    pub(super) fenced: bool,
    /// The leader was in touch since this process began.
    pub(super) confirmed: bool,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            wanted: Wanted::Run,
            result_acknowledged: false,
            log_end_durable: false,
            fenced: false,
            confirmed: false,
        }
    }
}
