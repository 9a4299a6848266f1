//! `top`: workers and jobs on one screen.

use std::io::{self, IsTerminal as _};

use crate::failure::Failure;
use crate::settings::Reach;
use crate::top;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Keys: q leaves, up and down choose a job, Enter describes it, l shows its output, s sorts, f shows failures,
? tells all of them. NO_COLOR=1 takes the colours away.")]
pub(crate) struct Args {}

pub(crate) async fn execute(reach: &Reach, _: Args) -> Result<u8, Failure> {
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return Err(Failure::usage("top needs a terminal to draw on, and keys to read from")
            .hint("cluster-cli ps, node ls and events print the same as text"));
    }
    top::show(&reach.connect().await?).await
}
