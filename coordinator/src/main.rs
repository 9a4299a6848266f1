//! `dockmgr-coordinator`: settings, log lines, run or `fsck`, exit code.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use dockmgr_coordinator::config::{Args, Command, CommandLine, Config};
use dockmgr_coordinator::{app, logs};
use dockmgr_support::error_chain::Chain;
use dockmgr_support::tasks::Tasks;
use dockmgr_support::{crypto, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

/// Exit code for settings that cannot be used.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let CommandLine { serve: args, command } = CommandLine::parse();
    match command {
        None => match settings(args) {
            Ok(config) => serve(config).await,
            Err(code) => code,
        },
        Some(Command::Fsck { repair, settings: args }) => match settings(*args) {
            Ok(config) => fsck(&config, repair).await,
            Err(code) => code,
        },
    }
}

/// Checks the settings and begins to log as they say.
fn settings(args: Args) -> Result<Config, ExitCode> {
    telemetry::start(args.log_format, &args.log_level).map_err(|problem| fail(&problem, USAGE))?;
    crypto::install();
    Config::new(args).map_err(|error| fail(&Chain(&error).to_string(), USAGE))
}

async fn serve(config: Config) -> ExitCode {
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

async fn fsck(config: &Config, repair: bool) -> ExitCode {
    let mut tell = |problem: &logs::Problem| say(&problem.to_string());
    match logs::fsck(&config.logs, config.sealed_at.as_ref(), repair, &mut tell).await {
        Ok(report) => {
            say(&report.to_string());
            ExitCode::from(u8::from(!report.is_sound()))
        }
        Err(error) => fail(&Chain(&error).to_string(), 1),
    }
}

/// Prints a line; one that nobody reads ends nothing, for the exit code counts.
fn say(line: &str) {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => tracing::warn!(error = %error, "a line could not be printed"),
    }
}

#[expect(clippy::print_stderr, reason = "the last word of the program, for the person who started it")]
fn fail(problem: &str, code: u8) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::from(code)
}
