//! `context`: names for clusters.

use std::path::PathBuf;

use clap::Subcommand;
use dockmgr_support::channel::Address;

use crate::contexts::{Context, Contexts};
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the contexts; * marks the one in use
    Ls,
    /// Use a context from now on
    Use {
        /// Its name
        name: String,
    },
    /// Add or replace a context, from the flags --server, --ca, --cert, --key and --token-file
    Add {
        /// Its name
        name: String,
        /// Use it from now on
        #[arg(long)]
        r#use: bool,
    },
}

pub(crate) fn execute(args: Args, reach: &crate::settings::Reach) -> Result<u8, Failure> {
    let mut contexts = Contexts::load()?;
    match args.action {
        Action::Ls => {
            let rows = contexts.contexts.iter().map(|(name, context)| {
                let used = if contexts.current.as_ref() == Some(name) { "*" } else { "" };
                vec![used.to_owned(), name.clone(), context.server.clone()]
            });
            output::print(&output::columns(&["USED", "NAME", "SERVER"], rows))?;
        }
        Action::Use { name } => {
            contexts.get(&name)?;
            contexts.current = Some(name);
            contexts.save()?;
        }
        Action::Add { name, r#use } => {
            let fits = (1..=63).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !fits {
                return Err(Failure::usage("a context's name has 1 to 63 letters, digits, '.', '_' or '-'"));
            }
            contexts.contexts.insert(name.clone(), wanted(reach)?);
            if r#use || contexts.contexts.len() == 1 {
                contexts.current = Some(name);
            }
            contexts.save()?;
        }
    }
    Ok(0)
}

fn wanted(reach: &crate::settings::Reach) -> Result<Context, Failure> {
    let server = reach.server.clone().ok_or_else(|| Failure::usage("context add needs --server URL"))?;
    for text in server.split(',') {
        Address::parse(text.trim()).map_err(|error| Failure::usage(error.to_string()))?;
    }
    let absolute = |path: &Option<PathBuf>| -> Result<Option<PathBuf>, Failure> {
        let made = path.as_ref().map(std::path::absolute).transpose();
        made.map_err(|error| Failure::usage(format!("make a path absolute: {error}")))
    };
    Ok(Context {
        server,
        ca: absolute(&reach.ca)?,
        cert: absolute(&reach.cert)?,
        key: absolute(&reach.tls_key)?,
        token_file: absolute(&reach.token_file)?,
    })
}
