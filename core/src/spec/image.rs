//! Image references, after the grammar Docker's registries use.
//!
//! Owns the check and the parts. Does not normalise: `debian` stays `debian`, and what it means is the daemon's business.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::error::{Error, Excerpt};

/// A valid image reference: `[registry[:port]/]path[:tag][@sha256:digest]`, kept as it was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef(String);

/// Most characters of registry and path together.
const MAX_NAME: usize = 255;

impl ImageRef {
    /// Tag of a reference that has neither a tag nor a digest.
    pub const DEFAULT_TAG: &'static str = "latest";

    /// Reads a reference.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match problem(text) {
            Some(rule) => Err(Error::Image(Excerpt::of(text), rule)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Registry and path, without tag and digest.
    pub fn repository(&self) -> &str {
        split(&self.0).0
    }

    /// Registry with its port, where the reference names one; `None` means the daemon's default registry.
    pub fn registry_host(&self) -> Option<&str> {
        let (first, _) = self.repository().split_once('/')?;
        names_registry(first).then_some(first)
    }

    /// Path of the image in its registry.
    pub fn path(&self) -> &str {
        let repository = self.repository();
        self.registry_host().map_or(repository, |host| &repository[host.len() + 1..])
    }

    /// The tag, where one is given.
    pub fn tag(&self) -> Option<&str> {
        split(&self.0).1
    }

    /// The digest `sha256:...`, where one is given.
    pub fn digest(&self) -> Option<&str> {
        split(&self.0).2
    }

    /// Whether a tag or a digest is given.
    pub fn has_tag_or_digest(&self) -> bool {
        self.tag().is_some() || self.digest().is_some()
    }

    /// The tag that is pulled: the given one, else [`Self::DEFAULT_TAG`]; `None` if a digest alone says what is meant.
    pub fn effective_tag(&self) -> Option<&str> {
        self.tag().or_else(|| self.digest().is_none().then_some(Self::DEFAULT_TAG))
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImageRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Cuts a reference into repository, tag and digest. A colon before the last `/` is a port's.
fn split(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (named, digest) = text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
    let path_begin = named.rfind('/').map_or(0, |slash| slash + 1);
    match named[path_begin..].find(':') {
        Some(colon) => (&named[..path_begin + colon], Some(&named[path_begin + colon + 1..]), digest),
        None => (named, None, digest),
    }
}

/// Whether the first part of a repository names a registry: it has a dot, a colon, or is `localhost`.
fn names_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// What is wrong with a reference, as a rule that would make it right; `None` if nothing is.
fn problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.starts_with('-') {
        return Some("it begins with '-', as an option does; the image comes after the options");
    }
    if text.contains("://") {
        return Some("it is a URL; leave out what is before '//', and '//'");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Some("it has a space, a control character or a character outside ASCII");
    }
    let (repository, tag, digest) = split(text);
    repository_problem(repository)
        .or_else(|| tag.and_then(tag_problem))
        .or_else(|| digest.and_then(digest_problem))
}

/// What is wrong with registry and path.
fn repository_problem(repository: &str) -> Option<&'static str> {
    if repository.len() > MAX_NAME {
        return Some("registry and path together have more than 255 characters");
    }
    let path = match repository.split_once('/') {
        Some((host, path)) if names_registry(host) => {
            if let Some(problem) = host_problem(host) {
                return Some(problem);
            }
            path
        }
        _ => repository,
    };
    if path == repository && path == "scratch" {
        return Some("'scratch' is a reserved word, there is nothing in it to run");
    }
    if path.len() == 64 && path.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Some("it looks like an image id; use a name with '@sha256:...'");
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Some("the path must be in lower case");
    }
    let good = path.split('/').all(is_path_component);
    (!good).then_some(
        "each part of the path is a-z and 0-9, with '.', '_', '__' or dashes between them: debian, team/tool",
    )
}

/// Whether `part` is letters and digits with single separators inside: a dot, one or two underscores, or dashes.
fn is_path_component(part: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends_well = bytes.first().is_some_and(|b| is_word(*b)) && bytes.last().is_some_and(|b| is_word(*b));
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends_well
        && separators
            .filter(|s| !s.is_empty())
            .all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

/// What is wrong with a registry: a host name, an IPv4 address or `[IPv6]`, and a port.
fn host_problem(text: &str) -> Option<&'static str> {
    const HOST: &str = "the registry is a host name, an address or [address], with or without :port";
    const LOCAL: &str = "link-local addresses hold the machine's metadata service, not a registry";
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return Some(HOST) };
        match address.parse::<Ipv6Addr>() {
            Ok(address) if address.is_unicast_link_local() => return Some(LOCAL),
            Ok(_) => (None, port),
            Err(_) => return Some(HOST),
        }
    } else {
        let end = text.find(':').unwrap_or(text.len());
        (Some(&text[..end]), &text[end..])
    };
    if let Some(host) = host {
        if host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_link_local()) {
            return Some(LOCAL);
        }
        let is_part = |part: &str| {
            part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        if !host.split('.').all(is_part) {
            return Some(HOST);
        }
    }
    let port_is_good = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|port| port > 0)
        });
    (!port_is_good).then_some("the port is a number from 1 to 65535")
}

/// What is wrong with a tag.
fn tag_problem(tag: &str) -> Option<&'static str> {
    let bytes = tag.as_bytes();
    let good = (1..=128).contains(&bytes.len())
        && !matches!(bytes[0], b'.' | b'-')
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    (!good)
        .then_some("the tag has 1 to 128 of A-Z, a-z, 0-9, '_', '.', '-' and begins with neither '.' nor '-'")
}

/// What is wrong with a digest.
fn digest_problem(digest: &str) -> Option<&'static str> {
    let good = digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    (!good).then_some("the digest is 'sha256:' and 64 hexadecimal digits in lower case")
}
