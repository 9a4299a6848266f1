//! What dockmgr believes about the services it uses, as plain data with plain calls: no input or output, no clock, no task.
//!
//! Owns the rules of a container daemon ([`docker`]) and of a store of keys with revisions and one leader ([`store`]). The
//! worker's fake runtime and the coordinator's memory store are thin shells around them, and pass the same conformance suites
//! as Docker, the embedded store and etcd. The simulation builds on the same rules, so that it tests against services that
//! behave as the real ones were measured to. And the rule by which what clients were told is judged ([`history`]).

pub mod docker;
pub mod history;
pub mod store;
