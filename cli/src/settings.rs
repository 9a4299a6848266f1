//! Which cluster a command speaks to: flag, then environment, then context, then this machine.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;
use dockmgr_client::{Client, Options, Told};
use dockmgr_core::trace::{self, TraceParent};
use dockmgr_support::channel::{Address, Credentials};
use dockmgr_support::dev_token;
use dockmgr_support::secret::ApiToken;

use crate::contexts::{Context, Contexts};
use crate::failure::Failure;
use crate::output::say;

/// Where `cluster-cli dev` listens.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7443";

/// Flags that say how to reach the cluster, the same for every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Reaching the cluster")]
pub(crate) struct Reach {
    /// Coordinator to speak to, several separated by commas.
    #[arg(
        long,
        global = true,
        help = "Coordinator to speak to, several separated by commas [env: DOCKMGR_SERVER] [default: http://127.0.0.1:7443]",
        value_name = "URL"
    )]
    pub(crate) server: Option<String>,
    /// Context to use.
    #[arg(long, global = true, help = "Context to use [env: DOCKMGR_CONTEXT]", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Authority that signed the coordinator's certificate.
    #[arg(
        long,
        global = true,
        help = "Authority that signed the coordinator's certificate [env: DOCKMGR_CA]",
        value_name = "FILE"
    )]
    pub(crate) ca: Option<PathBuf>,
    /// Client certificate.
    #[arg(long, global = true, help = "Client certificate [env: DOCKMGR_CERT]", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Key of the client certificate; also --key, except in run and submit.
    #[arg(
        long,
        global = true,
        help = "Key of the client certificate; also --key, except in run and submit [env: DOCKMGR_KEY]",
        value_name = "FILE"
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// File with the API token; others must not be able to read it.
    #[arg(
        long,
        global = true,
        help = "File with the API token; others must not be able to read it [env: DOCKMGR_TOKEN_FILE]",
        value_name = "FILE"
    )]
    pub(crate) token_file: Option<PathBuf>,
}

impl Reach {
    /// Connects to the cluster.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        Ok(Client::connect(self.options()?).await?)
    }

    /// Where and how to connect, from all the places that can say so.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        let context = self.effective()?;
        let mut servers = Vec::new();
        for text in context.server.split(',') {
            let address = Address::parse(text.trim()).map_err(|error| {
                Failure::usage(error.to_string()).hint("give --server http://HOST:PORT or https://HOST:PORT")
            })?;
            servers.push(address);
        }
        let token = match &context.token_file {
            Some(path) => Some(read_token(path)?),
            None => dev_token_for(&servers),
        };
        let credentials = Credentials { ca: context.ca, cert: context.cert, key: context.key, token };
        Ok(Options {
            trace_parent: env::var(trace::VARIABLE).ok().and_then(|text| TraceParent::parse(&text)),
            told: Told::new(|error| say(&format!("{error}; trying again"))),
            ..Options::new(servers, credentials)
        })
    }

    /// Flags over environment over context over defaults.
    fn effective(&self) -> Result<Context, Failure> {
        let named = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let file =
            |flag: &Option<PathBuf>, name: &str| flag.clone().or_else(|| named(name).map(PathBuf::from));
        let server = self.server.clone().or_else(|| {
            // A context that was named by flag is nearer than a server in the environment.
            if self.context.is_some() { None } else { named("DOCKMGR_SERVER") }
        });
        let context =
            self.context.clone().or_else(|| if server.is_some() { None } else { named("DOCKMGR_CONTEXT") });
        let base = match (&context, &server) {
            (Some(name), _) => Contexts::load()?.get(name)?.clone(),
            (None, Some(_)) => Context::default(),
            (None, None) => {
                let contexts = Contexts::load()?;
                match &contexts.current {
                    Some(name) => contexts.get(name)?.clone(),
                    None => Context { server: DEFAULT_SERVER.to_owned(), ..Context::default() },
                }
            }
        };
        Ok(Context {
            server: server.unwrap_or(base.server),
            ca: file(&self.ca, "DOCKMGR_CA").or(base.ca),
            cert: file(&self.cert, "DOCKMGR_CERT").or(base.cert),
            key: file(&self.tls_key, "DOCKMGR_KEY").or(base.key),
            token_file: file(&self.token_file, "DOCKMGR_TOKEN_FILE").or(base.token_file),
        })
    }
}

fn read_token(path: &Path) -> Result<ApiToken, Failure> {
    ApiToken::read(path)
        .map_err(|error| Failure::usage(dockmgr_support::error_chain::Chain(&error).to_string()))
}

/// The token that `dev` of the same user left for this loopback server, if there is one.
fn dev_token_for(servers: &[Address]) -> Option<ApiToken> {
    let [server] = servers else { return None };
    if !server.is_loopback() {
        return None;
    }
    ApiToken::read(&dev_token::path(server.uri().port_u16()?)?).ok()
}
