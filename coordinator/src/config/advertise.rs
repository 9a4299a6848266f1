//! The address the other coordinators are told.

use std::net::SocketAddr;

use dockmgr_support::channel::Address;

use super::{Config, Error, setting};
use crate::store;

/// Checks what was given, and that something was given where it cannot be derived: several coordinators share an etcd, and
/// `0.0.0.0` is no address to reach one at.
pub(super) fn checked(
    given: Option<String>,
    listen: SocketAddr,
    tls: bool,
    store: &store::Config,
) -> Result<Option<Address>, Error> {
    let address = given.map(|text| Address::parse(&text)).transpose();
    let address = address.map_err(|error| setting("--advertise", error.to_string()))?;
    match &address {
        Some(address) if address.is_tls() != tls => {
            let scheme = if tls { "https" } else { "http" };
            Err(setting("--advertise", format!("must begin with {scheme}:// as the API is served so")))
        }
        None if listen.ip().is_unspecified() && matches!(store, store::Config::Etcd(_)) => Err(setting(
            "--advertise",
            format!("--listen {listen} does not tell where others reach this coordinator: give its URL"),
        )),
        Some(_) | None => Ok(address),
    }
}

impl Config {
    /// The URL to tell the others, with the address that is really bound; empty if there is none to tell.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        match &self.advertise {
            Some(address) => address.to_string().trim_end_matches('/').to_owned(),
            None if bound.ip().is_unspecified() => String::new(),
            None => format!("{}://{bound}", if self.tls.is_some() { "https" } else { "http" }),
        }
    }

    /// The names by which browsers may call: those that were given, and the one the others are told.
    pub(crate) fn web_hosts(&self) -> Vec<String> {
        let advertised = self.advertise.as_ref().and_then(|address| {
            let uri: http::Uri = address.to_string().parse().ok()?;
            uri.host().map(str::to_owned)
        });
        self.web_host.iter().cloned().chain(advertised).collect()
    }
}
