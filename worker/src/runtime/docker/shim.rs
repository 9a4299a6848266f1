//! Whether the process that holds a container dies before the container does.
//!
//! Owns the watch. The daemon tells such an end as exit code 137, the same as a kill of the command by anybody. The kernel
//! shows the order: an end of the container's own leaves its holder (the shim) alive until the daemon has heard of it.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A container's first process and the one that holds it.
#[derive(Debug)]
pub(super) struct Shim {
    holder: AsyncFd<OwnedFd>,
    first: OwnedFd,
}

impl Shim {
    /// Watches the holder of the container whose first process is `pid`; `None` where processes cannot be seen.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let first = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let opened = pidfd_open(first, PidfdFlags::empty()).ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let holder = parent(&stat).filter(|holder| *holder > 1).and_then(Pid::from_raw)?;
        let holder = pidfd_open(holder, PidfdFlags::NONBLOCK).ok()?;
        // Looked at before the holder was: a number that was used again since would show here.
        let still_there = !has_ended(&opened);
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an owned descriptor that nobody else has is sound here"
        )]
        let holder = AsyncFd::with_interest(holder, Interest::READABLE).ok()?;
        still_there.then_some(Self { holder, first: opened })
    }

    /// Resolves when the holder has ended: whether the container was alive then. Cancel safe.
    pub(super) async fn died_first(&self) -> bool {
        let ended = self.holder.readable().await.is_ok();
        ended && !has_ended(&self.first)
    }
}

fn has_ended(process: &OwnedFd) -> bool {
    let mut watched = [PollFd::new(process, PollFlags::IN)];
    poll(&mut watched, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// The parent in a process's `stat` line. The name before it may hold anything.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// A shell with a child of its own, and the child's number.
    fn family() -> (std::process::Child, u32) {
        use std::io::{BufRead as _, BufReader};
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let out = shell.stdout.as_mut().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("reads");
        (shell, line.trim().parse().expect("a number"))
    }

    fn kill(pid: u32) {
        let pid = Pid::from_raw(i32::try_from(pid).expect("small")).expect("not zero");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is ours");
    }

    #[tokio::test]
    async fn d14_the_order_of_two_deaths_is_told() {
        let (mut holder, first) = family();
        let shim = Shim::of(first).expect("its own processes are visible");
        holder.kill().expect("kills");
        assert!(shim.died_first().await, "the holder died, what it held lives");
        kill(first);
        holder.wait().expect("ends");
        let (mut holder, first) = family();
        let shim = Shim::of(first).expect("visible");
        kill(first);
        holder.wait().expect("it ends when its child does");
        assert!(!shim.died_first().await, "the child was first");
        assert!(Shim::of(first).is_none(), "nobody is there any more");
    }

    #[test]
    fn the_parent_stands_behind_any_name() {
        assert_eq!(parent("42 (a ) b) S 17 42 42"), Some(17));
        assert_eq!(parent("42 (a"), None);
    }
}
