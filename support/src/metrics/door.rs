//! Who is let in to the numbers. Pure.
//!
//! Without a token the reader is on this machine, and what must be kept out is a web page in a browser here whose name was
//! made to point at loopback: it sends that name as `Host`, and no page can send another one.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Method, StatusCode};

use crate::secret::ApiToken;

/// The one page there is.
const PATH: &str = "/metrics";

/// Why a request is refused, and the words for it; `None` lets it in.
pub(super) fn refusal(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    token: Option<&ApiToken>,
) -> Option<(StatusCode, &'static str)> {
    if path != PATH {
        return Some((StatusCode::NOT_FOUND, "there is only /metrics\n"));
    }
    if method != Method::GET && method != Method::HEAD {
        return Some((StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n"));
    }
    match token {
        Some(token) if !has_token(headers, token) => {
            Some((StatusCode::UNAUTHORIZED, "send the token of --metrics-token-file as bearer token\n"))
        }
        None if !is_direct(headers) => Some((
            StatusCode::MISDIRECTED_REQUEST,
            "without --metrics-token-file only an IP address or localhost is answered as Host\n",
        )),
        Some(_) | None => None,
    }
}

fn has_token(headers: &HeaderMap, token: &ApiToken) -> bool {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (given.next(), given.next()) else { return false };
    let bearer = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
    bearer.is_some_and(|given| token.matches(given))
}

/// Whether the one Host header names no name: an address, or `localhost`, which browsers do not look up.
fn is_direct(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(HOST).iter();
    let (Some(header), None) = (given.next(), given.next()) else { return false };
    let Ok(text) = header.to_str() else { return false };
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => text,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a header value"));
        }
        headers
    }

    fn status(headers: &HeaderMap, token: Option<&ApiToken>) -> Option<u16> {
        refusal(&Method::GET, PATH, headers, token).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn without_a_token_only_hosts_that_are_no_names_are_answered() {
        for host in ["127.0.0.1", "127.0.0.1:9464", "[::1]:9464", "[::1]", "localhost", "localhost:1"] {
            assert_eq!(status(&headers(&[("host", host)]), None), None, "{host}");
        }
        for host in
            ["evil.example", "evil.example:9464", "localhost.evil.example", "", "127.0.0.1.example:80"]
        {
            assert_eq!(status(&headers(&[("host", host)]), None), Some(421), "{host}");
        }
        assert_eq!(status(&headers(&[]), None), Some(421));
        assert_eq!(status(&headers(&[("host", "127.0.0.1"), ("host", "127.0.0.1")]), None), Some(421));
    }

    #[test]
    fn with_a_token_only_that_token_opens_whatever_the_host() {
        let token = ApiToken::parse("0123456789abcdef").expect("long enough");
        let with =
            |value: &str| status(&headers(&[("host", "x.example"), ("authorization", value)]), Some(&token));
        assert_eq!(with("Bearer 0123456789abcdef"), None);
        assert_eq!(with("Bearer 0123456789abcdeX"), Some(401));
        assert_eq!(with("Basic 0123456789abcdef"), Some(401));
        assert_eq!(status(&headers(&[("host", "127.0.0.1")]), Some(&token)), Some(401));
    }

    #[test]
    fn there_is_one_page_and_it_can_only_be_read() {
        let local = headers(&[("host", "127.0.0.1")]);
        let status = |method: Method, path| refusal(&method, path, &local, None).map(|(s, _)| s.as_u16());
        assert_eq!(status(Method::HEAD, PATH), None);
        assert_eq!(status(Method::POST, PATH), Some(405));
        assert_eq!(status(Method::GET, "/"), Some(404));
        assert_eq!(status(Method::GET, "/metrics/../x"), Some(404));
    }
}
