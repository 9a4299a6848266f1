//! Tells what is no coordinator by its first bytes.
//!
//! A server of another protocol may close the connection before the gRPC layer has seen a byte of it, and then looks
//! like a coordinator that went away. Only called after that happened.

use std::time::Duration;

use dockmgr_support::channel::Address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest look: it comes on top of a failure that is known already.
const LIMIT: Duration = Duration::from_secs(2);
/// The preface of an HTTP/2 client and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Type of the frame every HTTP/2 server sends first.
const SETTINGS: u8 = 4;
/// Bytes of a banner that are shown.
const SHOWN: usize = 40;

/// The first words of a server that does not speak HTTP/2; `None` if it does, says nothing, or uses TLS.
///
/// Dropping the future closes the connection.
pub(crate) async fn foreign(address: &Address) -> Option<String> {
    if address.is_tls() {
        return None;
    }
    let first = tokio::time::timeout(LIMIT, first_bytes(address)).await.ok()?.ok()?;
    is_foreign(&first).then(|| {
        String::from_utf8_lossy(&first).lines().next().unwrap_or_default().escape_debug().to_string()
    })
}

async fn first_bytes(address: &Address) -> std::io::Result<Vec<u8>> {
    let uri = address.uri();
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let mut stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    stream.write_all(PREFACE).await?;
    let mut first = vec![0; SHOWN];
    let length = stream.read(&mut first).await?;
    first.truncate(length);
    Ok(first)
}

/// Whether an answer to [`PREFACE`] is something else than an HTTP/2 server's SETTINGS.
fn is_foreign(first: &[u8]) -> bool {
    !first.is_empty() && first.get(3) != Some(&SETTINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_another_protocol_are_foreign() {
        for foreign in [b"HTTP/1.1 400 Bad Request".as_slice(), b"SSH-2.0-x", b"+"] {
            assert!(is_foreign(foreign), "{foreign:?}");
        }
        assert!(!is_foreign(b"") && !is_foreign(b"\0\0\x06\x04\0\0\0\0\0"));
    }
}
