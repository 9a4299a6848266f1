//! From the daemon's answers and broken connections to error classes.
//!
//! Owns the reading of statuses and messages, the only place that knows the daemon's wording. Pure.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::super::error::clip;
use super::super::{Call, Error, ImageFailure};

/// Classes an error of the client library.
pub(super) fn client_error(
    call: Call,
    socket: &str,
    limit: Duration,
    error: &bollard::errors::Error,
) -> Error {
    use bollard::errors::Error as Client;
    match error {
        Client::DockerResponseServerError { status_code, message } => {
            status(call, socket, *status_code, message)
        }
        Client::RequestTimeoutError => Error::Timeout { call, after: limit },
        Client::SocketNotFoundError(_) => unreachable(socket, Some(io::ErrorKind::NotFound), "no such file"),
        Client::HyperLegacyError { err } if err.is_connect() => {
            unreachable(socket, io_kind(err), &deepest(err))
        }
        Client::HyperLegacyError { err } => Error::Interrupted { call, message: deepest(err) },
        Client::HyperResponseError { err } => Error::Interrupted { call, message: deepest(err) },
        Client::IOError { err } => Error::Interrupted { call, message: deepest(err) },
        Client::DockerStreamError { error } => status(call, socket, 500, error),
        // The list is open in the library; what is left are answers that did not parse.
        other => Error::Protocol { call, message: clip(&other.to_string()) },
    }
}

/// Classes a refusal by its status and message.
pub(super) fn status(call: Call, socket: &str, status: u16, message: &str) -> Error {
    let text = clip(message);
    let lower = text.to_ascii_lowercase();
    if status == 400 && lower.contains("client version") {
        // The daemon behind the socket was replaced by one with another range; nothing was carried out.
        return Error::Unreachable {
            socket: socket.to_owned(),
            reason: format!("API version changed: {text}"),
        };
    }
    if call == Call::Start {
        return start_refusal(status, text, &lower);
    }
    if lower.contains("no space left on device") {
        return Error::Disk { call, message: text };
    }
    match (status, call) {
        (404, Call::Create) if lower.contains("no such image") => {
            Error::Image { image: String::new(), failure: ImageFailure::NotFound, message: text }
        }
        // A reference this daemon cannot read: some take an IPv6 registry, some do not. No repetition changes that.
        (400, Call::InspectImage | Call::Pull) => {
            Error::Image { image: String::new(), failure: ImageFailure::NotFound, message: text }
        }
        (400 | 404, Call::Create) => Error::InvalidSpec(text),
        (404, _) => Error::NotFound { what: text },
        (409, _) => Error::Conflict { what: String::new(), message: text },
        _ => Error::Daemon { call, status, message: text },
    }
}

/// Classes a refused start. What came from the container's own runtime is the container's failure, not the daemon's.
fn start_refusal(status: u16, text: String, lower: &str) -> Error {
    if status == 404 && lower.contains("no such container") {
        return Error::NotFound { what: text };
    }
    if lower.contains("no space left on device") {
        return Error::Disk { call: Call::Start, message: text };
    }
    let from_runtime =
        ["oci runtime", "runc", "unable to find user", "mount", "no matching entries", "network"];
    if status < 500 || from_runtime.iter().any(|word| lower.contains(word)) {
        return Error::StartFailed { code: start_code(lower), message: text };
    }
    Error::Daemon { call: Call::Start, status, message: text }
}

/// The shell's code for a start that the container runtime refused.
fn start_code(lower: &str) -> u8 {
    let about_command = lower.contains("exec:") || lower.contains("exec ");
    if lower.contains("executable file not found")
        || (about_command && lower.contains("no such file or directory"))
    {
        127
    } else if about_command && lower.contains("permission denied") {
        126
    } else {
        125
    }
}

/// Words of failed pulls, first match wins: a rate limit is told as "denied" by some, a missing platform as "not found".
const PULL_WORDS: [(ImageFailure, &[&str]); 6] = [
    (ImageFailure::Disk, &["no space left on device"]),
    (ImageFailure::RateLimit, &["toomanyrequests", "too many requests", "rate limit", "429"]),
    (
        ImageFailure::Platform,
        &["no matching manifest", "does not match the specified platform", "image operating system"],
    ),
    (ImageFailure::NotFound, &["manifest unknown", "name unknown", "not found: manifest", "manifest for"]),
    // Public registries answer "access denied" for a repository that does not exist, too.
    (
        ImageFailure::Auth,
        &[
            "unauthorized",
            "access denied",
            "access to the resource is denied",
            "authentication required",
            "no basic auth credentials",
            "403 forbidden",
            "denied:",
        ],
    ),
    (
        ImageFailure::Network,
        &[
            "connection refused",
            "connection reset",
            "timeout",
            "timed out",
            "deadline exceeded",
            "no such host",
            "lookup ",
            "server misbehaving",
            "network is unreachable",
            "no route to host",
            "x509",
            "tls",
            "http response to https client",
            "unexpected eof",
            ": eof",
            "500 internal server error",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway",
            "received unexpected http status: 5",
        ],
    ),
];

/// Classes the text of a failed pull; registries and daemons agree on words only roughly.
pub(super) fn image_failure(status: u16, message: &str) -> ImageFailure {
    let lower = message.to_ascii_lowercase();
    let known = PULL_WORDS.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word)));
    match known {
        Some((failure, _)) => *failure,
        None if status == 404 || lower.contains("not found") => ImageFailure::NotFound,
        None => ImageFailure::Broken,
    }
}

/// Puts a failure to connect into words that say what to do.
pub(super) fn unreachable(socket: &str, kind: Option<io::ErrorKind>, detail: &str) -> Error {
    let reason = match kind {
        Some(io::ErrorKind::NotFound) => {
            "the socket does not exist; is Docker installed and started?".to_owned()
        }
        Some(io::ErrorKind::PermissionDenied) => {
            "permission denied; run as root or as a member of the socket's group".to_owned()
        }
        Some(io::ErrorKind::ConnectionRefused) => "connection refused; the daemon is not running".to_owned(),
        _ => clip(detail),
    };
    Error::Unreachable { socket: socket.to_owned(), reason }
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut current = Some(error);
    while let Some(inner) = current {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        current = inner.source();
    }
    None
}

fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut current = error;
    while let Some(inner) = current.source() {
        current = inner;
    }
    clip(&current.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_failures_are_told_apart_by_their_words() {
        for (message, failure) in [
            ("manifest for a/b:c not found: manifest unknown: manifest unknown", ImageFailure::NotFound),
            ("pull access denied for a/b, repository does not exist", ImageFailure::Auth),
            ("Get http://h/v2/: dial tcp 127.0.0.1:1: connect: connection refused", ImageFailure::Network),
            ("toomanyrequests: You have reached your pull rate limit", ImageFailure::RateLimit),
            ("write /var/lib/x: no space left on device", ImageFailure::Disk),
            ("no matching manifest for linux/amd64 in the manifest list entries", ImageFailure::Platform),
            ("filesystem layer verification failed for digest sha256:1", ImageFailure::Broken),
        ] {
            assert_eq!(image_failure(500, message), failure, "{message}");
        }
    }

    #[test]
    fn a_refused_start_is_the_containers_fault_only_if_its_runtime_says_so() {
        let start = |code, message| status(Call::Start, "s", code, message);
        let oci = "OCI runtime create failed: exec: \"x\": executable file not found in $PATH: unknown";
        assert!(matches!(start(400, oci), Error::StartFailed { code: 127, .. }));
        assert!(matches!(
            start(500, "OCI runtime: exec: \"x\": permission denied"),
            Error::StartFailed { code: 126, .. }
        ));
        assert!(matches!(start(400, "invalid mount config"), Error::StartFailed { code: 125, .. }));
        assert!(start(500, "something inside the daemon").is_ambiguous());
        assert!(matches!(start(404, "No such container: x"), Error::NotFound { .. }));
    }

    #[test]
    fn refusals_have_classes() {
        let create = |code, message| status(Call::Create, "s", code, message);
        assert!(matches!(create(404, "No such image: x"), Error::Image { .. }));
        assert!(matches!(create(409, "Conflict. The container name"), Error::Conflict { .. }));
        assert!(matches!(create(500, "mkdir: no space left on device"), Error::Disk { .. }));
        assert!(create(429, "slow down").is_retryable() && create(503, "later").is_retryable());
        assert!(matches!(create(400, "client version 1.53 is too new"), Error::Unreachable { .. }));
        let long = "\u{e4}".repeat(5000);
        let Error::InvalidSpec(kept) = create(400, &long) else { panic!("another class") };
        assert!(kept.len() <= super::super::super::error::MESSAGE_LIMIT + 3);
    }
}
