//! Typed client of the dockmgr API.
//!
//! Owns the way to a coordinator: connecting, deadlines, retries, following another coordinator when one is gone, and
//! streams that go on where they broke off. It does not interpret what it brings back; the messages are those of
//! [`dockmgr_proto::v1`]. Used by the command line and by the tests.
//!
//! ```no_run
//! # async fn example() -> Result<(), dockmgr_client::Error> {
//! use dockmgr_client::{Client, Options};
//! use dockmgr_proto::v1;
//!
//! let client = Client::connect(Options::for_server("http://127.0.0.1:7443")?).await?;
//! let answer = client.get_job(v1::GetJobRequest { job: "last".into(), explain: false }).await?;
//! # drop(answer); Ok(()) }
//! ```

mod banner;
mod call;
mod cluster;
mod connection;
mod error;
mod events;
mod follow;
mod headers;
mod jobs;
mod nodes;
mod outage;
mod search;
mod stitch;
mod wait;
mod watch;

pub use connection::{Client, Options};
pub use error::{Error, FieldViolation, Refusal};
pub use events::EventWatch;
pub use follow::LogFollow;
pub use jobs::new_request_id;
pub use outage::Told;
pub use search::LogSearch;
pub use watch::JobWatch;

/// How long a wait, a watch or a follow outlives its coordinator: long enough for a restart, an upgrade or a failover,
/// short enough that a person learns of a cluster that is gone.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);
