//! Paths inside a container and on a host, as far as text alone can tell.
//!
//! Owns the rules about the text. Whether a host path is a symbolic link into a forbidden place only the worker can see.

use super::error::{Error, Excerpt};
use super::limits::MAX_PATH_BYTES;

/// Host paths that are never mounted, with everything below them: whoever holds one of them holds the host.
const FORBIDDEN_TREES: [&str; 9] = [
    "/proc",
    "/sys",
    "/dev",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/run/docker",
    "/run/containerd",
    "/var/run/docker",
    "/var/run/containerd",
];
/// Host folders that are never mounted because the Docker socket or Docker's data lies below them.
const FORBIDDEN_PARENTS: [&str; 5] = ["/", "/run", "/var", "/var/run", "/var/lib"];
/// Names of control sockets, wherever they lie.
const SOCKETS: [&str; 3] = ["docker.sock", "containerd.sock", "podman.sock"];

/// Reads an absolute path without `.`, `..` and empty parts; one trailing `/` is dropped.
pub(super) fn absolute(text: &str) -> Result<String, Error> {
    let bad = |rule| Err(Error::Path(Excerpt::of(text), rule));
    if !text.starts_with('/') {
        return bad("it must be absolute, that is begin with '/'");
    }
    if text.len() > MAX_PATH_BYTES {
        return bad("it has more than 4095 bytes");
    }
    if text.chars().any(char::is_control) {
        return bad("it has a control character");
    }
    let path = if text == "/" { text } else { text.strip_suffix('/').unwrap_or(text) };
    if text != "/" && path[1..].split('/').any(|part| matches!(part, "" | "." | "..")) {
        return bad("it must not have '.', '..' or empty parts");
    }
    Ok(path.to_owned())
}

/// Reads a working directory. Open file descriptors are refused: through a leaked one a container could reach the
/// host (CVE-2024-21626).
pub(super) fn working_dir(text: &str) -> Result<String, Error> {
    let path = absolute(text)?;
    if is_at_or_below(&path, "/proc") || is_at_or_below(&path, "/dev/fd") {
        return Err(Error::Path(Excerpt::of(text), "no job may work in /proc or /dev/fd"));
    }
    Ok(path)
}

/// Reads the place of a mount in the container.
pub(super) fn mount_target(text: &str) -> Result<String, Error> {
    let path = absolute(text)?;
    if path == "/" {
        return Err(Error::Path(Excerpt::of(text), "the root itself cannot be mounted over"));
    }
    if is_at_or_below(&path, "/proc") {
        return Err(Error::Path(Excerpt::of(text), "nothing can be mounted in /proc"));
    }
    Ok(path)
}

/// Reads the host path of a bind mount.
pub(super) fn bind_source(text: &str) -> Result<String, Error> {
    let path = absolute(text)?;
    let forbidden = FORBIDDEN_PARENTS.contains(&path.as_str())
        || FORBIDDEN_TREES.iter().any(|tree| is_at_or_below(&path, tree))
        || SOCKETS.iter().any(|socket| path.rsplit('/').next() == Some(socket));
    if forbidden {
        return Err(Error::Path(
            Excerpt::of(text),
            "the Docker socket, its parents, Docker's data and the kernel's file systems are never mounted",
        ));
    }
    Ok(path)
}

/// Reads the name of a Docker volume.
pub(super) fn volume_name(text: &str) -> Result<String, Error> {
    let bytes = text.as_bytes();
    let good = (2..=255).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if good {
        return Ok(text.to_owned());
    }
    let rule = "it has 2 to 255 of A-Z, a-z, 0-9, '_', '.', '-' and begins with a letter or digit; \
                a host path needs kind bind";
    Err(Error::Volume(Excerpt::of(text), rule))
}

/// Whether `path` is `tree` or lies below it.
fn is_at_or_below(path: &str, tree: &str) -> bool {
    path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
