//! The simulation: whole clusters in virtual time, one for each seed.
//!
//! The decisions are the real ones of `dockmgr-core`; services, network, clocks and disks are models; faults come from the
//! seed. See docs/simulation.md. `sim --seeds N [--seed X]` runs N seeds from X on; one seed is replayed with its trace.

mod client;
mod clock;
mod coordinator;
mod faults;
mod host;
mod net;
mod oracle;
mod output;
mod random;
mod records;
mod regressions;
mod report;
mod run;
mod settings;
mod shrink;
mod sometimes;
mod store;
mod watcher;
mod weather;
mod worker;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    match report::Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => report::carry_out(&arguments),
        Err(problem) => report::complain(&problem),
    }
}
