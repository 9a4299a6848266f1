//! `node`: the hosts of the cluster.

use std::time::Duration;

use clap::Subcommand;
use dockmgr_client::Client;
use dockmgr_proto::v1::{DeleteNodeRequest, DrainNodeRequest, GetNodeRequest, Node, ResumeNodeRequest};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::parse;
use crate::settings::Reach;
use crate::terminal::escape_line;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the nodes
    Ls {
        /// How the nodes are written
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show the records of nodes
    Inspect {
        /// How the records are written
        #[arg(short, long, value_enum, default_value_t = Format::Json)]
        output: Format,
        /// Nodes: name or id
        #[arg(required = true, value_name = "NODE", value_parser = reference)]
        nodes: Vec<String>,
    },
    /// Give nodes no new work; what runs goes on, or is handed over at a deadline
    Drain {
        /// Stop what still runs after this time and let it go on elsewhere, for example 10m; 0s means at once
        #[arg(long, value_name = "TIME", value_parser = parse::duration, allow_hyphen_values = true)]
        deadline: Option<Duration>,
        /// Nodes: name or id
        #[arg(required = true, value_name = "NODE", value_parser = reference)]
        nodes: Vec<String>,
    },
    /// Give drained nodes work again
    Resume {
        /// Nodes: name or id
        #[arg(required = true, value_name = "NODE", value_parser = reference)]
        nodes: Vec<String>,
    },
    /// Forget silent nodes
    Rm {
        /// Give up what may still run there: its attempts end as lost
        #[arg(long)]
        declare_lost: bool,
        /// Nodes: name or id
        #[arg(required = true, value_name = "NODE", value_parser = reference)]
        nodes: Vec<String>,
    },
}

pub(crate) async fn execute(reach: &Reach, args: Args) -> Result<u8, Failure> {
    let client = &reach.connect().await?;
    match args.action {
        Action::Ls { output } => {
            let nodes = client.all_nodes().await?;
            output::list(output, &nodes)?;
            if let Some(reason) = common_reason(&nodes) {
                output::say(&format!("no node takes work: {}", escape_line(reason)));
            }
            Ok(0)
        }
        Action::Inspect { output, nodes } => inspect(client, nodes, output).await,
        Action::Drain { nodes, deadline } => {
            super::each(nodes, |node| async move {
                let request = DrainNodeRequest {
                    node: node.clone(),
                    request_id: String::new(),
                    deadline: deadline.map(Into::into),
                };
                client.drain_node(request).await?;
                output::print(&format!("{node}\n"))
            })
            .await
        }
        Action::Resume { nodes } => {
            super::each(nodes, |node| async move {
                client
                    .resume_node(ResumeNodeRequest { node: node.clone(), ..ResumeNodeRequest::default() })
                    .await?;
                output::print(&format!("{node}\n"))
            })
            .await
        }
        Action::Rm { declare_lost, nodes } => {
            super::each(nodes, |node| async move {
                let gone = client.delete_node(DeleteNodeRequest { node: node.clone(), declare_lost }).await?;
                if gone.lost_attempts > 0 {
                    output::say(&format!("{} attempts on {node} ended as lost", gone.lost_attempts));
                }
                output::print(&format!("{node}\n"))
            })
            .await
        }
    }
}

/// Why no node takes work, if that is the same for all: then it is hardly the nodes' fault.
fn common_reason(nodes: &[Node]) -> Option<&str> {
    let (first, others) = nodes.split_first()?;
    let [reason] = first.reasons.as_slice() else { return None };
    others.iter().all(|node| node.reasons == first.reasons).then_some(reason.as_str())
}

async fn inspect(client: &Client, nodes: Vec<String>, format: Format) -> Result<u8, Failure> {
    let mut found = Vec::with_capacity(nodes.len());
    for node in nodes {
        let answer = client.get_node(GetNodeRequest { node }).await?;
        found.push(answer.node.ok_or_else(|| super::missing("node"))?);
    }
    output::objects(format, &found)?;
    Ok(0)
}

/// A name or id of a node, checked for its shape only.
fn reference(text: &str) -> Result<String, String> {
    let fits = (1..=255).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    if fits && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(64).flat_map(char::escape_default).collect();
    Err(format!("'{shown}' is no node: give its name or id"))
}
