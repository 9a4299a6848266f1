//! A server that takes documents by POST: one connection, one request at a time.
//!
//! The connection is driven by whoever waits for an answer, so it needs no task of its own and nothing happens on it between
//! two requests.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dockmgr_core::export::{Answer, Document, elastic, loki};
use dockmgr_support::error_chain::Chain;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::otlp;
use super::target::{Form, Server};

/// TCP and TLS set-up: longer means that the server is away.
const CONNECT: Duration = Duration::from_secs(10);
/// One request: a server that indexes a few megabytes on a busy disk needs some seconds.
const REQUEST: Duration = Duration::from_secs(60);
/// Most bytes of an answer that are read: some hundred for each document of a batch.
const MOST_ANSWER: usize = 16 << 20;

/// Sends documents to one server.
pub(super) struct HttpSink {
    server: Server,
    /// Held during a request: there is one at a time.
    link: Mutex<Option<Link>>,
}

/// An open connection.
struct Link {
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>,
}

/// What a server said.
pub(super) struct Reply {
    /// The HTTP status.
    pub(super) status: u16,
    /// How long it wants to be left alone.
    pub(super) after: Option<Duration>,
    /// The rest.
    pub(super) body: Bytes,
}

/// What a connection runs over.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("connect to {0}")]
    Connect(String, #[source] std::io::Error),
    #[error("'{0}' is no name of a server")]
    Name(String),
    #[error("talk to the server")]
    Talk(#[source] hyper::Error),
    #[error("read the answer: {0}")]
    Answer(Box<dyn std::error::Error + Send + Sync>),
    #[error("no {0} within {1:?}")]
    Late(&'static str, Duration),
}

impl HttpSink {
    /// A sink that sends to `server`; connects at the first request.
    pub(super) fn new(server: Server) -> Self {
        Self { server, link: Mutex::new(None) }
    }

    /// Sends documents.
    pub(super) async fn send(&self, documents: &[Document]) -> Answer {
        let body = match self.server.form {
            Form::Elastic => elastic::body(documents),
            Form::Otlp => otlp::body(documents),
            Form::Loki => loki::body(&self.server.cluster, documents),
        };
        let reply = match self.post(body.into()).await {
            Ok(reply) => reply,
            Err(error) => return Answer::none(Chain(&error).to_string()),
        };
        match self.server.form {
            Form::Elastic => elastic::answer(documents.len(), reply.status, reply.after, &reply.body),
            Form::Otlp => otlp::answer(&reply),
            Form::Loki => loki::answer(reply.status, reply.after, &reply.body),
        }
    }

    async fn post(&self, body: Bytes) -> Result<Reply, Error> {
        let mut held = self.link.lock().await;
        // The server may have closed a connection that was idle: that is no trouble of the server's.
        if let Some(mut link) = held.take().filter(|link| !link.sender.is_closed())
            && let Ok(reply) = self.ask(&mut link, body.clone()).await
        {
            *held = Some(link);
            return Ok(reply);
        }
        let connected = tokio::time::timeout(CONNECT, self.connect()).await;
        let mut link = connected.map_err(|_| Error::Late("connection", CONNECT))??;
        let reply = self.ask(&mut link, body).await?;
        *held = Some(link);
        Ok(reply)
    }

    async fn ask(&self, link: &mut Link, body: Bytes) -> Result<Reply, Error> {
        let request = self.request(body);
        let talk = async {
            link.sender.ready().await.map_err(Error::Talk)?;
            let answer = link.sender.send_request(request).await.map_err(Error::Talk)?;
            let (status, after) = (answer.status().as_u16(), retry_after(answer.headers()));
            let body =
                Limited::new(answer.into_body(), MOST_ANSWER).collect().await.map_err(Error::Answer)?;
            Ok(Reply { status, after, body: body.to_bytes() })
        };
        let driver = &mut link.driver;
        let both = async {
            tokio::pin!(talk);
            tokio::select! {
                biased;
                // It answered.
                reply = &mut talk => reply,
                // The connection ended: with the whole answer read, or it is broken.
                ended = &mut *driver => {
                    ended.map_err(Error::Talk)?;
                    // Dropped, so that a request that it never took does not wait for it.
                    *driver = Box::pin(std::future::pending());
                    talk.await
                }
            }
        };
        tokio::time::timeout(REQUEST, both).await.map_err(|_| Error::Late("answer", REQUEST))?
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let Server { form, host, port, path, authorization, tenant, .. } = &self.server;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = path.clone();
        let headers = request.headers_mut();
        if let Ok(host) = format!("{host}:{port}").parse() {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(form.content_type()));
        if let Some(tenant) = tenant {
            headers.insert("x-scope-orgid", tenant.clone());
        }
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, authorization.expose());
        }
        request
    }

    async fn connect(&self) -> Result<Link, Error> {
        let Server { host, port, is_tls, .. } = &self.server;
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let failed = |source| Error::Connect(format!("{host}:{port}"), source);
        let stream = TcpStream::connect((name.as_str(), *port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let wire: Box<dyn Wire> = if *is_tls {
            let server = ServerName::try_from(name.clone()).map_err(|_| Error::Name(name))?;
            Box::new(connector().connect(server, stream).await.map_err(failed)?)
        } else {
            Box::new(stream)
        };
        let (sender, connection) = http1::handshake(TokioIo::new(wire)).await.map_err(Error::Talk)?;
        Ok(Link { sender, driver: Box::pin(connection) })
    }
}

impl fmt::Debug for HttpSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSink").field("server", &self.server).finish_non_exhaustive()
    }
}

/// TLS that believes the authorities of this machine.
fn connector() -> TlsConnector {
    dockmgr_support::crypto::install();
    let mut roots = rustls::RootCertStore::empty();
    let (_added, _useless) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// How many seconds the server asks to be left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
