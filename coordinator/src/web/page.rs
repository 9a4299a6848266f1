//! The page: files that are part of the program.
//!
//! Every path of the page answers with the same document; which view it shows is the script's.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tonic::body::Body;

use super::problem::Problem;

/// What the page may do: its own files and calls to where it came from; no text ever becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";

/// First parts of the page's own paths.
const VIEWS: [&str; 5] = ["", "jobs", "logs", "workers", "events"];

const INDEX: &[u8] = include_bytes!("../../page/index.html");

/// Path, kind, content.
type File = (&'static str, &'static str, &'static [u8]);

macro_rules! script {
    ($name:literal) => {
        (
            concat!("/page/", $name),
            "text/javascript; charset=utf-8",
            include_bytes!(concat!("../../page/", $name)),
        )
    };
}

macro_rules! style {
    ($name:literal) => {
        (concat!("/page/", $name), "text/css; charset=utf-8", include_bytes!(concat!("../../page/", $name)))
    };
}

/// The files.
const FILES: [File; 20] = [
    ("/page/icon.svg", "image/svg+xml", include_bytes!("../../page/icon.svg")),
    style!("base.css"),
    style!("parts.css"),
    script!("main.js"),
    script!("actions.js"),
    script!("ansi.js"),
    script!("api.js"),
    script!("chart.js"),
    script!("dom.js"),
    script!("events.js"),
    script!("format.js"),
    script!("job.js"),
    script!("jobs.js"),
    script!("lines.js"),
    script!("logs.js"),
    script!("logview.js"),
    script!("overview.js"),
    script!("search.js"),
    script!("usage.js"),
    script!("workers.js"),
];

/// Answers with a file of the page.
pub(super) fn answer(request: &Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    let file = FILES.iter().find(|(name, ..)| *name == path).map(|(_, kind, bytes)| (*kind, *bytes));
    let view = path.split('/').nth(1).is_some_and(|first| VIEWS.contains(&first));
    let Some((kind, bytes)) = file.or_else(|| view.then_some((HTML, INDEX))) else {
        return Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path").into_response();
    };
    let bytes = match *request.method() {
        Method::GET => Bytes::from_static(bytes),
        Method::HEAD => Bytes::new(),
        _ => return Problem::method(&[Method::GET, Method::HEAD]).into_response(),
    };
    let mut response = super::full(StatusCode::OK, kind, bytes);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // A newer coordinator has other files under the same names.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_asks_for_is_there() {
        let texts = FILES.iter().map(|(_, _, bytes)| *bytes).chain([INDEX]);
        let text: String = texts.map(String::from_utf8_lossy).collect();
        let imported = text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
        let linked = text.split("=\"/page/").skip(1).filter_map(|rest| rest.split('"').next());
        for name in imported.chain(linked) {
            assert!(FILES.iter().any(|(path, ..)| *path == format!("/page/{name}")), "there is no {name}");
        }
    }

    #[test]
    fn views_are_the_document_and_everything_else_is_not_there() {
        let status = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(Body::empty());
            answer(&request.expect("well formed")).status()
        };
        for path in ["/", "/jobs", "/jobs/42", "/logs", "/page/main.js"] {
            assert_eq!(status(Method::GET, path), StatusCode::OK, "{path}");
        }
        assert_eq!(status(Method::GET, "/page/nothing.js"), StatusCode::NOT_FOUND);
        assert_eq!(status(Method::GET, "/favicon.ico"), StatusCode::NOT_FOUND);
        assert_eq!(status(Method::POST, "/"), StatusCode::METHOD_NOT_ALLOWED);
    }
}
