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
//!          |                                                         |gone before it took anything of the call
//!          \nobody is known to lead   -> wait for one (another one) <-+, LEADER_PATIENCE at most -> UNAVAILABLE
//! ```
//!
//! Invariant: a call crosses at most one coordinator: a forwarded one is marked and never forwarded again.

mod leading;
mod lent;
mod peer;
mod relay;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::ClientTlsConfig;
use tower::{Layer, Service};

use crate::rpc::status;

use lent::lend;
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
            let own = LOCAL.iter().any(|prefix| request.uri().path().starts_with(prefix));
            let whose = if own { Ok(request) } else { send(&leading, &peers, request).await };
            let mut answer = match whose {
                Ok(request) => local.call(request).await?,
                Err(answer) => answer,
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

/// Has the leader answer a call, or refuses it; gives it back if this coordinator is to answer it.
///
/// A leader that is gone stays the leader for as long as its lease lasts: the call then waits for the next one, if nothing
/// of it was taken.
async fn send(
    leading: &Leading,
    peers: &Peers,
    mut request: Request<Body>,
) -> Result<Request<Body>, Response<Body>> {
    let deadline = Instant::now() + LEADER_PATIENCE;
    let forwarded = request.headers().contains_key(FORWARDED);
    loop {
        // A forwarded call waits, too: who sent it may have heard of this coordinator's victory before it has loaded
        // everything.
        let place = tokio::time::timeout_at(deadline, leading.known()).await.unwrap_or(Place::Nowhere);
        let leader = match place {
            Place::Here => return Ok(request),
            Place::Nowhere => return Err(refuse(status::no_leader(leading.trouble().as_deref()))),
            Place::There(leader) if forwarded => {
                return Err(refuse(status::not_leader(leader.address.as_deref())));
            }
            Place::There(leader) => leader,
        };
        let (lent, claim) = lend(request);
        let problem = match pass_on(leading, peers, &leader, lent).await {
            Ok(answer) => return Err(answer),
            Err(problem) => problem,
        };
        tracing::debug!(epoch = %leader.epoch, error = %problem, "call not forwarded");
        let refused = || refuse(status::leader_unreachable(&problem.to_string()));
        request = claim.back().filter(|_| problem.is_gone()).ok_or_else(refused)?;
        if tokio::time::timeout_at(deadline, leading.leads_no_more(leader.epoch)).await.is_err() {
            return Err(refused());
        }
    }
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
