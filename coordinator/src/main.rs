//! `dockmgr-coordinator`: settings, log lines, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use dockmgr_coordinator::{app, config};
use dockmgr_support::error_chain::Chain;
use dockmgr_support::tasks::Tasks;
use dockmgr_support::{crypto, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

/// Exit code for settings that cannot be used.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let args = config::Args::parse();
    if let Err(problem) = telemetry::start(args.log_format, &args.log_level) {
        return fail(&problem, USAGE);
    }
    crypto::install();
    let config = match config::Config::new(args) {
        Ok(config) => config,
        Err(error) => return fail(&Chain(&error).to_string(), USAGE),
    };
    let tasks = Tasks::of_program(CancellationToken::new());
    let stop = match shutdown::on_signals(&tasks) {
        Ok(stop) => stop,
        Err(error) => return fail(&format!("listen for signals: {error}"), 1),
    };
    match app::run(config, &tasks, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&Chain(&error).to_string(), error.exit_code()),
    }
}

#[expect(clippy::print_stderr, reason = "the last word of the program, for the person who started it")]
fn fail(problem: &str, code: u8) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::from(code)
}
