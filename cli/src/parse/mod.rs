//! Text of flags and job files to values: strict, with errors that say what would be right.
//!
//! Owns the small languages (durations, sizes, processors, arrays, mounts, pairs, points in time). Pure; the time of day
//! comes in.

mod amount;
mod duration;
mod moment;
mod pair;
mod shape;

pub(crate) use amount::{cpus, size};
pub(crate) use duration::{duration, positive_duration};
pub(crate) use moment::moment;
pub(crate) use pair::{Pair, constraint, label};
pub(crate) use shape::{array, mount};

#[cfg(test)]
mod tests;
