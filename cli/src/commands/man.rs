//! `man`: manual pages, one a command, for packages.

use std::fs;
use std::path::PathBuf;

use clap_mangen::Man;

use crate::args;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to write into; it is made if it is missing
    folder: PathBuf,
}

pub(crate) fn execute(args: &Args) -> Result<u8, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::failed(format!("write manual pages into '{}': {error}", args.folder.display()))
    };
    fs::create_dir_all(&args.folder).map_err(cannot)?;
    let mut whole = args::describe();
    whole.build();
    let mut commands = vec![whole];
    while let Some(command) = commands.pop() {
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
        commands.extend(shown.cloned());
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).replace(' ', "-");
        let mut page = Vec::new();
        Man::new(command.display_name(name.clone())).render(&mut page).map_err(cannot)?;
        fs::write(args.folder.join(format!("{name}.1")), page).map_err(cannot)?;
        output::print(&format!("{name}.1\n"))?;
    }
    Ok(0)
}
