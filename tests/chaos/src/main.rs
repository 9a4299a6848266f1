//! Chaos on real processes: a whole cluster in network namespaces of its own, a seeded plan of faults, users, and an oracle.
//!
//! ```text
//! plan (seed) --> faults --> world: 3 etcd, 3 coordinators, workers  <-- load: submit, stop, follow, wait
//!                               |                                              |
//!                               +------ executions, leaks --> oracle <---------+ what they saw
//! ```
//! `make chaos MINUTES=n [SEED=x] [PROFILE=fake|docker|both]`. Exits with 1 on any violation, with 2 when it could not run.

mod faults;
mod job;
mod load;
mod oracle;
mod plan;
mod report;
mod run;
mod world;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

/// Seeded faults against a whole cluster of real processes.
#[derive(Debug, clap::Parser)]
#[command(name = "dockmgr-chaos")]
struct Args {
    /// How long the faults last, for each profile; fractions allowed.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Decides the faults and the jobs; random if not given, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// What runs the containers.
    #[arg(long, default_value = "both")]
    profile: Profiles,
    /// Keeps the folder with all logs even if nothing was wrong.
    #[arg(long)]
    keep: bool,
}

/// What the person may ask for.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Profiles {
    Fake,
    Docker,
    Both,
}

/// What runs the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The fake, four workers, many jobs.
    Fake,
    /// A Docker daemon of the run's own, two workers.
    Docker,
}

impl Profile {
    /// How many workers there are.
    pub(crate) fn workers(self) -> usize {
        match self {
            Self::Fake => 4,
            Self::Docker => 2,
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000));
    let profiles: &[Profile] = match args.profile {
        Profiles::Fake => &[Profile::Fake],
        Profiles::Docker => &[Profile::Docker],
        Profiles::Both => &[Profile::Fake, Profile::Docker],
    };
    let length = Duration::from_secs_f64(args.minutes * 60.0);
    let mut code = ExitCode::SUCCESS;
    for profile in profiles {
        say(&format!("chaos: profile {profile:?}, {} s, SEED={seed}", length.as_secs()));
        match run::run(seed, *profile, length, args.keep) {
            Ok(run::Outcome::Clean) => {}
            Ok(run::Outcome::Violations) => code = ExitCode::FAILURE,
            Ok(run::Outcome::Interrupted) => return ExitCode::from(130),
            Err(error) => {
                say(&format!("chaos: could not run: {error:#}"));
                return ExitCode::from(2);
            }
        }
    }
    code
}

/// Prints a line.
pub(crate) fn say(text: &str) {
    // Whoever closed the pipe does not read it.
    let _closed = writeln!(std::io::stdout(), "{text}");
}
