//! The coordinator's state machine: jobs, tasks, attempts, nodes.
//!
//! Owns every decision of the cluster. [`Cluster::step`] takes what happened and returns what must be stored, sent and
//! answered, in that order; the shell that calls it owns the store, the sessions and the clock, and lets effects leave
//! only when the records they rest on are durable. Same state, time and event give the same effects.
//!
//! What a node says is believed only from its newest incarnation, and of an attempt only if it is the task's current
//! one. The first end of an attempt that is taken is the only one.
//!
//! Suggested reading order: `event`, `effect`, `job`, `task`, `node`; then the rules: `submit`, `place`, `session`,
//! `report`, `end`, `stop`, `loss`, `late`, `drain`, `time`, `restore`.

mod backlog;
mod changes;
mod config;
mod counts;
mod drain;
mod effect;
mod end;
mod ending;
mod event;
mod explain;
mod forget;
mod indices;
mod invariants;
mod job;
mod late;
mod lately;
mod loss;
mod node;
mod nodes;
mod place;
mod read;
mod refusal;
mod report;
mod request;
mod restore;
mod session;
mod specs;
mod state;
mod stop;
mod submit;
mod task;
mod time;
mod timers;

pub use backlog::Backlog;
pub use changes::{Changes, Compacted, JobNews};
pub use config::{CHUNK_TASKS, Config, FENCE_GRACE, FENCE_KILL, TimesError};
pub use counts::{Counts, Totals};
pub use effect::{Command, Effects, Note, NoteKind, Record, Reply, Send, Start, StopCause, Verdict};
pub use ending::exit_code;
pub use event::{
    Event, Hello, Key, NodeStatus, Progress, Pull, Report, Request, Submission, Token, WorkerNews,
};
pub use indices::Indices;
pub use job::{Job, JobOutcome};
pub use lately::{Ends, Lately};
pub use node::{Drain, Node, NodeState};
pub use refusal::Refusal;
pub use request::StoredRequest;
pub use restore::{Restored, StoredJob, StoredNode};
pub use state::Cluster;
pub use task::{AttemptEntry, Late, Loss, StopWish, TaskEntry};

#[cfg(test)]
mod tests;
