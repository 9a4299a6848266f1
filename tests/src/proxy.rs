//! A TCP proxy between two members that can be told to misbehave.
//!
//! Owns the listener, the connections and their behaviour. It lives in this program, so it goes on while members are killed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use dockmgr_support::tasks::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Largest piece that is passed on at once.
const PIECE: usize = 16 * 1024;

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// How the proxy behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// As a cable.
    Clean,
    /// Each piece comes later by `delay` and up to `jitter` more.
    Slow {
        /// Added to every piece.
        delay: Duration,
        /// Most that is added by chance.
        jitter: Duration,
    },
    /// This many bytes a second.
    Narrow(u32),
    /// Connections stay open and nothing passes: a peer that vanished.
    Stalled(Direction),
    /// A direction in which nothing has passed for so long closes the connection.
    ClosesIdle(Duration),
    /// What is connected gets a reset, as does everybody who connects.
    Refusing,
}

/// Seen from whoever connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What the one who connects says.
    There,
    /// What they are told.
    Back,
    /// All of it.
    Both,
}

/// One proxied way.
#[derive(Debug)]
pub struct Proxy {
    /// What it connects, for people.
    pub name: String,
    /// Where to connect.
    pub address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
}

impl Proxy {
    /// Listens on `host` and passes on to `target`.
    pub async fn start(
        name: String,
        host: Ipv4Addr,
        target: SocketAddr,
        tasks: &Tasks,
    ) -> std::io::Result<Self> {
        Self::start_at(name, SocketAddr::new(host.into(), 0), target, tasks).await
    }

    /// Listens on `listen` and passes on to `target`.
    pub async fn start_at(
        name: String,
        listen: SocketAddr,
        target: SocketAddr,
        tasks: &Tasks,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (behaviour, watched) = watch::channel(Behaviour::Clean);
        let (pairs, stop) = (tasks.clone(), tasks.token().clone());
        tasks.spawn("proxy", async move {
            loop {
                let accepted = tokio::select! {
                    // The run is over.
                    () = stop.cancelled() => return,
                    // Somebody connects.
                    accepted = listener.accept() => accepted,
                };
                if let Ok((stream, _)) = accepted {
                    let (watched, stop) = (watched.clone(), stop.clone());
                    pairs.spawn("proxied", async move {
                        tokio::select! {
                            // The run is over.
                            () = stop.cancelled() => {}
                            // Either side closed, or a reset was ordered.
                            () = pair(stream, target, watched) => {}
                        }
                    });
                }
            }
        });
        Ok(Self { name, address, behaviour })
    }

    /// Changes the behaviour of all connections, open and to come.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }
}

/// Passes on in both directions until one side closes.
async fn pair(stream: TcpStream, target: SocketAddr, mut watched: watch::Receiver<Behaviour>) {
    // Without it small messages would wait for each other's acknowledgements.
    let _best_effort = stream.set_nodelay(true);
    if *watched.borrow() == Behaviour::Refusing {
        return reset(&stream);
    }
    let Ok(out) = TcpStream::connect(target).await else { return reset(&stream) };
    let _best_effort = out.set_nodelay(true);
    let abort = (stream.as_raw(), out.as_raw());
    let ((in_read, in_write), (out_read, out_write)) = (stream.into_split(), out.into_split());
    let there = pump(in_read, out_write, watched.clone(), Direction::There);
    let back = pump(out_read, in_write, watched.clone(), Direction::Back);
    tokio::select! {
        // One side is gone: so is the other.
        () = async { tokio::join!(there, back); } => {}
        // The order to break everything.
        _ordered = watched.wait_for(|behaviour| *behaviour == Behaviour::Refusing) => {
            for socket in [&abort.0, &abort.1].into_iter().flatten() {
                let _gone = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
            }
        }
    }
}

/// Passes one direction on.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut watched: watch::Receiver<Behaviour>,
    way: Direction,
) {
    let mut piece = vec![0; PIECE];
    loop {
        let stalls = |behaviour: &Behaviour| matches!(behaviour, Behaviour::Stalled(d) if *d == way || *d == Direction::Both);
        if watched.wait_for(|behaviour| !stalls(behaviour)).await.is_err() {
            return;
        }
        let idle = match *watched.borrow() {
            Behaviour::ClosesIdle(limit) => limit,
            _ => NEVER,
        };
        let Ok(Ok(size @ 1..)) = tokio::time::timeout(idle, from.read(&mut piece)).await else { break };
        let behaviour = *watched.borrow();
        match behaviour {
            Behaviour::Slow { delay, jitter } => {
                tokio::time::sleep(delay + jitter.mul_f64(fastrand::f64())).await;
            }
            Behaviour::Narrow(rate) => {
                let bytes = u32::try_from(size).unwrap_or(u32::MAX);
                tokio::time::sleep(Duration::from_secs_f64(f64::from(bytes) / f64::from(rate))).await;
            }
            Behaviour::Clean | Behaviour::Stalled(_) | Behaviour::ClosesIdle(_) | Behaviour::Refusing => {}
        }
        // What was read before the stall must not slip through it.
        if watched.wait_for(|behaviour| !stalls(behaviour)).await.is_err() {
            return;
        }
        if to.write_all(&piece[..size]).await.is_err() {
            break;
        }
    }
    let _closed = to.shutdown().await;
}

/// Makes the close a reset.
fn reset(stream: &TcpStream) {
    let _gone = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

/// A second handle on the socket, for the reset after it was split.
trait AsRaw {
    fn as_raw(&self) -> Option<std::os::fd::OwnedFd>;
}

impl AsRaw for TcpStream {
    fn as_raw(&self) -> Option<std::os::fd::OwnedFd> {
        std::os::fd::AsFd::as_fd(self).try_clone_to_owned().ok()
    }
}
