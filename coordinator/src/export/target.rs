//! Where output is shipped to, as `--export` says it.

use std::path::PathBuf;

use bytesize::ByteSize;
use http::{HeaderValue, Uri};

use super::Authorization;

/// Size at which a file is rotated.
const ROTATE: u64 = 64 << 20;
/// Smallest size a file may be rotated at.
const LEAST_ROTATE: u64 = 4 << 10;
/// Rotated files that are kept.
const KEEP: u32 = 8;
/// The index of documents where the URL names none; the template in `deploy/elastic` is for it.
const DEFAULT_INDEX: &str = "dockmgr-output";
/// The label `cluster` of what goes to Loki, where the URL has none.
const CLUSTER: &str = "dockmgr";
/// Longest name of an exporter.
const MAX_NAME: usize = 64;

/// One exporter's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Names it in metrics, in files and in the store: whoever has it goes on where the one before stopped.
    pub name: String,
    /// Where to.
    pub kind: Kind,
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// JSON lines in a file of the coordinator's machine.
    File {
        /// The file.
        path: PathBuf,
        /// Size at which it is rotated, in bytes.
        rotate: u64,
        /// Rotated files that are kept.
        keep: u32,
    },
    /// A server.
    Server(Server),
}

/// A server that takes documents by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// What it understands.
    pub form: Form,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// What is posted to.
    pub path: Uri,
    /// What it is shown.
    pub authorization: Option<Authorization>,
    /// The label `cluster` of what goes to Loki.
    pub cluster: String,
    /// Whose it is, for a Loki of several tenants.
    pub tenant: Option<HeaderValue>,
}

/// What a server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `_bulk` of Elasticsearch and OpenSearch.
    Elastic,
    /// OTLP logs in protobuf.
    Otlp,
    /// The push call of Loki.
    Loki,
}

impl Form {
    /// The type of what is posted.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Elastic => "application/x-ndjson",
            Self::Otlp => "application/x-protobuf",
            Self::Loki => "application/json",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Elastic => 9200,
            Self::Otlp => 4318,
            Self::Loki => 3100,
        }
    }

    /// The whole path for what the URL says of it.
    fn path(self, path: &str) -> String {
        let path = path.trim_matches('/');
        match self {
            Self::Elastic => {
                let index = if path.is_empty() { DEFAULT_INDEX } else { path };
                format!("/{index}/_bulk?filter_path=items.*.status,items.*.error")
            }
            Self::Otlp if path.is_empty() => "/v1/logs".to_owned(),
            Self::Loki if path.is_empty() => "/loki/api/v1/push".to_owned(),
            Self::Otlp | Self::Loki => format!("/{path}"),
        }
    }
}

/// Why a URL of `--export` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{url}': {problem}")]
pub struct TargetError {
    /// The URL, without what could be a password.
    url: String,
    /// What is wrong and what to do.
    problem: String,
}

/// A URL in parts: `SCHEME://REST?QUERY#NAME`.
struct Parts<'a> {
    rest: &'a str,
    query: Vec<(&'a str, &'a str)>,
    name: Option<&'a str>,
}

impl Target {
    /// Reads a URL such as `file:///var/log/jobs.jsonl?rotate=64MiB&keep=8#archive`.
    ///
    /// # Errors
    /// [`TargetError`] saying what is wrong; a password never is part of it.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let shown = || -> String {
            let hidden = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
            hidden.chars().take(120).flat_map(char::escape_default).collect()
        };
        let refuse = |problem: String| TargetError { url: shown(), problem };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refuse("it is no URL".to_owned()))?;
        let parts = parts(rest).map_err(&refuse)?;
        let (kind, default_name) = match scheme {
            "file" => file(&parts).map_err(&refuse)?,
            "elasticsearch+http" | "opensearch+http" => {
                server(Form::Elastic, false, &parts).map_err(&refuse)?
            }
            "elasticsearch+https" | "opensearch+https" => {
                server(Form::Elastic, true, &parts).map_err(&refuse)?
            }
            "otlp+http" => server(Form::Otlp, false, &parts).map_err(&refuse)?,
            "otlp+https" => server(Form::Otlp, true, &parts).map_err(&refuse)?,
            "loki+http" => server(Form::Loki, false, &parts).map_err(&refuse)?,
            "loki+https" => server(Form::Loki, true, &parts).map_err(&refuse)?,
            _ => {
                let schemes = "file, elasticsearch+http(s), opensearch+http(s), otlp+http(s) or loki+http(s)";
                return Err(refuse(format!("its scheme must be {schemes}")));
            }
        };
        let name = parts.name.map_or(default_name, str::to_owned);
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) || name.starts_with('.') {
            let rule = "letters, digits, '-', '_' and '.'";
            return Err(refuse(format!("give it a name of at most {MAX_NAME} {rule}: URL#NAME")));
        }
        Ok(Self { name, kind })
    }
}

fn parts(rest: &str) -> Result<Parts<'_>, String> {
    let (rest, name) = rest.split_once('#').map_or((rest, None), |(rest, name)| (rest, Some(name)));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let pair = |pair: &'_ str| pair.split_once('=').is_none().then(|| format!("'{pair}' is not KEY=VALUE"));
    let pairs = || query.split('&').filter(|pair| !pair.is_empty());
    if let Some(problem) = pairs().find_map(pair) {
        return Err(problem);
    }
    Ok(Parts { rest, query: pairs().filter_map(|pair| pair.split_once('=')).collect(), name })
}

fn file(parts: &Parts<'_>) -> Result<(Kind, String), String> {
    if !parts.rest.starts_with('/') || parts.rest.ends_with('/') {
        return Err("it must name a file by its whole path: file:///PATH".to_owned());
    }
    let (mut rotate, mut keep) = (ROTATE, KEEP);
    for (key, value) in &parts.query {
        match *key {
            "rotate" => rotate = size(value)?,
            "keep" => keep = value.parse().map_err(|_| format!("keep={value} is no number"))?,
            _ => return Err(format!("'{key}' is not known for files: rotate and keep are")),
        }
    }
    if rotate < LEAST_ROTATE {
        return Err(format!("rotate must be at least {LEAST_ROTATE} bytes"));
    }
    let path = PathBuf::from(parts.rest);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    Ok((Kind::File { path, rotate, keep }, name))
}

fn size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| format!("rotate={text} is no size"))
}

fn server(form: Form, is_tls: bool, parts: &Parts<'_>) -> Result<(Kind, String), String> {
    let (authority, path) = parts.rest.split_once('/').unwrap_or((parts.rest, ""));
    if authority.contains('@') {
        return Err("it must not contain a user or password: use auth-file=PATH or auth-env=NAME".to_owned());
    }
    let authority: http::uri::Authority = authority.parse().map_err(|_| "it has no host".to_owned())?;
    let (host, port) = (authority.host().to_owned(), authority.port_u16().unwrap_or(form.default_port()));
    if host.is_empty() || authority.port().is_none() && authority.as_str() != host {
        return Err("it must have a host, and a port between 1 and 65535 if it has one".to_owned());
    }
    let (mut authorization, mut tenant, mut cluster) = (None, None, CLUSTER.to_owned());
    for (key, value) in &parts.query {
        match *key {
            "auth-file" => authorization = Some(Authorization::from_file(value)?),
            "auth-env" => authorization = Some(Authorization::from_variable(value)?),
            "cluster" if form == Form::Loki => (*value).clone_into(&mut cluster),
            "tenant" if form == Form::Loki => {
                let header = value.parse().map_err(|_| format!("tenant={value} is no name"))?;
                tenant = Some(header);
            }
            _ => {
                let known = "auth-file and auth-env are, and for Loki cluster and tenant";
                return Err(format!("'{key}' is not known for servers: {known}"));
            }
        }
    }
    let path: Uri = form.path(path).parse().map_err(|_| format!("'/{path}' is no path"))?;
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    let kind = match form {
        Form::Elastic => "elastic",
        Form::Otlp => "otlp",
        Form::Loki => "loki",
    };
    let name: String = format!("{kind}-{}", host.chars().map(fits).take(MAX_NAME / 2).collect::<String>());
    Ok((Kind::Server(Server { form, host, port, is_tls, path, authorization, cluster, tenant }), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_and_how() {
        let target = Target::parse("file:///a/jobs.jsonl?rotate=1MiB&keep=2#main").expect("a file");
        let path = PathBuf::from("/a/jobs.jsonl");
        assert_eq!(
            target,
            Target { name: "main".into(), kind: Kind::File { path, rotate: 1 << 20, keep: 2 } }
        );
        assert_eq!(Target::parse("file:///a/jobs.jsonl").expect("a file").name, "jobs.jsonl");
    }

    #[test]
    fn a_server_is_named_with_what_it_understands() {
        for (url, name, port, path) in [
            (
                "elasticsearch+http://es",
                "elastic-es",
                9200,
                "/dockmgr-output/_bulk?filter_path=items.*.status,items.*.error",
            ),
            (
                "opensearch+https://[::1]:1/x",
                "elastic-___1_",
                1,
                "/x/_bulk?filter_path=items.*.status,items.*.error",
            ),
            ("otlp+http://10.0.0.1", "otlp-10.0.0.1", 4318, "/v1/logs"),
            ("otlp+https://c/otlp/v1/logs#c", "c", 4318, "/otlp/v1/logs"),
            ("loki+http://l?cluster=main&tenant=me", "loki-l", 3100, "/loki/api/v1/push"),
            ("loki+https://l:1/x/push", "loki-l", 1, "/x/push"),
        ] {
            let target = Target::parse(url).expect(url);
            let Kind::Server(server) = target.kind else { panic!("{url} is a server") };
            assert_eq!(
                (target.name.as_str(), server.port, server.path.to_string().as_str()),
                (name, port, path)
            );
            assert_eq!(server.is_tls, url.contains("https"));
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_no_password_is_repeated() {
        for (url, word) in [
            ("jobs.jsonl", "no URL"),
            ("ftp://x/y", "scheme"),
            ("file://a/b", "whole path"),
            ("file:///a/", "whole path"),
            ("file:///a?rotate=1", "rotate"),
            ("file:///a?rotate=x", "rotate"),
            ("file:///a?keep=-1", "keep"),
            ("file:///a?x=1", "'x'"),
            ("file:///a?x", "KEY=VALUE"),
            ("otlp+http://", "host"),
            ("otlp+http://x:0x", "host"),
            ("otlp+http://x?token=1", "'token'"),
            ("otlp+http://x?tenant=1", "'tenant'"),
            ("loki+http://x?tenant=\n", "tenant"),
            ("otlp+http://me:secret@x", "auth-file"),
            ("otlp+http://x?auth-file=/nonexistent", "/nonexistent"),
            ("otlp+http://x?auth-env=DOCKMGR_NOT_SET", "not set"),
            ("file:///a#", "name"),
            ("file:///a#a/b", "name"),
        ] {
            let error = Target::parse(url).expect_err(url).to_string();
            assert!(error.contains(word), "{url}: {error}");
        }
        let error = Target::parse("ftp://user:secret@host/").expect_err("refused").to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
