//! Writes pieces of output to our own streams, in order.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::printer::{Piece, To};
use super::progress::Progress;

/// Writes all pieces. Dropping the future may leave a piece half written.
pub(super) async fn write(pieces: &[Piece], progress: &mut Progress) -> io::Result<()> {
    for piece in pieces {
        if progress.is_drawn() {
            // A bar is on the screen: it must make room, and a terminal takes what it is given.
            progress.aside(|| match piece.to {
                To::Stdout => at_once(&mut io::stdout().lock(), &piece.bytes),
                To::Stderr => at_once(&mut io::stderr().lock(), &piece.bytes),
            })?;
            continue;
        }
        match piece.to {
            To::Stdout => whole(&mut tokio::io::stdout(), &piece.bytes).await?,
            To::Stderr => whole(&mut tokio::io::stderr(), &piece.bytes).await?,
        }
    }
    Ok(())
}

async fn whole(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

fn at_once(to: &mut impl io::Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
