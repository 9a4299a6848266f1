//! Why a command did not do what it was asked, in words for a person.

use std::fmt;
use std::io;

use dockmgr_client as client;
use dockmgr_support::error_chain::Chain;
use tonic::Code;

/// What a failure means for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The command line or a file it names is wrong; nothing was sent or the server refused a field.
    Usage,
    /// It did not work, or what was named does not exist.
    Failed,
    /// No node can ever run the job.
    Impossible,
    /// The server wants another token.
    Unauthenticated,
    /// The time that was given is over.
    LimitRanOut,
    /// A person wants to leave.
    Interrupted,
    /// Nobody reads our output any more: nothing is said about it.
    OutputClosed,
}

/// A failure: what and why, and what to do next.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// What it means for the exit code.
    pub(crate) kind: Kind,
    /// What and why, one line.
    pub(crate) what: String,
    /// What to do next, one line each.
    pub(crate) hints: Vec<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), hints: Vec::new() }
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.what.is_empty() {
            writeln!(f, "error: {}", self.what)?;
        }
        self.hints.iter().try_for_each(|hint| writeln!(f, "hint: {hint}"))
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        if let Some(refusal) = error.refusal() {
            return refused(refusal);
        }
        let usage = matches!(error, client::Error::NoServer | client::Error::Prepare(_));
        let kind = if usage { Kind::Usage } else { Kind::Failed };
        let failure = Self::new(kind, Chain(&error).to_string());
        match error {
            client::Error::Unreachable { cause, .. } if cause.contains("certificate") => {
                failure.hint("name the authority that signed the coordinator's certificate with --ca FILE")
            }
            client::Error::Unreachable { cause, .. }
                if cause.contains("broken pipe") || cause.contains("closed") =>
            {
                failure.hint("is it a TLS port? then the address begins with https://")
            }
            client::Error::Unreachable { .. } => failure
                .hint("start one on this machine with: cluster-cli dev")
                .hint("or name another with --server URL, DOCKMGR_SERVER or a context"),
            client::Error::Silent { .. } | client::Error::NotGrpc { .. } => {
                failure.hint("check --server; cluster-cli doctor looks closer")
            }
            _ => failure,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Kind::OutputClosed, "");
        }
        Self::failed(format!("write the output: {error}"))
    }
}

fn refused(refusal: &client::Refusal) -> Failure {
    let kind = match (refusal.code, refusal.reason.as_str()) {
        (_, "UNSCHEDULABLE") => Kind::Impossible,
        (Code::InvalidArgument, _) => Kind::Usage,
        (Code::Unauthenticated, _) => Kind::Unauthenticated,
        _ => Kind::Failed,
    };
    let mut failure = Failure::new(kind, refusal.message.clone());
    // The message names the first wrong field; the others follow.
    failure
        .hints
        .extend(refusal.violations.iter().skip(1).map(|v| format!("{}: {}", v.field, v.description)));
    if !refusal.hint.is_empty() {
        failure.hints.push(refusal.hint.clone());
    }
    match (refusal.code, refusal.reason.as_str()) {
        (Code::Unauthenticated, _) => {
            failure.hint("name the token with --token-file F, DOCKMGR_TOKEN_FILE or a context")
        }
        (_, "UNSCHEDULABLE") => {
            failure.hint("cluster-cli node ls shows what the nodes have; --queue-timeout T waits for one")
        }
        (_, "JOB_NOT_FOUND") => failure.hint("cluster-cli ps -a lists the jobs"),
        (_, "NODE_NOT_FOUND") => failure.hint("cluster-cli node ls lists the nodes"),
        _ => failure,
    }
}
