//! A container daemon: its containers, the programs in them and its images, with the real one's quirks.
//!
//! Owns the rules and the little script language the containers run. Whoever uses it brings the time along: looking at a
//! container runs its program up to that moment, so that nothing here needs a timer.

mod images;
mod machine;
mod model;
mod program;
mod signals;
mod words;

pub use images::Image;
pub use machine::generate;
pub use model::{Container, Daemon, Id, Refused, Spec, Started, State, Status, Wall};
