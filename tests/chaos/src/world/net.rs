//! Network namespaces of one run: a hub with a bridge, in which this program lives, and one namespace for each member.
//!
//! Owns making, cutting and removing them. Everything is named after the run, nothing touches the machine's own network: the
//! bridge has no way out. Removed when dropped, together with every process that still lives inside.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Where `ip netns` keeps the namespaces by name.
const FOLDER: &str = "/var/run/netns";
/// The hub's address; members follow. A private net that exists in the hub only.
const HUB: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The namespaces of a run.
#[derive(Debug)]
pub(crate) struct Net {
    run: String,
    spaces: Vec<Space>,
}

/// A member's namespace.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    /// Full name.
    pub(crate) name: String,
    /// The device on the hub's bridge.
    device: String,
    /// Its address.
    pub(crate) address: Ipv4Addr,
}

/// Which packets of a member are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Both,
    In,
    Out,
}

/// What happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// They vanish.
    Drop,
    /// The sender gets a reset.
    Reject,
    /// This many in a hundred vanish.
    Loss(u8),
}

/// A cut in force; undone by [`Cut::heal`].
#[derive(Debug)]
pub(crate) struct Cut {
    space: Space,
    rules: Vec<Vec<String>>,
}

impl Net {
    /// Makes the hub and moves this thread into it. Must come before any other thread is started: they inherit it.
    pub(crate) fn enter(run: &str) -> anyhow::Result<Self> {
        let net = Self { run: run.to_owned(), spaces: Vec::new() };
        let hub = net.full("hub");
        ip(&["netns", "add", &hub]).context("making network namespaces needs root and iproute2")?;
        let file = std::fs::File::open(format!("{FOLDER}/{hub}")).context("open the hub's namespace")?;
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind)
            .context("enter the hub's namespace")?;
        ip(&["link", "set", "lo", "up"])?;
        ip(&["link", "add", "hub", "type", "bridge"])?;
        ip(&["addr", "add", &format!("{HUB}/24"), "dev", "hub"])?;
        ip(&["link", "set", "hub", "up"])?;
        Ok(net)
    }

    /// The hub's address, where the proxies listen.
    pub(crate) fn hub() -> Ipv4Addr {
        HUB
    }

    /// Makes the namespace of a member, `device` being its short name.
    pub(crate) fn add(&mut self, device: &str) -> anyhow::Result<Space> {
        let host = u8::try_from(self.spaces.len() + 10).context("too many members")?;
        let address = Ipv4Addr::new(10, 99, 0, host);
        let space = Space { name: self.full(device), device: device.to_owned(), address };
        let name = space.name.as_str();
        ip(&["netns", "add", name])?;
        // Known from here on, so that it is removed.
        self.spaces.push(space.clone());
        ip(&["link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["link", "set", device, "master", "hub", "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(space)
    }

    fn full(&self, name: &str) -> String {
        format!("{}-{name}", self.run)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in &self.spaces {
            for pid in space.processes() {
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                // Whoever is gone needs no signal.
                let _gone = pid.map(|pid| kill_process(pid, Signal::KILL));
            }
            let _removed = ip(&["netns", "del", &space.name]);
        }
        let _removed = ip(&["netns", "del", &self.full("hub")]);
    }
}

impl Space {
    /// `program` to be run inside. `ip netns exec` would hide `/sys/fs/cgroup`, so it is `nsenter`.
    pub(crate) fn command(&self, program: &std::ffi::OsStr) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("nsenter");
        command.arg(format!("--net={FOLDER}/{}", self.name)).arg("--").arg(program);
        command
    }

    /// Ids of the processes that live inside.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let found = run("ip", &["netns", "pids", &self.name]).unwrap_or_default();
        found.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Takes the cable out, or puts it back.
    pub(crate) fn set_link(&self, up: bool) -> anyhow::Result<()> {
        ip(&["link", "set", &self.device, if up { "up" } else { "down" }])
    }

    /// Cuts this member off from `peer`, or from everybody.
    pub(crate) fn cut(&self, peer: Option<Ipv4Addr>, way: Way, style: Style) -> anyhow::Result<Cut> {
        let mut cut = Cut { space: self.clone(), rules: Vec::new() };
        for (chain, side, device) in [("INPUT", "-s", "-i"), ("OUTPUT", "-d", "-o")] {
            if (chain == "INPUT" && way == Way::Out) || (chain == "OUTPUT" && way == Way::In) {
                continue;
            }
            let mut rule: Vec<String> = [chain, device, "eth0"].map(str::to_owned).to_vec();
            rule.extend(peer.iter().flat_map(|peer| [side.to_owned(), peer.to_string()]));
            let target: &[&str] = match style {
                Style::Drop => &["-j", "DROP"],
                Style::Reject => &["-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"],
                Style::Loss(percent) => {
                    let probability = format!("{:.2}", f64::from(percent) / 100.0);
                    rule.extend(["-m", "statistic", "--mode", "random", "--probability"].map(str::to_owned));
                    rule.push(probability);
                    &["-j", "DROP"]
                }
            };
            rule.extend(target.iter().map(|&word| word.to_owned()));
            cut.apply("-A", &rule)?;
            cut.rules.push(rule);
        }
        Ok(cut)
    }
}

impl Cut {
    fn apply(&self, verb: &str, rule: &[String]) -> anyhow::Result<()> {
        let entered = format!("--net={FOLDER}/{}", self.space.name);
        let mut words = vec![entered.as_str(), "iptables", "-w", verb];
        words.extend(rule.iter().map(String::as_str));
        run("nsenter", &words).map(drop)
    }

    /// Lets the packets through again.
    pub(crate) fn heal(self) -> anyhow::Result<()> {
        self.rules.iter().try_for_each(|rule| self.apply("-D", rule))
    }
}

fn ip(words: &[&str]) -> anyhow::Result<()> {
    run("ip", words).map(drop)
}

/// Runs a system program to its end; what it printed.
pub(crate) fn run(program: &str, words: &[&str]) -> anyhow::Result<String> {
    let ran = Command::new(program).args(words).stdin(Stdio::null()).output();
    let ran = ran.with_context(|| format!("run {program} {}", words.join(" ")))?;
    if !ran.status.success() {
        bail!("{program} {}: {}", words.join(" "), String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}
