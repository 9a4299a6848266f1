//! Tests of the cluster: stories in a small text language, and random histories.

mod draining;
mod lifecycle;
mod losing;
mod placing;
mod properties;
mod reading;
mod records;
mod restarts;
mod scenario;
mod sessions;
mod sizes;
mod spec_text;
mod stopping;
mod submitting;
mod tracing;
mod world;
