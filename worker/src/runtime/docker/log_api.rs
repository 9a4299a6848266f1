//! Kept output through the API, for a worker that may not read the daemon's files.
//!
//! ```text
//! Following --(stream ends, container ended)--> Replaying --(stream ends)--> End
//! ```
//! Following gives output early but loses an unterminated last line; so after the end the log is read once more without
//! following, skipping what was given out. Owns the two passes; the newline rule is [`Rebuild`].

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::super::output::{Recovered, Stream};
use super::super::{Call, ContainerId, Error, RecoveredLog};
use super::demux::Demux;
use super::raw::{self, Kind};
use super::{Docker, attach, deadline, inspect};
use rebuild::Rebuild;

mod rebuild;

type Frames = BoxStream<'static, Result<(Stream, Bytes), Error>>;

struct Following {
    docker: Docker,
    id: ContainerId,
    /// The pass under way; `None` before it is opened.
    frames: Option<Frames>,
    replaying: bool,
    rebuild: Rebuild,
    /// Bytes given out, and bytes of the second pass still to skip, by stream.
    given: [u64; 2],
    skip: [u64; 2],
    ready: VecDeque<Recovered>,
}

/// Reads the log of `id`.
pub(super) fn follow(docker: Docker, id: ContainerId) -> RecoveredLog {
    let start = Following {
        docker,
        id,
        frames: None,
        replaying: false,
        rebuild: Rebuild::default(),
        given: [0; 2],
        skip: [0; 2],
        ready: VecDeque::new(),
    };
    RecoveredLog::new(stream::try_unfold(Some(start), |at| async move {
        let Some(mut at) = at else { return Ok(None) };
        let piece = at.step().await?;
        let over = matches!(piece, Recovered::End { .. });
        Ok(Some((piece, (!over).then_some(at))))
    }))
}

impl Following {
    async fn step(&mut self) -> Result<Recovered, Error> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(piece);
            }
            let Some(frames) = self.frames.as_mut() else {
                self.frames = Some(open(&self.docker, &self.id, !self.replaying).await?);
                continue;
            };
            match Pin::new(frames).next().await {
                Some(frame) => {
                    let (stream, bytes) = frame?;
                    self.rebuild.push(stream, &bytes);
                    self.take_rebuilt();
                }
                None => self.pass_ended().await?,
            }
        }
    }

    fn take_rebuilt(&mut self) {
        while let Some((stream, bytes)) = self.rebuild.pop() {
            self.give(stream, bytes);
        }
    }

    /// Gives bytes out, except those the first pass gave out already.
    fn give(&mut self, stream: Stream, mut bytes: Bytes) {
        let at = slot(stream);
        let skipped = usize::try_from(self.skip[at]).map_or(bytes.len(), |skip| skip.min(bytes.len()));
        self.skip[at] -= u64::try_from(skipped).expect("not more than was to skip");
        let fresh = bytes.split_off(skipped);
        if !fresh.is_empty() {
            self.given[at] += u64::try_from(fresh.len()).expect("a piece is shorter than 2^64");
            self.ready.push_back(Recovered::Bytes(stream, fresh));
        }
    }

    async fn pass_ended(&mut self) -> Result<(), Error> {
        if self.replaying {
            self.ready.push_back(Recovered::End { exact: self.rebuild.is_exact() });
            return Ok(());
        }
        // A followed stream ends when the container does, and when the daemon does.
        match inspect::inspect(&self.docker, self.id.as_str()).await? {
            Some(state) if state.status.may_run() => Err(Error::Interrupted {
                call: Call::RecoverLog,
                message: "the log ended before the container did".to_owned(),
            }),
            Some(_) => {
                self.replaying = true;
                self.frames = None;
                self.rebuild = Rebuild::default();
                self.skip = self.given;
                Ok(())
            }
            None => Err(Error::NotFound { what: self.id.to_string() }),
        }
    }
}

async fn open(docker: &Docker, id: &ContainerId, follow: bool) -> Result<Frames, Error> {
    let follow = u8::from(follow);
    let path = format!("/containers/{id}/logs?stdout=1&stderr=1&timestamps=1&follow={follow}");
    let request = raw::exchange(docker, Call::RecoverLog, "GET", &path, Kind::Plain);
    let answer = docker.within(Call::RecoverLog, deadline::LOGS_OPEN, request).await?;
    if answer.status != 200 {
        return Err(answer.into_refusal(docker, Call::RecoverLog).await);
    }
    let (rest, socket) = answer.into_stream();
    Ok(attach::frames(Call::RecoverLog, Demux::whole_frames(), rest, socket).boxed())
}

fn slot(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}
