//! Asking a credential helper program.
//!
//! Owns one exchange: `docker-credential-NAME get`, the registry on its stdin, JSON on its stdout. Bounded in time and size; the
//! program is killed when the question is dropped.

use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::super::super::RegistryAuth;
use super::super::super::error::clip;
use super::{Error, HELPER_DEADLINE, SIZE_LIMIT};

/// What helpers print when they have nothing.
pub(super) const NOT_FOUND: &str = "credentials not found";
/// User name that says the secret is an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    username: String,
    secret: String,
}

/// Asks the helper `name` for `registry`; `None` if it has nothing.
pub(super) async fn ask(name: &str, registry: &str) -> Result<Option<RegistryAuth>, Error> {
    let program = format!("docker-credential-{name}");
    let failed =
        |reason: String| Error::Helper { helper: program.clone(), registry: registry.to_owned(), reason };
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err(failed("its name has characters no program name has".to_owned()));
    }
    let (ok, stdout) = tokio::time::timeout(HELPER_DEADLINE, exchange(&program, registry))
        .await
        .map_err(|_elapsed| failed(format!("no answer within {HELPER_DEADLINE:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    if !ok {
        let words = String::from_utf8_lossy(&stdout);
        return if words.contains(NOT_FOUND) { Ok(None) } else { Err(failed(clip(&words))) };
    }
    let secret: Secret =
        serde_json::from_slice(&stdout).map_err(|_secret_stays_unsaid| Error::Malformed {
            what: format!("the answer of {program}"),
            reason: "not the expected JSON".to_owned(),
        })?;
    let token = secret.username == TOKEN_USER;
    Ok(Some(RegistryAuth {
        username: if token { String::new() } else { secret.username },
        password: if token { String::new() } else { secret.secret.clone() },
        identity_token: token.then_some(secret.secret),
        server_address: registry.to_owned(),
    }))
}

/// Runs the program; whether it succeeded, and what it printed.
pub(super) async fn exchange(program: &str, registry: &str) -> std::io::Result<(bool, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().expect("asked for a pipe");
    // A helper that does not read its input has failed in a way its exit code tells better.
    let _unread = stdin.write_all(registry.as_bytes()).await.is_err();
    drop(stdin);
    let stdout = child.stdout.take().expect("asked for a pipe");
    let limit = u64::try_from(SIZE_LIMIT).expect("a constant that fits");
    let mut answer = Vec::new();
    stdout.take(limit).read_to_end(&mut answer).await?;
    Ok((child.wait().await?.success(), answer))
}
