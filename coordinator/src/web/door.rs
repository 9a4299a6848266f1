//! Whose requests are looked at: those of a page of ours, and of programs that are no browsers.
//!
//! A web page elsewhere can make a browser send requests here. Two ways are shut: a name of its own that it lets point to
//! this address (the `Host` is then that name), and a request across origins (the browser then tells the `Origin`, and that
//! the site is another one). Programs send neither. An address as host is no name that could point here by mistake.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, Request, StatusCode, header};

use super::problem::Problem;

/// See the module.
#[derive(Debug)]
pub(super) struct Door {
    hosts: Vec<String>,
}

impl Door {
    pub(super) fn new(hosts: Vec<String>) -> Self {
        Self { hosts: hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Refuses a request with a foreign host or origin.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let headers = request.headers();
        let named = match request.uri().authority() {
            Some(authority) => Some(authority.as_str()),
            None => only(headers, &header::HOST)?,
        };
        let Some(authority) = named else {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "a request needs one Host header"));
        };
        if !self.knows(authority) {
            let text = "this host name is not one of this coordinator's: see --web-host";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, text).reason("FOREIGN_HOST"));
        }
        if let Some(origin) = only(headers, &header::ORIGIN)? {
            let of = origin.split_once("://").map(|(_, authority)| authority);
            if of.is_none_or(|of| !of.eq_ignore_ascii_case(authority)) {
                return Err(foreign());
            }
        }
        let site = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
        let is_link = request.method() == http::Method::GET && !request.uri().path().starts_with(super::API);
        match site {
            None | Some(b"same-origin" | b"none") => Ok(()),
            // Somebody followed a link to the page.
            Some(_) if is_link => Ok(()),
            Some(_) => Err(foreign()),
        }
    }

    fn knows(&self, authority: &str) -> bool {
        let Some(host) = host(authority) else { return false };
        host == "localhost" || is_address(&host) || self.hosts.contains(&host)
    }
}

/// The value of a header that may be there once.
fn only<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    match (first.map(|value| value.to_str()), second) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text)),
        (Some(_), _) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            &format!("the header {name} must be there once, as text"),
        )),
    }
}

/// The host of `HOST[:PORT]`, in lower case.
fn host(authority: &str) -> Option<String> {
    if authority.contains('@') {
        return None;
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (port.is_empty() || port.starts_with(':')).then(|| format!("[{address}]"))?
        }
        None => authority.split(':').next()?.to_owned(),
    };
    Some(host.to_ascii_lowercase())
}

fn is_address(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok(),
    }
}

fn foreign() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "pages of another origin may not call this coordinator")
        .reason("FOREIGN_ORIGIN")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let mut request = Request::builder().method("GET").uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let door = Door::new(vec!["Cluster.example".to_owned()]);
        door.check(&request.body(()).expect("well formed")).err().map(|problem| problem.status())
    }

    #[test]
    fn only_our_names_and_addresses_are_hosts() {
        for host in [
            "localhost",
            "LOCALHOST:7443",
            "127.0.0.1:7443",
            "[::1]:7443",
            "10.1.2.3",
            "cluster.example:7443",
        ] {
            assert_eq!(check("/api/v1/jobs", &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:7443",
            "localhost.evil.example",
            "[::1",
            "me@localhost",
            "",
        ] {
            assert_eq!(check("/", &[("host", host)]), Some(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
        assert_eq!(check("/", &[]), Some(StatusCode::BAD_REQUEST));
        assert_eq!(
            check("/", &[("host", "localhost"), ("host", "localhost")]),
            Some(StatusCode::BAD_REQUEST)
        );
    }

    #[test]
    fn only_our_own_origin_may_call() {
        let host = ("host", "localhost:7443");
        for (name, value) in [
            ("origin", "http://localhost:7443"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ] {
            assert_eq!(check("/api/v1/jobs", &[host, (name, value)]), None, "{value}");
        }
        for (name, value) in [
            ("origin", "http://localhost:7444"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(check("/api/v1/jobs", &[host, (name, value)]), Some(StatusCode::FORBIDDEN), "{value}");
        }
        assert_eq!(check("/jobs/42", &[host, ("sec-fetch-site", "cross-site")]), None, "a link to the page");
    }
}
