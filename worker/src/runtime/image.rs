//! Images as the runtime sees them: what is there, what a pull does, who may pull.
//!
//! Owns plain types. Policy (when to pull, what to clean up) is the image cache's business.

use std::fmt;

/// An image the daemon has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageInfo {
    /// Content id, `sha256:...`.
    pub id: String,
    /// `name@sha256:...` for each registry it came from; empty for an image built here.
    pub repo_digests: Vec<String>,
    /// `name:tag`.
    pub repo_tags: Vec<String>,
    /// Size on disk in bytes.
    pub size_bytes: u64,
    /// Entry point; empty in a list.
    pub entrypoint: Vec<String>,
    /// Command; empty in a list.
    pub command: Vec<String>,
    /// User; empty when root or in a list.
    pub user: String,
    /// Processor architecture; empty in a list.
    pub architecture: String,
    /// Whether containers use it, where the daemon tells (lists only).
    pub containers: Option<u32>,
}

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PullProgress {
    /// Bytes that arrived, over all layers seen so far.
    pub current: u64,
    /// Bytes expected, over all layers seen so far; 0 while unknown.
    pub total: u64,
    /// The daemon's latest words.
    pub status: String,
}

/// Credentials for one registry.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RegistryAuth {
    /// User name.
    pub username: String,
    /// Password or access token.
    pub password: String,
    /// Identity token, used instead of both.
    pub identity_token: Option<String>,
    /// The registry's address as the credentials file spells it.
    pub server_address: String,
}

impl fmt::Debug for RegistryAuth {
    /// Never shows the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryAuth")
            .field("username", &self.username)
            .field("server_address", &self.server_address)
            .finish_non_exhaustive()
    }
}
