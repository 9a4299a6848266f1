//! `cluster-cli`: the command line of dockmgr.
//!
//! Owns the way in and out: reads the words, runs one command, turns its end into an exit code. Suggested reading order:
//! `args`, `commands`, `spec`, `follow`, `output`.

mod args;
mod commands;
mod contexts;
mod exit;
mod failure;
mod follow;
mod hits;
mod input;
mod job_ref;
mod lines;
mod output;
mod parse;
mod settings;
mod spec;
mod terminal;
mod top;

use std::process::ExitCode;

use dockmgr_support::telemetry;

use crate::exit::Speaks;
use crate::failure::Failure;

fn main() -> ExitCode {
    ExitCode::from(act())
}

fn act() -> u8 {
    let cli = match args::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(misunderstood) => return refuse(&misunderstood),
    };
    let Some(command) = cli.command else {
        output::say(args::SHORT_HELP.trim_end());
        return 2;
    };
    let speaks = command.speaks();
    let reach = cli.reach;
    let ended = start().and_then(|runtime| {
        let ended = runtime.block_on(command.execute(&reach));
        // A write that nobody reads may hang for ever; it must not hold us.
        runtime.shutdown_background();
        ended
    });
    ended.unwrap_or_else(|failure| {
        let text = failure.to_string();
        if !text.is_empty() {
            output::say(text.trim_end());
        }
        exit::of_failure(&failure, speaks)
    })
}

/// Logging where a person asked for it, and the runtime.
fn start() -> Result<tokio::runtime::Runtime, Failure> {
    if let Ok(level) = std::env::var("DOCKMGR_LOG") {
        telemetry::start(telemetry::Format::Text, &level)
            .map_err(|problem| Failure::usage(format!("DOCKMGR_LOG: {problem}")))?;
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("start the runtime: {error}")))
}

/// Prints help that was asked for, or what is wrong with the line.
fn refuse(misunderstood: &args::Misunderstood) -> u8 {
    let error = &misunderstood.error;
    let printed = error.print();
    if !args::was_asked_for(error) {
        return exit::of_failure(&Failure::usage(""), misunderstood.speaks);
    }
    match printed.map_err(Failure::from) {
        Ok(()) => 0,
        Err(failure) => {
            output::say(failure.to_string().trim_end());
            exit::of_failure(&failure, Speaks::ForItself)
        }
    }
}
