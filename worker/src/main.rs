//! The worker program.

use std::process::ExitCode;

use clap::Parser as _;
use dockmgr_support::telemetry;
use dockmgr_worker::config::{Config, Flags, Part};
use dockmgr_worker::{app, data_dir, guard};

/// Another worker, or another guard, holds the data folder; `EX_TEMPFAIL`.
const LOCKED: u8 = 75;
/// The command line, the environment or the configuration file is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => {
            // Help and version go to stdout with code 0, errors to stderr with code 2.
            let code = if error.use_stderr() { USAGE } else { 0 };
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    if let Some(Part::Guard(flags)) = flags.part {
        return stand_guard(&flags.into());
    }
    let started = Config::new(flags).map_err(anyhow::Error::from).and_then(|config| {
        telemetry::start(config.log_format, &config.log_level).map_err(anyhow::Error::msg)?;
        Ok(config)
    });
    match started {
        Ok(config) => run(config),
        Err(error) => complain(&error, USAGE),
    }
}

fn run(config: Config) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into(), 1),
    };
    match runtime.block_on(app::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let locked = matches!(error.downcast_ref(), Some(data_dir::Error::Locked(_)));
            complain(&error, if locked { LOCKED } else { 1 })
        }
    }
}

fn stand_guard(options: &guard::Options) -> ExitCode {
    if let Err(problem) = telemetry::start(telemetry::Format::Text, "info") {
        return complain(&anyhow::Error::msg(problem), 1);
    }
    match guard::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = if matches!(error, guard::Error::Locked(_)) { LOCKED } else { 1 };
            complain(&error.into(), code)
        }
    }
}

/// Says on stderr why the program ends.
#[expect(clippy::print_stderr, reason = "the program's last word must not depend on the log filter")]
fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("dockmgr-worker: {error:#}");
    ExitCode::from(code)
}
