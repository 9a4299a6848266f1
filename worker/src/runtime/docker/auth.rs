//! Registry credentials from Docker's own configuration file.
//!
//! Owns reading `config.json` (`auths`, `credsStore`, `credHelpers`) and asking a credential helper. The file is read at each
//! pull, so a `docker login` counts at once. Nothing is cached, logged or shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::super::RegistryAuth;

mod helper;

#[cfg(test)]
mod tests;

/// A helper may ask a key ring; a person is never asked, so longer means that it hangs.
const HELPER_DEADLINE: Duration = Duration::from_secs(10);
/// Largest configuration file or helper answer read.
const SIZE_LIMIT: usize = 1024 * 1024;
/// The key Docker itself uses for the default registry.
const DEFAULT_KEY: &str = "https://index.docker.io/v1/";
/// What an image without a registry name comes from.
const DEFAULT_HOST: &str = "docker.io";

/// Why credentials cannot be read. Messages never contain them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file exists and cannot be read.
    #[error("read the Docker configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The configuration file or a helper's answer is not what it should be.
    #[error("understand {what}: {reason}")]
    Malformed {
        /// The file or helper.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// The credential helper cannot be run or fails.
    #[error("ask the credential helper '{helper}' about {registry}: {reason}")]
    Helper {
        /// Its program name.
        helper: String,
        /// The registry asked about.
        registry: String,
        /// What went wrong.
        reason: String,
    },
}

/// Where credentials are kept.
#[derive(Debug, Clone)]
pub struct Credentials {
    path: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Config {
    auths: BTreeMap<String, Login>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Credentials in the configuration folder `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("config.json") }
    }

    /// The usual place: `DOCKER_CONFIG` if given, else `.docker` in the home folder. The caller reads the environment.
    pub fn from_environment(docker_config: Option<&str>, home: Option<&str>) -> Self {
        match docker_config.filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::in_folder(Path::new(folder)),
            None => Self::in_folder(&Path::new(home.unwrap_or("/root")).join(".docker")),
        }
    }

    /// Credentials for the registry of `image`; `None` if there are none, or no configuration file.
    pub async fn for_image(&self, image: &str) -> Result<Option<RegistryAuth>, Error> {
        let Some(config) = self.load().await? else { return Ok(None) };
        let host = registry_host(image);
        let keys = keys(host);
        let helper = keys.iter().find_map(|key| config.cred_helpers.get(key)).or(config.creds_store.as_ref());
        if let Some(helper) = helper.filter(|name| !name.is_empty()) {
            for key in &keys {
                if let Some(found) = helper::ask(helper, key).await? {
                    return Ok(Some(found));
                }
            }
        }
        let login = config.auths.iter().find(|(key, _)| keys.iter().any(|wanted| same_registry(key, wanted)));
        login.map_or(Ok(None), |(key, login)| self.decode(key, login))
    }

    async fn load(&self) -> Result<Option<Config>, Error> {
        let read = |source| Error::Read { path: self.path.clone(), source };
        let length = match tokio::fs::metadata(&self.path).await {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(read(error)),
        };
        if usize::try_from(length).is_ok_and(|length| length > SIZE_LIMIT) {
            return Err(self.malformed(format!("it is larger than {SIZE_LIMIT} bytes")));
        }
        let bytes = tokio::fs::read(&self.path).await.map_err(read)?;
        // The parser's own message could repeat a secret; its place is enough.
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| self.malformed(format!("line {}, column {}", error.line(), error.column())))
    }

    fn decode(&self, key: &str, login: &Login) -> Result<Option<RegistryAuth>, Error> {
        let (mut username, mut password) = (login.username.clone(), login.password.clone());
        if !login.auth.is_empty() {
            let pair = STANDARD.decode(&login.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let Some((user, secret)) = pair.as_deref().and_then(|pair| pair.split_once(':')) else {
                return Err(self.malformed(format!("the entry of {key} is no encoded user and password")));
            };
            user.clone_into(&mut username);
            secret.trim_end_matches('\0').clone_into(&mut password);
        }
        let identity_token = (!login.identitytoken.is_empty()).then(|| login.identitytoken.clone());
        if username.is_empty() && identity_token.is_none() {
            return Ok(None);
        }
        Ok(Some(RegistryAuth { username, password, identity_token, server_address: key.to_owned() }))
    }

    fn malformed(&self, reason: String) -> Error {
        Error::Malformed { what: self.path.display().to_string(), reason }
    }
}

/// The registry of an image: its first part if that looks like a host, else the default one.
pub fn registry_host(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => DEFAULT_HOST,
    }
}

/// The names under which credentials for `host` may be kept, the usual one first.
fn keys(host: &str) -> Vec<String> {
    if matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        vec![DEFAULT_KEY.to_owned(), "index.docker.io".to_owned(), DEFAULT_HOST.to_owned()]
    } else {
        vec![host.to_owned(), format!("https://{host}")]
    }
}

/// Whether a key of the file means the registry `wanted`, with or without a scheme and a path.
fn same_registry(key: &str, wanted: &str) -> bool {
    let host = |text: &str| -> String {
        let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        text.split('/').next().unwrap_or_default().to_ascii_lowercase()
    };
    host(key) == host(wanted)
}
