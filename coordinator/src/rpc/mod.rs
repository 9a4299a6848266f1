//! The API: thin handlers between the wire and the controller.
//!
//! Owns conversion, page tokens, statuses and the gate. Every rule about jobs is in `core`.

mod auth;
mod events;
mod jobs;
mod log_directory;
mod log_source;
mod log_upload;
mod logs;
mod nodes;
mod overview;
mod page;
mod references;
mod search;
mod session;
pub(crate) mod status;
mod times;
mod view;
mod workers;

pub(crate) use auth::Gate;
pub(crate) use events::Events;
pub(crate) use jobs::Jobs;
pub(crate) use log_directory::begun_tasks;
pub(crate) use log_source::{Kept, Source};
pub(crate) use log_upload::UploadDesk;
pub(crate) use logs::Logs;
pub(crate) use nodes::Nodes;
pub(crate) use overview::Overview;
pub(crate) use session::SessionDesk;
pub(crate) use workers::Workers;
