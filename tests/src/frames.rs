//! HTTP/2 by hand: frames no library would send, over a plain socket.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What every HTTP/2 connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
#[expect(missing_docs, reason = "their names are the protocol's")]
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Data = 0,
    Headers = 1,
    Priority = 2,
    Reset = 3,
    Settings = 4,
    Ping = 6,
    WindowUpdate = 8,
    Continuation = 9,
}

/// Ends the headers of a call.
pub const END_HEADERS: u8 = 4;

/// One frame.
pub fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind as u8, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a call, nothing compressed.
pub fn call_headers(path: &str, token: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let bearer = format!("Bearer {token}");
    let usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", &bearer),
    ];
    let mut block = Vec::new();
    for (name, value) in usual.iter().chain(more) {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), &mut block);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// HPACK's integer with a prefix of seven bits.
fn integer(mut value: usize, out: &mut Vec<u8>) {
    if value < 127 {
        out.push(u8::try_from(value).expect("below 127"));
        return;
    }
    out.push(127);
    value -= 127;
    while value >= 128 {
        out.push(u8::try_from(value % 128).expect("below 128") | 128);
        value /= 128;
    }
    out.push(u8::try_from(value).expect("below 128"));
}

/// A connection to a coordinator that says what the test wants.
#[derive(Debug)]
pub struct RawConnection(pub TcpStream);

impl RawConnection {
    /// Connects and says nothing.
    pub async fn silent(server: &str) -> io::Result<Self> {
        TcpStream::connect(server.trim_start_matches("http://")).await.map(Self)
    }

    /// Connects and sends preface and settings.
    pub async fn open(server: &str) -> io::Result<Self> {
        let mut connection = Self::silent(server).await?;
        let begin = [PREFACE, &frame(Kind::Settings, 0, 0, &[])].concat();
        connection.0.write_all(&begin).await?;
        Ok(connection)
    }

    /// Sends `bytes` again and again while reading what comes, until the coordinator hangs up; what was sent.
    ///
    /// # Panics
    /// If it has not within `limit`.
    pub async fn send_until_cut(self, bytes: &[u8], limit: Duration) -> u64 {
        let (mut reader, mut writer) = self.0.into_split();
        let mut sent = 0;
        let sending = async {
            while writer.write_all(bytes).await.is_ok() {
                sent += bytes.len() as u64;
            }
        };
        let reading = async {
            let mut buffer = vec![0; 64 * 1024];
            while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        };
        let cut = tokio::time::timeout(limit, async { tokio::join!(sending, reading) }).await;
        assert!(cut.is_ok(), "not cut within {limit:?}");
        sent
    }

    /// Reads until the coordinator hangs up; whether it did within `limit`.
    pub async fn is_cut_within(&mut self, limit: Duration) -> bool {
        let mut buffer = vec![0; 4096];
        let reading = async { while self.0.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
        tokio::time::timeout(limit, reading).await.is_ok()
    }
}
