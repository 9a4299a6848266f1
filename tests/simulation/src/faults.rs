//! What goes wrong in a seed, and when: a list made before the world begins, so that a failing list can be made shorter.
//!
//! Each seed takes part of the kinds only (swarm testing): some paths are reached only while others are quiet.

use std::time::Duration;

use crate::clock::Instant;
use crate::random::Random;
use crate::settings::Settings;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Instant,
    pub(crate) lasts: Duration,
    pub(crate) what: Kind,
}

/// Which thing. Numbers choose the machine, modulo how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A coordinator is killed and started again.
    CrashCoordinator(usize),
    /// A coordinator stands still, its clock does not.
    PauseCoordinator(usize),
    /// A worker is killed and started again.
    CrashWorker(usize),
    /// A worker stands still, its clock does not.
    PauseWorker(usize),
    /// A worker's host loses power and is booted; the daemon may show 0 for what ran (moby#45788).
    PowerLoss(usize, bool),
    /// A worker's container daemon is killed and started again.
    KillDaemon(usize),
    /// A daemon answers nothing; what it received takes effect later.
    HangDaemon(usize),
    /// Calls of a daemon take effect late, after their caller has given up.
    LateEffects(usize),
    /// Calls of a daemon take effect and their answers are lost.
    LostReplies(usize),
    /// Somebody removes a container by hand.
    ExternalRemoval(usize),
    /// A registry cannot be reached by one host.
    ImagesFail(usize),
    /// Nothing passes between a worker and a coordinator, in one or both directions.
    Cut(usize, usize, Direction),
    /// A worker reaches nobody.
    Isolate(usize),
    /// A worker's connections break.
    Reset(usize),
    /// Everything takes long.
    SlowNetwork,
    /// Requests and answers of clients are lost.
    LoseClientMessages,
    /// The store answers nothing.
    StoreDown,
    /// Commits happen or not, and the answer is lost.
    AmbiguousCommits,
    /// Commits arrive late, perhaps after their leader was replaced.
    LateCommits,
    /// The leader's lease ends before its time.
    LoseLease,
    /// The same, and a worker that has met the new leader is started anew.
    OldLeader(usize),
    /// The leader's lease lasts longer than it should: the store was restarted.
    LongLease,
    /// Reads show an old state.
    StaleReads,
    /// The store has no room.
    NoSpace,
    /// Records of a worker's journal cannot be written: the worker ends.
    JournalFails(usize),
    /// The disk of an embedded store fails: its coordinator ends, and a commit was done or not.
    StoreFails,
    /// A worker has no room for output.
    SpoolFull(usize),
    /// A machine stands still as a whole, its guard too; its clock goes on.
    StandStill(usize),
}

/// Which way nothing passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Both,
    Up,
    Down,
}

/// Number of kinds below.
const KINDS: u64 = 28;

fn kind(number: u64, random: &mut Random) -> Kind {
    let (one, two) = (random.index(64), random.index(64));
    let direction = match random.below(3) {
        0 => Direction::Both,
        1 => Direction::Up,
        _ => Direction::Down,
    };
    match number {
        0 => Kind::CrashCoordinator(one),
        1 => Kind::PauseCoordinator(one),
        2 => Kind::CrashWorker(one),
        3 => Kind::PauseWorker(one),
        4 => Kind::PowerLoss(one, two % 2 == 0),
        5 => Kind::KillDaemon(one),
        6 => Kind::HangDaemon(one),
        7 => Kind::LateEffects(one),
        8 => Kind::LostReplies(one),
        9 => Kind::ExternalRemoval(one),
        10 => Kind::ImagesFail(one),
        11 => Kind::Cut(one, two, direction),
        12 => Kind::Isolate(one),
        13 => Kind::Reset(one),
        14 => Kind::SlowNetwork,
        15 => Kind::LoseClientMessages,
        16 => Kind::StoreDown,
        17 => Kind::AmbiguousCommits,
        18 => Kind::LateCommits,
        19 => Kind::LoseLease,
        20 => Kind::LongLease,
        21 => Kind::StaleReads,
        22 => Kind::OldLeader(one),
        23 => Kind::NoSpace,
        24 => Kind::JournalFails(one),
        25 => Kind::StoreFails,
        26 => Kind::SpoolFull(one),
        _ => Kind::StandStill(one),
    }
}

/// The faults of a seed.
pub(crate) fn plan(settings: &Settings) -> Vec<Fault> {
    let mut random = Random::new(settings.seed, 1);
    let share = random.between(100, 600);
    let mut enabled: Vec<u64> = (0..KINDS).filter(|_| random.chance(share)).collect();
    let contact_only = settings.contact_only;
    if contact_only {
        enabled = vec![11, 12, 12, 13, 14];
    }
    if enabled.is_empty() {
        return Vec::new();
    }
    let count = random.between(2, 24);
    let end = u64::try_from(settings.active.as_millis()).unwrap_or(0);
    // Long outages bring the times of losing a worker into play; short ones the races.
    let longest = if contact_only || random.chance(500) { 60_000 } else { 12_000 };
    let mut faults: Vec<Fault> = (0..count)
        .map(|_| {
            let number = enabled[random.index(enabled.len())];
            let what = kind(number, &mut random);
            let at = Instant::default().after(random.millis(1000, end));
            let most = if random.chance(300) { 1500 } else { longest };
            let lasts = random.millis(50, most);
            let lasts = if matches!(what, Kind::OldLeader(_)) { random.millis(600, 4000) } else { lasts };
            // Longer than a worker waits for its leader, and the leader for its worker.
            let parted = contact_only && matches!(what, Kind::Isolate(_)) && random.chance(700);
            let lasts = if parted { random.millis(31_000, 90_000) } else { lasts };
            Fault { at, lasts, what }
        })
        .collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}
