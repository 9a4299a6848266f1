//! The command line: serving, unless it names something else to do.

use clap::{Parser, Subcommand};

use super::Args;

/// Serves the dockmgr API, schedules jobs onto workers, keeps their state and their output.
#[derive(Debug, Parser)]
#[command(name = "dockmgr-coordinator", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// Settings of serving.
    #[command(flatten)]
    pub serve: Args,
    /// What else is to be done.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Something that is done instead of serving, with the same settings.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reads all kept output, plain and packed, and says what is damaged; exit code 1 if something is.
    Fsck {
        /// Make damaged indexes of packed output anew; stop the coordinators first.
        #[arg(long)]
        repair: bool,
        /// Settings of serving.
        #[command(flatten)]
        settings: Box<Args>,
    },
}
