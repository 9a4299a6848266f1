//! One service of several coordinators: whoever is asked, the leader answers.
//!
//! A coordinator that does not lead passes every public call to the leader as it is: headers, messages, trailers,
//! cancellation and back-pressure cross it frame by frame, nothing is decoded and nothing kept. Health and reflection are
//! answered here. Owns that decision and the way to the leader; who leads is the election's, who may call the leader's.
//!
//! ```text
//!               leads here            -> the services
//! call -> who? -another leads         -> forwarded already? -yes-> UNAVAILABLE NOT_LEADER
//!          |                                                \no--> its address, until it leads no more
//!          \nobody is known to lead   -> wait for one, LEADER_PATIENCE at most -> UNAVAILABLE NO_LEADER
//! ```
//!
//! Invariant: a call crosses at most one coordinator: a forwarded one is marked and never forwarded again.

mod leading;
mod peer;
mod relay;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::ClientTlsConfig;
use tower::{Layer, Service};

use crate::rpc::status;

use peer::{Peers, Unreachable};
use relay::Relay;

pub(crate) use leading::{Leading, Place};
pub(crate) use peer::tls as peer_tls;

/// Marks a call that was forwarded.
pub(crate) const FORWARDED: HeaderName = HeaderName::from_static("dockmgr-forwarded");
/// Names the leader's address in every answer, so that long streams may go there directly.
pub(crate) const LEADER: HeaderName = HeaderName::from_static("dockmgr-leader");
/// Marks the answers of a coordinator that leads itself: there is no straighter way.
const LEADS: HeaderName = HeaderName::from_static("dockmgr-leads");

/// How long a call waits for a leader: an orderly change of leaders takes a second or two; the callers of a longer one
/// should hear so within five, while their own deadline still leaves time for another try.
const LEADER_PATIENCE: Duration = Duration::from_secs(4);

/// Calls that every coordinator answers itself.
const LOCAL: [&str; 2] = ["/grpc.health.", "/grpc.reflection."];

/// Puts forwarding before the services.
#[derive(Debug, Clone)]
pub(crate) struct ForwardLayer {
    leading: Leading,
    peers: Arc<Peers>,
}

impl ForwardLayer {
    /// Forwards to whom `leading` names. `tls` is what this coordinator shows to the leader and believes of it.
    pub(crate) fn new(leading: Leading, tls: Option<ClientTlsConfig>) -> Self {
        Self { leading, peers: Arc::new(Peers::new(tls)) }
    }
}

impl<S> Layer<S> for ForwardLayer {
    type Service = Forward<S>;

    fn layer(&self, local: S) -> Forward<S> {
        Forward { local, leading: self.leading.clone(), peers: Arc::clone(&self.peers) }
    }
}

/// The services, here or at the leader.
#[derive(Debug, Clone)]
pub(crate) struct Forward<S> {
    local: S,
    leading: Leading,
    peers: Arc<Peers>,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Forward<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.local.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer<S::Error> {
        // The one that was made ready answers; its clone takes the next call.
        let clone = self.local.clone();
        let mut local = std::mem::replace(&mut self.local, clone);
        let (leading, peers) = (self.leading.clone(), Arc::clone(&self.peers));
        Box::pin(async move {
            let forwarded = request.headers().contains_key(FORWARDED);
            let own = LOCAL.iter().any(|prefix| request.uri().path().starts_with(prefix));
            let place = if own { Place::Here } else { place(&leading).await };
            let mut answer = match place {
                Place::Here => local.call(request).await?,
                Place::There(leader) if forwarded => refuse(status::not_leader(leader.address.as_deref())),
                Place::There(leader) => match pass_on(&leading, &peers, &leader, request).await {
                    Ok(answer) => answer,
                    Err(problem) => {
                        tracing::debug!(epoch = %leader.epoch, error = %problem, "call not forwarded");
                        refuse(status::leader_unreachable(&problem.to_string()))
                    }
                },
                Place::Nowhere => refuse(status::no_leader(leading.trouble().as_deref())),
            };
            if let Some(address) = leading.address().and_then(|address| HeaderValue::from_str(&address).ok())
            {
                answer.headers_mut().insert(LEADER, address);
            }
            // An answer that was passed on carries the leader's own mark.
            answer.headers_mut().remove(LEADS);
            if leading.place() == Place::Here {
                answer.headers_mut().insert(LEADS, HeaderValue::from_static("1"));
            }
            Ok(answer)
        })
    }
}

/// Where a call is to be answered, waiting for a leader if nobody is known to lead. A forwarded call waits, too: who sent it
/// may have heard of this coordinator's victory before it has loaded everything.
async fn place(leading: &Leading) -> Place {
    tokio::time::timeout(LEADER_PATIENCE, leading.known()).await.unwrap_or(Place::Nowhere)
}

/// Sends a call to the leader; its answer ends when the leader's term does.
async fn pass_on(
    leading: &Leading,
    peers: &Peers,
    leader: &crate::store::Leader,
    mut request: Request<Body>,
) -> Result<Response<Body>, Unreachable> {
    request.headers_mut().insert(FORWARDED, HeaderValue::from_static("1"));
    let (mut channel, ticket) = peers.channel(leader, request.uri().path())?;
    let mut over = Box::pin(leading.over(leader.epoch));
    let sent = async {
        std::future::poll_fn(|cx| channel.poll_ready(cx)).await?;
        channel.call(request).await
    };
    tokio::select! {
        answer = sent => Ok(answer?.map(|body| Body::new(Relay::new(body, over, ticket)))),
        // The leader is gone, or leads no more and has had the time to say so itself.
        () = &mut over => Err(Unreachable::Over),
    }
}

fn refuse(status: Status) -> Response<Body> {
    status.into_http()
}
