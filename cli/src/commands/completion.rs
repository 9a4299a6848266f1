//! `completion`: a script for a shell.

use clap_complete::Shell;

use crate::args;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn execute(args: &Args) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::describe(), "cluster-cli", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
