//! Live output through an upgraded connection.
//!
//! Owns the reading loop over [`Demux`]. Established when the daemon has switched protocols, which it does only after it
//! has wired the streams: output written after that moment arrives here.

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::output::Stream;
use super::super::{Attached, Call, ContainerId, Error};
use super::demux::Demux;
use super::raw::{self, Kind};
use super::{Docker, deadline};

/// Opens the live output of a container.
pub(super) async fn attach(docker: &Docker, id: &ContainerId) -> Result<Attached, Error> {
    let path = format!("/containers/{id}/attach?stream=1&stdout=1&stderr=1");
    let open = raw::exchange(docker, Call::Attach, "POST", &path, Kind::Upgrade);
    let answer = docker.within(Call::Attach, deadline::ATTACH, open).await?;
    if answer.status != 101 {
        return Err(answer.into_refusal(docker, Call::Attach).await);
    }
    let (rest, socket) = answer.into_stream();
    Ok(Attached::new(frames(Call::Attach, Demux::default(), rest, socket)))
}

/// Turns a framed connection into pieces; ends at a clean end, or after one error.
pub(super) fn frames<R>(
    call: Call,
    demux: Demux,
    rest: BytesMut,
    reader: R,
) -> impl stream::Stream<Item = Result<(Stream, Bytes), Error>> + Send
where
    R: AsyncRead + Unpin + Send + 'static,
{
    struct Reading<R> {
        demux: Demux,
        buffer: BytesMut,
        reader: R,
    }
    let start = Reading { demux, buffer: rest, reader };
    stream::try_unfold(start, move |mut at| async move {
        let bad = |error: super::demux::BadFrame| Error::Protocol { call, message: error.to_string() };
        loop {
            if let Some(piece) = at.demux.next(&mut at.buffer).map_err(bad)? {
                return Ok(Some((piece, at)));
            }
            at.buffer.reserve(raw::READ_SIZE);
            let count = at
                .reader
                .read_buf(&mut at.buffer)
                .await
                .map_err(|error| Error::Interrupted { call, message: error.to_string() })?;
            if count == 0 {
                at.demux.finish(&at.buffer).map_err(bad)?;
                return Ok(None);
            }
        }
    })
}
