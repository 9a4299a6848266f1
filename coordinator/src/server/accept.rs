//! The accept loop: takes connections in, pauses when the system has no file for one, and says so now and then.
//!
//! The library's own loop tries again at once, which with a full file table is a busy loop without a word.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use dockmgr_support::backoff::Backoff;
use futures_util::Stream;
use tokio::net::{TcpListener, TcpStream};

use super::admission::{Admission, Refused};
use super::complaints::Complaints;
use super::connection::Connection;

/// First pause after the system had no file for a connection: one that is cut frees its file within moments.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause: a caller who waits in the backlog meanwhile gives up after about five seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Accepts until dropped; `plain` says that no TLS follows.
pub(super) fn incoming(
    listener: TcpListener,
    admission: Admission,
    plain: bool,
) -> impl Stream<Item = Result<Connection, Infallible>> {
    let door = Door {
        listener,
        admission,
        pause: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        complaints: Complaints::default(),
        plain,
    };
    futures_util::stream::unfold(door, async |mut door| Some((Ok(door.next().await), door)))
}

struct Door {
    listener: TcpListener,
    admission: Admission,
    pause: Backoff,
    complaints: Complaints,
    /// Whether frames can be seen: not below TLS.
    plain: bool,
}

impl Door {
    async fn next(&mut self) -> Connection {
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    self.pause.reset();
                    if let Some(connection) = self.admit(stream, from) {
                        return connection;
                    }
                }
                // The caller was gone before it was taken in: that is over.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.complaints.say(&format!("no connection can be taken in: {error}"));
                    self.admission.make_room();
                    tokio::time::sleep(self.pause.next_delay()).await;
                }
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, from: SocketAddr) -> Option<Connection> {
        match self.admission.admit(from.ip()) {
            Ok(place) => {
                // A frame must not wait for the acknowledgement of the one before it.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a new connection was gone at once");
                    return None;
                }
                Some(Connection::new(stream, place, self.plain, self.complaints.clone()))
            }
            Err(Refused::Full) => {
                self.complaints.say("too many connections");
                None
            }
            Err(Refused::Address) => {
                self.complaints.say(&format!("too many connections from {}", from.ip()));
                None
            }
        }
    }
}

/// Whether only the connection that was about to be taken in failed.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
