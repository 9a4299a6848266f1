//! Each fault's way in and out.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Active, Faults, Mend};
use crate::plan::{Fault, Kind};
use crate::world::ETCDS;
use crate::world::member::Who;
use crate::world::net;
use dockmgr_tests::proxy::Behaviour;

/// How long a call of the Docker command line is waited for; what was asked happens also when it is not.
const CALL: Duration = Duration::from_millis(800);

/// What a kill of the Docker daemon is called in the table.
pub(crate) const DAEMON_KILL: &str = "dockerd kill -9";

/// What mends the damage, and who is damaged; `None` when nobody is free for it.
type Found = Option<(Mend, Vec<Who>)>;

impl Fault {
    /// Its kind, for the table.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Kill(..) => "kill -9",
            Self::Restart(..) => "restart",
            Self::Pause(..) => "pause",
            Self::PauseAll(..) => "pause with guard",
            Self::KillGuard(_) => "kill guard",
            Self::Cut(..) => "cut off",
            Self::CutPair(..) => "cut of a pair",
            Self::Unplug(..) => "unplug",
            Self::Proxy(..) => "proxy",
            Self::Proxies(_) => "all proxies",
            Self::EtcdMajority => "etcd majority",
            Self::EtcdPause => "etcd pause",
            Self::EtcdCompact => "etcd compaction",
            Self::FullDisk(_) => "full disk",
            Self::DaemonKill => DAEMON_KILL,
            Self::DaemonPause => "dockerd pause",
            Self::RemoveContainer(_) => "container removed",
            Self::PauseContainer(_) => "container paused",
        }
    }
}

impl Faults<'_> {
    /// Does the damage.
    pub(super) async fn damage(&mut self, fault: &Fault) -> anyhow::Result<Found> {
        let found = match *fault {
            Fault::Kill(kind, n)
            | Fault::Restart(kind, n)
            | Fault::Pause(kind, n)
            | Fault::PauseAll(kind, n) => {
                let Some(who) = self.free(kind, n).await else { return Ok(None) };
                (self.process(fault, who).await, vec![who])
            }
            Fault::Cut(kind, n, way, style) => {
                let Some(who) = self.free(kind, n).await else { return Ok(None) };
                (Mend::Heal(vec![self.world.member(who).space.cut(None, way, style)?]), vec![who])
            }
            Fault::CutPair(one, n, other, m, way, style) => {
                let Some(one) = self.free(one, n).await else { return Ok(None) };
                let Some(other) = self.other(other, m, one).await else { return Ok(None) };
                let address = self.world.member(other).space.address;
                let cut = self.world.member(one).space.cut(Some(address), way, style)?;
                (Mend::Heal(vec![cut]), vec![one, other])
            }
            Fault::Unplug(kind, n) => {
                let Some(who) = self.free(kind, n).await else { return Ok(None) };
                self.world.member(who).space.set_link(false)?;
                (Mend::Plug(who), vec![who])
            }
            Fault::KillGuard(n) => {
                let Some(who) = self.free(Kind::Worker, n).await else { return Ok(None) };
                if !self.kill_guard(who) {
                    return Ok(None);
                }
                (Mend::Nothing, Vec::new())
            }
            Fault::Proxy(n, behaviour) => (self.proxies(&[n], behaviour), Vec::new()),
            Fault::Proxies(behaviour) => {
                let all: Vec<usize> = (0..self.world.proxies.len()).collect();
                (self.proxies(&all, behaviour), Vec::new())
            }
            Fault::EtcdMajority | Fault::EtcdPause | Fault::EtcdCompact => return self.etcd(fault).await,
            Fault::FullDisk(n) => {
                let n = n % self.world.workers();
                self.done.full_disks.insert(n);
                self.world.disks[n].fill();
                (Mend::FreeDisk(n), Vec::new())
            }
            Fault::DaemonKill | Fault::DaemonPause | Fault::RemoveContainer(_) | Fault::PauseContainer(_) => {
                return self.docker(fault).await;
            }
        };
        Ok(Some(found))
    }

    async fn process(&mut self, fault: &Fault, who: Who) -> Mend {
        let member = self.world.member(who);
        match fault {
            Fault::Restart(..) => {
                member.signal(Signal::TERM);
                Mend::StartAnew(who)
            }
            Fault::Pause(..) => {
                member.signal(Signal::STOP);
                Mend::Continue(vec![who])
            }
            Fault::PauseAll(..) => {
                member.signal_all(Signal::STOP);
                Mend::ContinueAll(who)
            }
            _ => {
                member.kill().await;
                Mend::Start(vec![who])
            }
        }
    }

    /// A member that is not `one`.
    async fn other(&mut self, kind: Kind, m: usize, one: Who) -> Option<Who> {
        for step in 0..ETCDS {
            let found = self.free(kind, m + step).await?;
            if found != one {
                return Some(found);
            }
        }
        None
    }

    async fn etcd(&mut self, fault: &Fault) -> anyhow::Result<Found> {
        let all: Vec<Who> = (0..ETCDS).map(Who::Etcd).collect();
        if *fault == Fault::EtcdCompact {
            return self.compact().map(|()| Some((Mend::Nothing, Vec::new())));
        }
        if all.iter().any(|who| self.is_busy(*who)) {
            return Ok(None);
        }
        if *fault == Fault::EtcdPause {
            for who in &all {
                self.world.member(*who).signal(Signal::STOP);
            }
            return Ok(Some((Mend::Continue(all.clone()), all)));
        }
        for who in &all[1..] {
            self.world.member(*who).kill().await;
        }
        Ok(Some((Mend::Start(all[1..].to_vec()), all)))
    }

    /// Makes etcd forget all revisions but the last.
    fn compact(&mut self) -> anyhow::Result<()> {
        let address = self.world.member(Who::Etcd(0)).space.address;
        let endpoint = format!("--endpoints=http://{address}:2379");
        let call = |words: &[&str]| {
            let mut all = vec!["ETCDCTL_API=3", "etcdctl", endpoint.as_str(), "--command-timeout=1s"];
            all.extend(words);
            net::run("env", &all)
        };
        let status = call(&["endpoint", "status", "--write-out=json"])?;
        let status: serde_json::Value = serde_json::from_str(&status)?;
        let revision = status[0]["Status"]["header"]["revision"].as_u64().unwrap_or(1);
        call(&["compact", &revision.to_string()]).map(drop)
    }

    fn kill_guard(&mut self, who: Who) -> bool {
        let processes = self.world.member(who).space.processes();
        let is_guard = |pid: &&u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"guard")
        };
        let guard = processes.iter().find(is_guard).and_then(|pid| Pid::from_raw(i32::try_from(*pid).ok()?));
        guard.is_some_and(|guard| kill_process(guard, Signal::KILL).is_ok())
    }

    fn proxies(&mut self, which: &[usize], behaviour: Behaviour) -> Mend {
        let count = self.world.proxies.len();
        let which: Vec<usize> = which.iter().map(|n| n % count).collect();
        for n in &which {
            self.world.proxies[*n].behave(behaviour);
        }
        Mend::Proxies(which)
    }

    /// The fault that is always possible: connections of one proxy are reset.
    pub(super) fn blip(&mut self) -> (Mend, String) {
        let n = self.done.history.len() % self.world.proxies.len();
        let name = format!("reset of {}", self.world.proxies[n].name);
        (self.proxies(&[n], Behaviour::Refusing), name)
    }

    async fn docker(&mut self, fault: &Fault) -> anyhow::Result<Found> {
        let is_down =
            self.active.iter().any(|active| matches!(active.mend, Mend::StartDaemon | Mend::ContinueDaemon));
        let Some(daemon) = self.world.daemon.as_mut().filter(|_| !is_down) else { return Ok(None) };
        let pick = |running: Vec<String>, n: usize| {
            (!running.is_empty()).then(|| running[n % running.len()].clone())
        };
        let mend = match *fault {
            Fault::DaemonKill => {
                daemon.kill().await;
                Mend::StartDaemon
            }
            Fault::DaemonPause => {
                daemon.signal(Signal::STOP);
                Mend::ContinueDaemon
            }
            Fault::RemoveContainer(n) => {
                let running = tokio::time::timeout(CALL, daemon.running()).await??;
                let Some(name) = pick(running, n) else { return Ok(None) };
                self.done.removed.extend(attempt_of(&name));
                let _on_its_way = tokio::time::timeout(CALL, daemon.docker(&["rm", "-f", &name])).await;
                Mend::Nothing
            }
            Fault::PauseContainer(n) => {
                let running = tokio::time::timeout(CALL, daemon.running()).await??;
                let Some(name) = pick(running, n) else { return Ok(None) };
                let _on_its_way = tokio::time::timeout(CALL, daemon.docker(&["pause", &name])).await;
                Mend::Unpause(name)
            }
            _ => return Ok(None),
        };
        Ok(Some((mend, Vec::new())))
    }

    /// Ends a damage.
    pub(super) async fn mend(&mut self, active: Active) {
        let mended = self.try_mend(active.mend).await;
        let how = mended.err().map_or_else(String::new, |error| format!(": {error:#}"));
        self.note(&format!("over: {}{how}", active.what));
    }

    async fn try_mend(&mut self, mend: Mend) -> anyhow::Result<()> {
        match mend {
            Mend::Nothing => {}
            Mend::StartAnew(who) => {
                // Who has not ended by now is killed, as a service manager does.
                self.world.member(who).kill().await;
                self.world.member(who).start();
            }
            Mend::Start(who) => {
                for who in who {
                    self.world.member(who).start();
                }
            }
            Mend::Continue(who) => {
                for who in who {
                    self.world.member(who).signal(Signal::CONT);
                }
            }
            Mend::ContinueAll(who) => self.world.member(who).signal_all(Signal::CONT),
            Mend::Heal(cuts) => cuts.into_iter().try_for_each(net::Cut::heal)?,
            Mend::Plug(who) => self.world.member(who).space.set_link(true)?,
            Mend::Proxies(which) => {
                for n in &which {
                    self.world.proxies[*n].behave(Behaviour::Clean);
                }
            }
            Mend::FreeDisk(n) => self.world.disks[n].free(),
            Mend::StartDaemon => {
                if let Some(daemon) = self.world.daemon.as_mut() {
                    daemon.launch();
                }
            }
            Mend::ContinueDaemon => {
                if let Some(daemon) = self.world.daemon.as_ref() {
                    daemon.signal(Signal::CONT);
                }
            }
            Mend::Unpause(name) => {
                if let Some(daemon) = self.world.daemon.as_ref() {
                    // It may be gone by now: stopped, killed, removed.
                    let _gone = tokio::time::timeout(CALL, daemon.docker(&["unpause", &name])).await;
                }
            }
        }
        Ok(())
    }
}

/// Job and attempt of a container by its name, which ends in `-JOB-TASK-ATTEMPT`.
pub(crate) fn attempt_of(name: &str) -> Option<(u64, u32)> {
    let mut parts = name.rsplit('-');
    let attempt = parts.next()?.parse().ok()?;
    let _task = parts.next()?;
    Some((parts.next()?.parse().ok()?, attempt))
}
