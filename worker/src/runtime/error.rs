//! What can go wrong with a runtime call, classed by what the caller may do next.
//!
//! Owns the classes; the mapping from a daemon's answers is in [`super::docker`]. The attempt driver turns classes into
//! end reasons; nothing here decides about attempts.

use std::fmt;
use std::time::Duration;

/// Longest text of a daemon that is kept, in bytes.
pub const MESSAGE_LIMIT: usize = 4096;

/// Why a runtime call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection was made; the request was not sent.
    #[error("cannot reach the container daemon at {socket}: {reason}")]
    Unreachable {
        /// The socket that was tried.
        socket: String,
        /// What the system said, in words that tell what to do.
        reason: String,
    },
    /// No answer in time. Ambiguous: the daemon may have done it, or do it later.
    #[error("the container daemon did not answer {call} within {after:?}")]
    Timeout {
        /// The call.
        call: Call,
        /// The deadline that passed.
        after: Duration,
    },
    /// The connection broke after the request was sent. Ambiguous like a time-out.
    #[error("the connection to the container daemon broke during {call}: {message}")]
    Interrupted {
        /// The call.
        call: Call,
        /// What broke.
        message: String,
    },
    /// The container does not exist.
    #[error("no such container: {what}")]
    NotFound {
        /// The id or name asked for.
        what: String,
    },
    /// The name is taken, or the image is in use.
    #[error("{what} is in use: {message}")]
    Conflict {
        /// The name or image.
        what: String,
        /// The daemon's words.
        message: String,
    },
    /// The image cannot be had, or is not there at create.
    #[error("{}: image {image}: {failure}: {message}", failure.class())]
    Image {
        /// The reference asked for.
        image: String,
        /// The class.
        failure: ImageFailure,
        /// The daemon's words.
        message: String,
    },
    /// The container could not be started; nothing ran.
    #[error("container start failed with code {code}: {message}")]
    StartFailed {
        /// 127 command not found, 126 command not executable, 125 anything else (user, mount, working folder, runtime).
        code: u8,
        /// The daemon's words.
        message: String,
    },
    /// The daemon's disk is full.
    #[error("the container daemon has no disk space left for {call}: {message}")]
    Disk {
        /// The call.
        call: Call,
        /// The daemon's words.
        message: String,
    },
    /// The specification is not acceptable; the same again fails again.
    #[error("the container specification is refused: {0}")]
    InvalidSpec(String),
    /// Any other refusal.
    #[error("the container daemon answered {call} with status {status}: {message}")]
    Daemon {
        /// The call.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// The daemon's words.
        message: String,
    },
    /// The answer could not be understood.
    #[error("the container daemon's answer to {call} makes no sense: {message}")]
    Protocol {
        /// The call.
        call: Call,
        /// What was wrong with it.
        message: String,
    },
    /// The log file was cut or rotated while it was read; the rest is lost.
    #[error("the kept log of container {id} was cut after {read} bytes")]
    LogCut {
        /// The container.
        id: String,
        /// File bytes read before.
        read: u64,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Interrupted { .. } => true,
            Self::Daemon { status, .. } => *status == 429 || *status >= 500,
            Self::Image { failure, .. } => failure.is_retryable(),
            Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::StartFailed { .. }
            | Self::Disk { .. }
            | Self::InvalidSpec(_)
            | Self::Protocol { .. }
            | Self::LogCut { .. } => false,
        }
    }

    /// Whether the daemon may have carried the call out although it failed here.
    pub fn is_ambiguous(&self) -> bool {
        match self {
            // A 5xx of a start or create may come after the effect: only inspection tells.
            Self::Daemon { status, .. } => *status >= 500,
            Self::Timeout { .. } | Self::Interrupted { .. } | Self::Protocol { .. } | Self::Disk { .. } => {
                true
            }
            Self::Unreachable { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Image { .. }
            | Self::StartFailed { .. }
            | Self::InvalidSpec(_)
            | Self::LogCut { .. } => false,
        }
    }

    /// Whether the daemon itself is away or hung: the node is not ready until a probe succeeds.
    pub fn is_daemon_trouble(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. } | Self::Interrupted { .. })
    }
}

/// Why an image cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFailure {
    /// No such repository, tag or digest.
    NotFound,
    /// The registry refused the credentials, or wants some.
    Auth,
    /// The registry asks to come back later.
    RateLimit,
    /// The registry cannot be reached or broke off.
    Network,
    /// The daemon's disk is full.
    Disk,
    /// Nothing in the image fits this machine's platform.
    Platform,
    /// The stream said success and the image is absent, a digest did not match, or anything else.
    Broken,
}

impl ImageFailure {
    /// The class as the API names it: every message about an image begins with it.
    pub fn class(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Auth => "auth",
            Self::RateLimit => "rate_limit",
            Self::Network => "network",
            Self::Disk => "disk",
            Self::Platform => "platform",
            Self::Broken => "broken",
        }
    }

    /// Whether pulling again may help.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::RateLimit | Self::Network => true,
            Self::NotFound | Self::Auth | Self::Disk | Self::Platform | Self::Broken => false,
        }
    }
}

impl fmt::Display for ImageFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::Auth => "access denied",
            Self::RateLimit => "rate limited by the registry",
            Self::Network => "registry not reachable",
            Self::Disk => "no disk space left",
            Self::Platform => "not for this platform",
            Self::Broken => "broken",
        })
    }
}

/// The calls of the runtime, as errors and logs name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Describe the daemon.
    Info,
    /// Agree on an API version.
    Negotiate,
    /// Pull an image.
    Pull,
    /// Inspect an image.
    InspectImage,
    /// Remove an image.
    RemoveImage,
    /// List images.
    ListImages,
    /// Create a container.
    Create,
    /// Start a container.
    Start,
    /// Inspect a container.
    Inspect,
    /// Wait for a container's end.
    Wait,
    /// Signal a container.
    Signal,
    /// Remove a container.
    Remove,
    /// List containers.
    List,
    /// Attach to a container's output.
    Attach,
    /// Read a container's kept output.
    RecoverLog,
    /// Sample a container's usage.
    Usage,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Negotiate => "version",
            Self::Pull => "image pull",
            Self::InspectImage => "image inspect",
            Self::RemoveImage => "image remove",
            Self::ListImages => "image list",
            Self::Create => "create",
            Self::Start => "start",
            Self::Inspect => "inspect",
            Self::Wait => "wait",
            Self::Signal => "kill",
            Self::Remove => "remove",
            Self::List => "list",
            Self::Attach => "attach",
            Self::RecoverLog => "logs",
            Self::Usage => "stats",
        })
    }
}

/// Cuts a foreign text to [`MESSAGE_LIMIT`] bytes at a character border.
pub(crate) fn clip(text: &str) -> String {
    let text = text.trim();
    if text.len() <= MESSAGE_LIMIT {
        return text.to_owned();
    }
    let mut end = MESSAGE_LIMIT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &text[..end])
}
