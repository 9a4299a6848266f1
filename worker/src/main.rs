//! The worker program.

use std::process::ExitCode;

use clap::Parser as _;
use dockmgr_support::telemetry;
use dockmgr_worker::config::{Config, Flags};
use dockmgr_worker::{app, data_dir};

/// Another worker holds the data folder; `EX_TEMPFAIL`.
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

/// Says on stderr why the program ends.
#[expect(clippy::print_stderr, reason = "the program's last word must not depend on the log filter")]
fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("dockmgr-worker: {error:#}");
    ExitCode::from(code)
}
