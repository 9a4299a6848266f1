//! Carries the plan out on the world: does the damage when its time has come and mends it when it is over.
//!
//! Owns who is damaged at the moment, and the limits: at most one etcd, two coordinators and all workers but one at the same time,
//! unless the fault itself is wider. A fault that finds no member free breaks connections of a proxy instead, so that
//! the pace is kept.

mod damage;

pub(crate) use damage::{DAEMON_KILL, attempt_of};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::plan::{Fault, Kind, Planned};
use crate::world::member::{Member, Who};
use crate::world::net::Cut;
use crate::world::{COORDINATORS, ETCDS, World};

/// How often ends of members are looked for.
const LOOK: Duration = Duration::from_millis(200);

/// What mends a damage.
#[derive(Debug)]
enum Mend {
    /// Nothing: it was a moment.
    Nothing,
    Start(Vec<Who>),
    /// It was asked to end.
    StartAnew(Who),
    Continue(Vec<Who>),
    ContinueAll(Who),
    Heal(Vec<Cut>),
    Plug(Who),
    Proxies(Vec<usize>),
    FreeDisk(usize),
    StartDaemon,
    ContinueDaemon,
    Unpause(String),
}

/// A damage in force.
#[derive(Debug)]
struct Active {
    until: Instant,
    mend: Mend,
    /// Who must not be damaged otherwise meanwhile.
    busy: Vec<Who>,
    what: String,
}

/// What has been done to the world.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// How many faults of each kind.
    pub(crate) counts: BTreeMap<&'static str, u32>,
    /// Every fault with its time since the start, for people.
    pub(crate) history: Vec<String>,
    /// Containers that an outsider removed: job and attempt.
    pub(crate) removed: BTreeSet<(u64, u32)>,
    /// Workers whose disk was full at some time.
    pub(crate) full_disks: BTreeSet<usize>,
    /// Longest time between two faults.
    pub(crate) longest_gap: Duration,
}

/// The one who does it.
#[derive(Debug)]
pub(crate) struct Faults<'a> {
    world: &'a mut World,
    active: Vec<Active>,
    done: Done,
    started: Instant,
}

impl<'a> Faults<'a> {
    /// Ready to begin.
    pub(crate) fn new(world: &'a mut World) -> Self {
        Self { world, active: Vec::new(), done: Done::default(), started: Instant::now() }
    }

    /// Carries the plan out until `length` is over or `stop` is cancelled; then mends everything.
    pub(crate) async fn run(mut self, plan: &[Planned], length: Duration, stop: &CancellationToken) -> Done {
        let mut last = Duration::ZERO;
        for planned in plan {
            if self.wait_until(self.started + planned.at, stop).await {
                break;
            }
            let at = self.started.elapsed();
            self.done.longest_gap = self.done.longest_gap.max(at.saturating_sub(last));
            last = at;
            self.begin(&planned.fault, planned.lasts).await;
        }
        self.wait_until(self.started + length, stop).await;
        for active in std::mem::take(&mut self.active) {
            self.mend(active).await;
        }
        if let Some(daemon) = self.world.daemon.as_mut() {
            let up = daemon.wait_up().await;
            daemon.unpause_all().await;
            up.unwrap_or_else(|error| self.note(&format!("{error:#}")));
        }
        self.note("everything is mended");
        self.done
    }

    /// Lets time pass and mends what is due; whether the run was stopped.
    async fn wait_until(&mut self, time: Instant, stop: &CancellationToken) -> bool {
        loop {
            let now = Instant::now();
            if let Some(at) = self.active.iter().position(|active| active.until <= now) {
                let active = self.active.swap_remove(at);
                self.mend(active).await;
                continue;
            }
            if stop.is_cancelled() || now >= time {
                return stop.is_cancelled();
            }
            self.supervise();
            let next = self.active.iter().map(|active| active.until).chain([time, now + LOOK]).min();
            tokio::select! {
                // The run is over.
                () = stop.cancelled() => return true,
                // Something is due.
                () = tokio::time::sleep_until(next.unwrap_or(time)) => {}
            }
        }
    }

    /// Starts members again that ended although nobody told them to, as a service manager does.
    fn supervise(&mut self) {
        let asked =
            |who| self.active.iter().any(|a| matches!(a.mend, Mend::StartAnew(to_end) if to_end == who));
        self.world.members.iter_mut().filter(|member| !asked(member.who)).for_each(Member::supervise);
    }

    async fn begin(&mut self, fault: &Fault, lasts: Duration) {
        let found = match self.damage(fault).await {
            Ok(found) => found,
            Err(error) => {
                self.note(&format!("cannot do {fault:?}: {error:#}"));
                None
            }
        };
        let (mend, busy, what, lasts) = if let Some((mend, busy)) = found {
            (mend, busy, format!("{fault:?}"), lasts)
        } else {
            let (mend, what) = self.blip();
            (mend, Vec::new(), what, Duration::from_millis(150))
        };
        let name = if what.starts_with("reset of") { "reset" } else { fault.name() };
        *self.done.counts.entry(name).or_default() += 1;
        let hit: Vec<String> = busy.iter().map(Who::to_string).collect();
        self.note(&format!("{what} for {:.1} s on {}", lasts.as_secs_f64(), hit.join(" ")));
        self.active.push(Active { until: Instant::now() + lasts, mend, busy, what });
    }

    /// Free members of a kind, beginning with number `n`, within the limit of the kind.
    async fn free(&mut self, kind: Kind, n: usize) -> Option<Who> {
        let (make, count, most): (fn(usize) -> Who, _, _) = match kind {
            Kind::Etcd => (Who::Etcd, ETCDS, 1),
            Kind::Worker => (Who::Worker, self.world.workers(), self.world.workers() - 1),
            Kind::Coordinator | Kind::Leader => (Who::Coordinator, COORDINATORS, COORDINATORS - 1),
        };
        let first = match kind {
            Kind::Leader => self.world.leader().await?,
            Kind::Etcd | Kind::Worker | Kind::Coordinator => n,
        };
        let free: Vec<Who> =
            (0..count).map(|step| make((first + step) % count)).filter(|who| !self.is_busy(*who)).collect();
        (count - free.len() < most).then(|| free.first().copied()).flatten()
    }

    fn is_busy(&self, who: Who) -> bool {
        self.active.iter().any(|active| active.busy.contains(&who))
    }

    fn note(&mut self, what: &str) {
        self.done.history.push(format!("{:8.2} {what}", self.started.elapsed().as_secs_f64()));
    }
}
