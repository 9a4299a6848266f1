//! Connections to a coordinator: addresses, TLS material, keep-alive, the token header.
//!
//! Owns how a connection is made; who retries and when is the caller's. Used by the client and by the worker's session
//! and upload, which each open a connection of their own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Request, Status};

use crate::secret::ApiToken;

/// Longest wait for a connection: a coordinator on any sane network answers within a fraction of it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often an idle connection is probed, so that a vanished peer is noticed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a probe may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a connection cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not an address of a coordinator.
    #[error("'{text}' is not a coordinator address: {problem}")]
    Address {
        /// What was given, escaped.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file of the TLS material cannot be read.
    #[error("read {what} '{}'", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A certificate without its key, or the reverse.
    #[error("a client certificate and its key belong together: give both or none")]
    HalfIdentity,
    /// The TLS material cannot be used.
    #[error("use the TLS files")]
    Tls(#[source] tonic::transport::Error),
}

/// Where TLS material and token come from; all optional.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Authority that signed the coordinator's certificate.
    pub ca: Option<PathBuf>,
    /// Client certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// API token.
    pub token: Option<ApiToken>,
}

/// A coordinator's address: `http` or `https`, host, port, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Uri);

impl Address {
    /// Parses an address such as `http://127.0.0.1:7443`.
    ///
    /// # Errors
    /// [`Error::Address`] saying what is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |problem| Error::Address {
            text: text.chars().take(120).flat_map(char::escape_default).collect(),
            problem,
        };
        let uri: Uri = text.parse().map_err(|_| refuse("it is not a URL such as http://127.0.0.1:7443"))?;
        match uri.scheme_str() {
            Some("http" | "https") => {}
            Some(_) => return Err(refuse("its scheme must be http or https")),
            None => return Err(refuse("it must begin with http:// or https://")),
        }
        let authority = uri.authority().ok_or_else(|| refuse("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("it must not contain a user or password: use --token-file"));
        }
        if authority.host().is_empty() {
            return Err(refuse("it has no host"));
        }
        if authority.port_u16() == Some(0)
            || (authority.port_u16().is_none() && authority.as_str() != authority.host())
        {
            return Err(refuse("its port is not usable"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refuse("it must not have a path"));
        }
        Ok(Self(uri))
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Whether the host is this machine's loopback, by number or as `localhost`.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The address as a URI.
    pub fn uri(&self) -> &Uri {
        &self.0
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Prepares a connection; nothing is sent before its first use.
///
/// Windows are tonic's defaults; a caller that streams bulk sets its own on the returned endpoint.
///
/// # Errors
/// [`Error`] for unreadable or unusable TLS files.
pub fn endpoint(address: &Address, credentials: &Credentials) -> Result<Endpoint, Error> {
    let endpoint = Channel::builder(address.uri().clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .tcp_nodelay(true);
    if !address.is_tls() {
        return Ok(endpoint);
    }
    crate::crypto::install();
    let mut tls = ClientTlsConfig::new();
    match &credentials.ca {
        Some(path) => tls = tls.ca_certificate(Certificate::from_pem(read("CA certificate", path)?)),
        None => tls = tls.with_enabled_roots(),
    }
    match (&credentials.cert, &credentials.key) {
        (Some(cert), Some(key)) => {
            tls =
                tls.identity(Identity::from_pem(read("client certificate", cert)?, read("client key", key)?));
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => return Err(Error::HalfIdentity),
    }
    endpoint.tls_config(tls).map_err(Error::Tls)
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { what, path: path.to_owned(), source })
}

/// Adds the token to every call, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Prepares the header.
    pub fn new(token: Option<&ApiToken>) -> Self {
        Self(token.map(|token| {
            let mut value: MetadataValue<Ascii> =
                format!("Bearer {}", token.expose()).parse().expect("a token is printable ASCII");
            value.set_sensitive(true);
            value
        }))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anything_is_sent() {
        for good in ["http://127.0.0.1:7443", "https://cluster.example:443/", "http://[::1]:7443"] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:7443",
            "ftp://x:1",
            "unix:/run/x",
            "http://",
            "http://[::1",
            "http://u:p@h:1",
            "http://h:1/x",
            "http://h:1?x=1",
            "http://h:0",
            "http://h:99999",
            "http://h h:1",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad:?} must be refused");
        }
    }
}
