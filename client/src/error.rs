//! Why a call failed, in a form that can be shown to a person.

use std::error::Error as _;

use dockmgr_support::channel::{self, Address};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why the cluster could not be reached or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No coordinator was named.
    #[error("no coordinator address was given")]
    NoServer,
    /// An address or a TLS file is not usable.
    #[error("prepare the connection")]
    Prepare(#[source] channel::Error),
    /// Nothing answers there, or the connection broke.
    #[error("cannot reach the coordinator at {server}: {cause}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What the system said.
        cause: String,
    },
    /// Something accepted the connection and said nothing.
    #[error("{server} accepted the connection but did not answer within {seconds} s")]
    Silent {
        /// Its address.
        server: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Something answers there, but it is no coordinator.
    #[error(
        "{server} answers, but does not speak gRPC ({cause}): is it a coordinator, and is http:// or https:// right?"
    )]
    NotGrpc {
        /// Its address.
        server: String,
        /// What was odd.
        cause: String,
    },
    /// The coordinator took the call and did not finish it in time.
    #[error("{server} did not finish the call within {seconds} s")]
    Deadline {
        /// Its address.
        server: String,
        /// The deadline.
        seconds: u64,
    },
    /// The coordinator answered with an error.
    #[error(transparent)]
    Refused(Box<Refusal>),
}

/// The coordinator's own word on why not.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// What and why, in words.
    pub message: String,
    /// Reason for programs, in `UPPER_SNAKE_CASE`; empty if none was given.
    pub reason: String,
    /// Wrong fields of the request.
    pub violations: Vec<FieldViolation>,
    /// What to do next; empty if none was given.
    pub hint: String,
}

/// A wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field, `spec.image`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Error {
    /// Whether the same call may succeed later without any change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => true,
            Self::Refused(refusal) => refusal.code == Code::Unavailable,
            Self::NoServer | Self::Prepare(_) | Self::NotGrpc { .. } | Self::Deadline { .. } => false,
        }
    }

    /// Whether the call certainly had no effect: nobody led, so nobody carried it out.
    pub(crate) fn changed_nothing(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.reason == "NO_LEADER")
    }

    /// The gRPC code of the coordinator's answer; `None` if it did not answer.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::NoServer
            | Self::Prepare(_)
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::NotGrpc { .. }
            | Self::Deadline { .. } => None,
        }
    }

    /// The coordinator's answer, where there is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::NoServer
            | Self::Prepare(_)
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::NotGrpc { .. }
            | Self::Deadline { .. } => None,
        }
    }

    /// Whether a status was sent by a gRPC server, not made up on this side of a broken connection.
    pub(crate) fn is_from_server(status: &Status) -> bool {
        status.source().is_none() && !status.message().starts_with("grpc-status header missing")
    }

    /// Reads a status: the server's own word with its details, or what became of the connection.
    pub(crate) fn from_status(server: &Address, status: &Status) -> Self {
        if Self::is_from_server(status) {
            return Self::Refused(Box::new(refusal(status)));
        }
        let server = server.to_string();
        let (whole, cause) = causes(status);
        let foreign =
            ["frame", "http2 error", "preface", "InvalidContentType", "header missing", "invalid content"];
        if foreign.iter().any(|sign| whole.contains(sign)) && !whole.contains("os error") {
            return Self::NotGrpc { server, cause };
        }
        Self::Unreachable { server, cause }
    }
}

/// The whole chain of causes for looking into, and the innermost one for people.
fn causes(status: &Status) -> (String, String) {
    let mut whole = status.message().to_owned();
    let mut innermost = whole.clone();
    let mut next = status.source();
    while let Some(cause) = next {
        innermost = cause.to_string();
        whole.push_str(": ");
        whole.push_str(&innermost);
        next = cause.source();
    }
    (whole, innermost)
}

fn refusal(status: &Status) -> Refusal {
    let details = status.get_error_details();
    let info = details.error_info();
    let violations = details.bad_request().map_or_else(Vec::new, |bad| {
        bad.field_violations
            .iter()
            .map(|v| FieldViolation { field: v.field.clone(), description: v.description.clone() })
            .collect()
    });
    let hint = details
        .help()
        .and_then(|help| help.links.first().map(|link| link.description.clone()))
        .or_else(|| details.localized_message().map(|words| words.message.clone()))
        .or_else(|| info.and_then(|info| info.metadata.get("hint").cloned()))
        .unwrap_or_default();
    let message = if status.message().is_empty() { status.code().description() } else { status.message() };
    Refusal {
        code: status.code(),
        message: message.to_owned(),
        reason: info.map_or_else(String::new, |info| info.reason.clone()),
        violations,
        hint,
    }
}
