//! Where the numbers are shown, and to whom.

use std::net::SocketAddr;
use std::path::Path;

use crate::secret::{self, ApiToken};

/// An address and, perhaps, a token; checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// What readers must send; never the token of the API, see [`Settings::new`].
    pub token: Option<ApiToken>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The address is none.
    #[error("--metrics-listen: '{0}' is not IP:PORT, for example 127.0.0.1:9464")]
    Address(String),
    /// Other machines could read.
    #[error("--metrics-listen: {0} can be reached from other machines: give --metrics-token-file")]
    Exposed(SocketAddr),
    /// A token without anything it opens.
    #[error("--metrics-token-file: needs --metrics-listen")]
    NoAddress,
    /// The token file cannot be used.
    #[error(transparent)]
    Token(#[from] secret::Error),
}

impl Settings {
    /// Checks what was said; `None` if nothing is to be shown.
    ///
    /// Scrapes are plain HTTP. An address that other machines reach asks for a token, and it is one of its own: whoever
    /// overhears it can read numbers, and not run containers.
    ///
    /// # Errors
    /// [`SettingsError`], naming the flag.
    pub fn new(listen: Option<&str>, token_file: Option<&Path>) -> Result<Option<Self>, SettingsError> {
        let Some(text) = listen else {
            return if token_file.is_some() { Err(SettingsError::NoAddress) } else { Ok(None) };
        };
        let plain = text
            .strip_prefix("localhost:")
            .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        let shown = || text.chars().take(120).flat_map(char::escape_default).collect();
        let listen: SocketAddr = plain.parse().map_err(|_| SettingsError::Address(shown()))?;
        let token = token_file.map(ApiToken::read).transpose()?;
        if token.is_none() && !listen.ip().is_loopback() {
            return Err(SettingsError::Exposed(listen));
        }
        Ok(Some(Self { listen, token }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_unless_asked_for_and_other_machines_need_a_token() {
        assert!(Settings::new(None, None).expect("nothing asked for").is_none());
        for good in ["127.0.0.1:0", "localhost:9464", "[::1]:9464"] {
            assert!(Settings::new(Some(good), None).expect(good).is_some());
        }
        assert!(matches!(Settings::new(Some("0.0.0.0:1"), None), Err(SettingsError::Exposed(_))));
        assert!(matches!(Settings::new(Some("10.0.0.1:1"), None), Err(SettingsError::Exposed(_))));
        assert!(matches!(Settings::new(Some("here:1"), None), Err(SettingsError::Address(_))));
        assert!(matches!(Settings::new(None, Some(Path::new("/x"))), Err(SettingsError::NoAddress)));
        assert!(matches!(Settings::new(Some("[::]:1"), Some(Path::new("/x"))), Err(SettingsError::Token(_))));
    }
}
