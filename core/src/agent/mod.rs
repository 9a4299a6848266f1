//! Lifecycle of one attempt as its worker sees it: what was wanted and what is observed give the next action.
//!
//! Owns every decision about an attempt's container: when it is created, started, stopped, removed, and what its end
//! is called. It does nothing itself: the worker's attempt driver asks [`plan`] for one [`Action`], carries it out,
//! writes what happened into [`Observed`] and asks again. Asking twice without a change gives the same action, so a
//! driver that lost its memory rebuilds `Observed` from the journal and the container and goes on.
//!
//! ```text
//!              create            journal id         fsync, then one start      confirmed          classified
//!   Intent ----------> (container) -------> Created ------------> StartIntent ---------> Started ----------> Ended
//!     |                                        |                      |  \                   |                 |
//!     |  image failed, create refused          |  stop before start   |   \ still `created`: |  exit, or       | result stored and
//!     +--------------------> Ended <-----------+----------------------+    remove, confirm,  |  removed by     | log end durable:
//!                                                                           "start unknown"  |  someone else   v remove, then forget
//! ```
//!
//! Invariant: `Start` is planned only in `StartIntent` while no start was sent by this process, and a driver that finds
//! `StartIntent` in its journal says that one was sent. So at most one start request is ever made for an attempt (G2):
//! the daemon would run an exited container again.
//!
//! Invariant: nothing is sent to a container through another daemon than the one it was created on. While that does not
//! answer, nothing is known of it: an attempt whose job waits stays as it is, any other ends as unknown.
//!
//! Invariant: a container is removed only if it never started, or after its result and its log end are durable
//! elsewhere (G6), or when nobody wants either.
//!
//! Invariant: without contact to the leader an attempt that its leader may replace is ended, and none is started (G3); see
//! [`Contact`].

mod action;
mod classify;
mod daemon_run;
mod fence;
mod guard;
mod names;
mod observed;
mod plan;
mod wanted;

pub use action::{Action, Ending};
pub use classify::classify_exit;
pub use daemon_run::{Absence, DaemonRun};
pub use fence::{Contact, DEFAULT_FENCE_AFTER, Fence, is_fenced};
pub use guard::{Guarded, guard_kills};
pub use names::{ContainerIdentity, Label, container_name};
pub use observed::{Capture, Container, Doubt, Exit, Image, Observed, Phase, StartRequest, Stopping};
pub use plan::{KILL_RETRY, plan};
pub use wanted::{Stop, Wanted};
