//! Which queued job goes next, and onto which node.
//!
//! Owns the order of the queue ([`Queue`]), what fits where ([`Shape`], [`Host`]), the choice among the nodes that fit
//! ([`pick`]) and the walk over the queue ([`Pass`]). Does not own jobs or nodes: the cluster carries out each
//! [`Choice`] before it asks for the next, so nothing in here is guessed ahead. Properties that hold: `README.md`.

mod filter;
mod host;
mod pass;
mod queue;
mod score;
mod shape;

pub use filter::Misfit;
pub use host::{Host, OpenHosts};
pub use pass::{Choice, Pass, Scope};
pub use queue::{Place, Queue, ShapeId};
pub use score::{MAX_CANDIDATES, Wish, pick};
pub use shape::Shape;

#[cfg(test)]
mod tests;
