//! The listener: HTTP/1.1, one answer a connection, few connections at a time.
//!
//! ```text
//! accept -> a place -> headers within HEADERS -> door -> page -> answer, end of the connection
//! ```

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::door;
use super::settings::Settings;
use crate::secret::ApiToken;
use crate::tasks::Tasks;

/// Scrapes at a time: two Prometheus servers and a person. Others wait in the backlog.
const AT_ONCE: usize = 4;
/// How long the head of a request may take: it is one small packet.
const HEADERS: Duration = Duration::from_secs(5);
/// How long a whole scrape may take: Prometheus gives up after ten seconds unless told otherwise.
const WHOLE: Duration = Duration::from_secs(15);
/// Most bytes of the head of a request; the least that hyper takes.
const MAX_HEAD: usize = 8192;
/// Pause after the system had no file for a connection.
const PAUSE: Duration = Duration::from_millis(500);
/// The text format every reader understands.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What is shown.
pub trait Page: Send + Sync + 'static {
    /// The numbers as they are now. Must answer within a few seconds; what cannot be had in time is left out.
    fn text(&self) -> impl Future<Output = Result<String, fmt::Error>> + Send;
}

/// Why the numbers cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("listen on {address} for --metrics-listen")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A bound address that answers `/metrics`.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    token: Option<ApiToken>,
}

impl Listener {
    /// Binds the address; nothing is answered yet.
    ///
    /// # Errors
    /// [`Error::Bind`].
    pub async fn bind(settings: &Settings) -> Result<Self, Error> {
        let failed = |source| Error::Bind { address: settings.listen, source };
        let socket = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, token: settings.token.clone() })
    }

    /// Where it listens; the port is known even if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `tasks` end.
    pub async fn run<P: Page>(self, page: P, tasks: Tasks) {
        let shown = Arc::new(Shown { page, token: self.token });
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let stop = tasks.token().clone();
        let accept = async {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                match self.socket.accept().await {
                    Ok((stream, _)) => {
                        let (shown, stop) = (Arc::clone(&shown), stop.clone());
                        tasks.spawn("scrape", async move {
                            let _place = place;
                            stop.run_until_cancelled(tokio::time::timeout(WHOLE, answer(stream, &shown)))
                                .await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no scrape can be taken in");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(accept).await;
    }
}

struct Shown<P> {
    page: P,
    token: Option<ApiToken>,
}

async fn answer<P: Page>(stream: TcpStream, shown: &Shown<P>) {
    let service = service_fn(async |request| Ok::<_, Infallible>(shown.respond(&request).await));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(MAX_HEAD)
        // A scrape every few seconds needs no open connection in between, which would only hold a place.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a scrape broke off");
    }
}

impl<P: Page> Shown<P> {
    async fn respond<B>(&self, request: &Request<B>) -> Response<String> {
        let refused =
            door::refusal(request.method(), request.uri().path(), request.headers(), self.token.as_ref());
        let (status, text) = match refused {
            Some((status, words)) => (status, words.to_owned()),
            None => match self.page.text().await {
                Ok(text) => (StatusCode::OK, text),
                Err(_) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, "the numbers cannot be written down\n".to_owned())
                }
            },
        };
        let mut response = Response::new(text);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, TEXT);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
