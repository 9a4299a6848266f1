//! The guard: a small process of its own that kills fenced containers when the worker cannot.
//!
//! Owns the program `dockmgr-worker guard`, what the worker writes down for it, and keeping it running. The rule which
//! containers must not live is [`dockmgr_core::agent::guard_kills`]. It needs neither the worker nor the container daemon:
//! it reads three kinds of small files and kills through the kernel's control groups.
//!
//! ```text
//!  worker --contact, guard/42.0.1---> data folder ---every 500 ms---> guard --fenced for longer than the grace--> kernel
//!     |                                   ^                             |
//!     +--keeps it running, lock held?     +------guard/42.0.1.killed----+   (the worker reads it when it is back)
//! ```
//!
//! The guard looks at the files again and again and remembers nothing that matters, so it may be killed and started again
//! at any moment. It is in a session of its own: who ends the worker's process group leaves it alone.

use std::path::{Path, PathBuf};

use dockmgr_support::clock;

use crate::runtime::fake;

mod cgroup;
mod keeper;
mod process;
mod records;
mod remains;

pub use cgroup::Cgroups;
pub use keeper::{Keeper, Mode};
pub use process::{Error, Options, run};
pub use records::Records;
pub use remains::Remains;

/// How processes of a container are killed without its daemon.
#[derive(Debug)]
pub enum Killer {
    /// Through its control group.
    Cgroup(Cgroups),
    /// By an order to the fake daemon whose state is in this folder.
    Fake(PathBuf),
}

impl Killer {
    /// The way to kill what the worker of a data folder runs.
    pub fn of(data: &Path) -> std::io::Result<Self> {
        let fake = data.join(fake::FOLDER);
        if fake.is_dir() { Ok(Self::Fake(fake)) } else { Cgroups::of_this_machine().map(Self::Cgroup) }
    }

    /// Whether a container of this full id has processes.
    pub fn is_alive(&self, container: &str) -> bool {
        match self {
            Self::Cgroup(cgroups) => cgroups.is_alive(container),
            Self::Fake(folder) => !fake::is_ordered(folder, container),
        }
    }

    /// Kills everything in it; `true` if nothing lives any more.
    pub fn kill(&self, container: &str) -> bool {
        match self {
            Self::Cgroup(cgroups) => cgroups.kill(container),
            Self::Fake(folder) => fake::order_kill(folder, container, clock::boot_nanos()).is_ok(),
        }
    }
}
