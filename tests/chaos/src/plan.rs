//! What goes wrong and when: follows from the seed alone. Pure.
//!
//! Owns the kinds of faults, how often each comes and how long it lasts. Which member is hit is settled when the time has come
//! (a plan cannot know who leads), within what [`crate::faults`] allows at the same time.

use std::time::Duration;

use crate::Profile;
use crate::world::net::{Style, Way};
use dockmgr_tests::proxy::{Behaviour, Direction};

/// Longest time between two faults: one every four seconds is promised, and doing the damage takes time.
const GAP: Duration = Duration::from_millis(3_000);
/// Shortest.
const BREATH: Duration = Duration::from_millis(1_000);

/// One planned fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// When it begins, from the start of the run.
    pub(crate) at: Duration,
    /// How long it lasts before it is mended.
    pub(crate) lasts: Duration,
    /// What it is.
    pub(crate) fault: Fault,
}

/// Kinds of members, and the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Leader,
    Coordinator,
    Worker,
    Etcd,
}

/// What can go wrong. Numbers pick a member or a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// kill -9, started again when the fault is over.
    Kill(Kind, usize),
    /// SIGTERM, started again when the fault is over.
    Restart(Kind, usize),
    /// SIGSTOP of the program.
    Pause(Kind, usize),
    /// SIGSTOP of the program and of what it started, its guard first of all.
    PauseAll(Kind, usize),
    /// The guard of a worker is killed.
    KillGuard(usize),
    /// Cut off from everybody.
    Cut(Kind, usize, Way, Style),
    /// Two members cannot speak to each other.
    CutPair(Kind, usize, Kind, usize, Way, Style),
    /// The cable is out.
    Unplug(Kind, usize),
    /// A proxy misbehaves.
    Proxy(usize, Behaviour),
    /// All proxies misbehave.
    Proxies(Behaviour),
    /// Two of three etcds are killed.
    EtcdMajority,
    /// All etcds are paused.
    EtcdPause,
    /// etcd forgets old revisions.
    EtcdCompact,
    /// A worker's disk is full.
    FullDisk(usize),
    /// The Docker daemon is killed and started again.
    DaemonKill,
    /// The Docker daemon hangs.
    DaemonPause,
    /// Somebody removes a container of ours.
    RemoveContainer(usize),
    /// Somebody pauses a container of ours.
    PauseContainer(usize),
}

/// The faults of a run.
pub(crate) fn plan(seed: u64, profile: Profile, length: Duration) -> Vec<Planned> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut at = BREATH;
    let mut planned = Vec::new();
    while at < length {
        let (fault, lasts) = draw(&mut random, profile);
        planned.push(Planned { at, lasts, fault });
        at += BREATH + GAP.saturating_sub(BREATH).mul_f64(random.f64());
    }
    planned
}

fn draw(random: &mut fastrand::Rng, profile: Profile) -> (Fault, Duration) {
    let seconds = Duration::from_secs_f64;
    let n = random.usize(..16);
    let short = seconds(0.2 + 4.0 * random.f64());
    let medium = seconds(1.0 + 11.0 * random.f64());
    // Around the fence and the loss, to meet their races.
    let long = seconds([15.0, 19.0, 21.0, 25.0, 29.0, 31.0, 36.0][random.usize(..7)] + random.f64());
    let often_medium = if random.u8(..4) == 0 { long } else { medium };
    let kinds = [Kind::Leader, Kind::Coordinator, Kind::Worker, Kind::Worker, Kind::Worker, Kind::Etcd];
    let kind = kinds[random.usize(..kinds.len())];
    let dockers = profile == Profile::Docker;
    match random.u8(..if dockers { 100 } else { 80 }) {
        0..10 => (Fault::Kill(kind, n), short),
        10..17 => (Fault::Kill(Kind::Worker, n), often_medium),
        17..21 => (Fault::Kill(Kind::Leader, n), short),
        21..25 => (Fault::Restart(kind, n), short),
        25..30 => (Fault::Pause(kind, n), medium),
        30..34 => (Fault::Pause(Kind::Worker, n), often_medium),
        34..37 => (Fault::Pause(Kind::Leader, n), medium),
        37..39 => (Fault::PauseAll(Kind::Worker, n), often_medium),
        39..41 => (Fault::KillGuard(n), short),
        41..46 => (Fault::Cut(kind, n, way(random), style(random)), medium),
        46..51 => (Fault::Cut(Kind::Worker, n, way(random), style(random)), often_medium),
        51..55 => (pair(random), medium),
        55..57 => (Fault::Unplug(kind, n), medium),
        57..66 => (Fault::Proxy(n, behaviour(random)), medium),
        66..69 => (Fault::Proxies(behaviour(random)), short),
        69..71 => (Fault::EtcdMajority, medium),
        71..73 => (Fault::EtcdPause, medium),
        73..76 => (Fault::EtcdCompact, Duration::ZERO),
        76..80 => (Fault::FullDisk(n), medium),
        80..85 => (Fault::DaemonKill, seconds(0.3 + 2.0 * random.f64())),
        85..89 => (Fault::DaemonPause, short),
        89..95 => (Fault::RemoveContainer(n), Duration::ZERO),
        _ => (Fault::PauseContainer(n), short),
    }
}

fn pair(random: &mut fastrand::Rng) -> Fault {
    let pairs = [
        (Kind::Worker, Kind::Coordinator),
        (Kind::Worker, Kind::Leader),
        (Kind::Leader, Kind::Etcd),
        (Kind::Leader, Kind::Coordinator),
        (Kind::Etcd, Kind::Etcd),
    ];
    let (one, other) = pairs[random.usize(..pairs.len())];
    Fault::CutPair(one, random.usize(..16), other, random.usize(..16), way(random), style(random))
}

fn way(random: &mut fastrand::Rng) -> Way {
    [Way::Both, Way::In, Way::Out][random.usize(..3)]
}

fn style(random: &mut fastrand::Rng) -> Style {
    [Style::Drop, Style::Drop, Style::Reject, Style::Loss(30)][random.usize(..4)]
}

fn behaviour(random: &mut fastrand::Rng) -> Behaviour {
    let millis = |random: &mut fastrand::Rng, most| Duration::from_millis(random.u64(20..most));
    match random.u8(..6) {
        0 => Behaviour::Slow { delay: millis(random, 250), jitter: millis(random, 200) },
        1 => Behaviour::Narrow(random.u32(8_000..200_000)),
        2 => Behaviour::Stalled(Direction::There),
        3 => Behaviour::Stalled(Direction::Back),
        4 => Behaviour::Stalled(Direction::Both),
        _ => Behaviour::Refusing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_fault_every_four_seconds_and_the_seed_decides() {
        let length = Duration::from_secs(300);
        for profile in [Profile::Fake, Profile::Docker] {
            let planned = plan(42, profile, length);
            assert!(planned.len() >= 75, "{}", planned.len());
            assert!(
                planned.windows(2).all(|two| two[1].at.saturating_sub(two[0].at) < Duration::from_secs(4))
            );
            assert_eq!(planned, plan(42, profile, length));
            assert_ne!(planned, plan(43, profile, length));
        }
    }
}
