//! Whether the daemon itself may have ended a container: one run of a daemon compared with a later one.
//!
//! Owns the rule. Facts it rests on: a daemon without live-restore ends its containers when it goes down or comes up, and
//! the code it leaves (137) is the same as a kill by anybody else's; with live-restore on both sides of a restart, exit
//! codes are right, or 255 where the daemon missed the end.

use super::observed::Doubt;

/// A daemon as one process ran it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaemonRun {
    /// Identity of the daemon, which survives its restarts; empty where it gives none.
    pub id: String,
    /// Which process it is, other after each restart; `None` where that cannot be seen.
    pub instance: Option<String>,
    /// Whether it keeps containers alive over its own restart.
    pub live_restore: bool,
}

/// Who looked away between two looks at a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The daemon: a connection to it broke or was refused.
    Daemon,
    /// The worker: it was restarted.
    Worker,
}

impl DaemonRun {
    /// Whether `other` is certainly another daemon, not only another run of this one.
    pub fn is_another_daemon(&self, other: &Self) -> bool {
        !self.id.is_empty() && !other.id.is_empty() && self.id != other.id
    }

    /// What to think of an exit that is first seen now, when `self` ran at the start.
    pub fn doubt(&self, now: &Self, absence: Absence) -> Doubt {
        match (&self.instance, &now.instance, absence) {
            (Some(then), Some(now), _) if then == now => Doubt::None,
            _ if self.live_restore && now.live_restore => Doubt::DaemonWasDown,
            (Some(_), Some(_), _) | (_, _, Absence::Daemon) => Doubt::DaemonWasLost,
            (_, _, Absence::Worker) => Doubt::WorkerWasAway,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, instance: Option<&str>, live_restore: bool) -> DaemonRun {
        DaemonRun { id: id.into(), instance: instance.map(str::to_owned), live_restore }
    }

    #[test]
    fn d13_only_a_restart_without_live_restore_makes_an_exit_doubtful() {
        let before = run("a", Some("1"), false);
        let (same, other) = (run("a", Some("1"), false), run("a", Some("2"), false));
        assert_eq!(before.doubt(&same, Absence::Daemon), Doubt::None, "it only did not answer");
        assert_eq!(before.doubt(&same, Absence::Worker), Doubt::None);
        assert_eq!(before.doubt(&other, Absence::Daemon), Doubt::DaemonWasLost);
        assert_eq!(before.doubt(&other, Absence::Worker), Doubt::DaemonWasLost, "restarted meanwhile");
        let kept = run("a", Some("1"), true);
        assert_eq!(kept.doubt(&kept, Absence::Daemon), Doubt::None);
        assert_eq!(kept.doubt(&run("a", Some("2"), true), Absence::Daemon), Doubt::DaemonWasDown);
        assert_eq!(kept.doubt(&other, Absence::Daemon), Doubt::DaemonWasLost, "switched off in between");
        assert_eq!(before.doubt(&run("a", Some("2"), true), Absence::Daemon), Doubt::DaemonWasLost);
    }

    #[test]
    fn where_the_process_cannot_be_seen_an_absence_is_taken_for_a_restart() {
        let unseen = run("a", None, false);
        assert_eq!(unseen.doubt(&unseen, Absence::Daemon), Doubt::DaemonWasLost);
        assert_eq!(unseen.doubt(&unseen, Absence::Worker), Doubt::WorkerWasAway);
    }

    #[test]
    fn d23_only_two_known_ids_make_two_daemons() {
        assert!(run("a", None, true).is_another_daemon(&run("b", None, true)));
        assert!(!run("a", Some("1"), true).is_another_daemon(&run("a", Some("2"), true)));
        assert!(!run("", None, true).is_another_daemon(&run("b", None, true)));
    }
}
