//! `version`: of this program, and of the workers of the cluster where one can be reached.

use crate::failure::Failure;
use crate::output;
use crate::settings::Reach;
use crate::terminal::escape_line;

/// Version of this program.
pub(super) const OURS: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ask no cluster
    #[arg(long)]
    client: bool,
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    output::print(&format!("cluster-cli {OURS}\n"))?;
    if args.client {
        return Ok(0);
    }
    let client = reach.connect().await?;
    for node in client.all_nodes().await? {
        let (name, version) = (escape_line(&node.display_name), escape_line(&node.worker_version));
        output::print(&format!("worker {name} {version}, runtime {}\n", escape_line(&node.runtime_version)))?;
    }
    Ok(0)
}
