//! Output on its way: what a worker keeps of an attempt, what the coordinators have kept, and the rule between them.

use dockmgr_core::log::Stream;

/// Bytes of both streams.
pub(crate) type Streams = [Vec<u8>; 2];

pub(crate) fn slot(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

/// How the output of an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// All of it is there.
    Complete,
    /// Something is missing, and that is said.
    Marked,
}

/// What the worker keeps of an attempt, on its disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spool {
    pub(crate) bytes: Streams,
    pub(crate) end: Option<Finish>,
    /// Bytes that were never read; only a planted bug passes over any.
    pub(crate) skipped: [usize; 2],
    /// What the coordinator has.
    pub(crate) sent: [usize; 2],
}

/// What the coordinators keep of an attempt, in a folder they share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) bytes: Streams,
    pub(crate) end: Option<Finish>,
}

/// Some output on its way.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) from: [usize; 2],
    pub(crate) bytes: Streams,
    pub(crate) end: Option<Finish>,
}

/// How much is durable at the coordinator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ack {
    pub(crate) have: [usize; 2],
    pub(crate) ended: bool,
}

impl Spool {
    pub(crate) fn next_piece(&self) -> Piece {
        let rest = |at: usize| self.bytes[at].get(self.sent[at]..).unwrap_or_default().to_vec();
        Piece { from: self.sent, bytes: [rest(0), rest(1)], end: self.end }
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.end.is_some() || (0..2).any(|at| self.bytes[at].len() > self.sent[at])
    }
}

impl Kept {
    /// Takes what follows what is there; what is there already is passed over.
    pub(crate) fn take(&mut self, piece: &Piece) -> Ack {
        let mut whole = true;
        if self.end.is_none() {
            for at in 0..2 {
                let have = self.bytes[at].len();
                match have.checked_sub(piece.from[at]) {
                    Some(skip) => self.bytes[at].extend(piece.bytes[at].iter().skip(skip)),
                    None => whole = false,
                }
            }
            if whole {
                self.end = piece.end;
            }
        }
        Ack { have: [self.bytes[0].len(), self.bytes[1].len()], ended: self.end.is_some() }
    }
}
