//! Messages of a worker's session: who the worker is, how attempts stand, and what the leader tells it.
//!
//! Both sides of the stream use these, and the worker's journal keeps commands and reports in the same form.

mod command;
mod hello;
mod report;
mod samples;

pub use command::{start_from_wire, start_to_wire, stop_from_wire, stop_to_wire};
pub use hello::{
    Registration, heartbeat_from_wire, hello_from_wire, hello_to_wire, status_from_wire, status_to_wire,
};
pub use report::{report_from_wire, report_to_wire};
pub use samples::{sample_to_wire, samples_from_wire};

#[cfg(test)]
mod tests;
