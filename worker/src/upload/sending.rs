//! How far the upload of one attempt is.
//!
//! ```text
//!   opened --first ack--> sending --end sent--> waiting --ack(end_durable)--> delivered
//!                            ^         rewind       |
//!                            +----------------------+
//! ```

use std::collections::VecDeque;

use dockmgr_core::log::{Entry, Offsets};

use crate::spool::{AttemptSpool, Error, SpoolCursor};

/// One attempt on one upload stream.
#[derive(Debug)]
pub(super) struct Sending {
    spool: AttemptSpool,
    /// Set by the first ack, which says from where.
    cursor: Option<SpoolCursor>,
    /// Read and not yet sent, at most one read.
    ready: VecDeque<Entry>,
    end_sent: bool,
    delivered: bool,
}

impl Sending {
    pub(super) fn new(spool: AttemptSpool) -> Self {
        Self { spool, cursor: None, ready: VecDeque::new(), end_sent: false, delivered: false }
    }

    /// Goes on from `durable`, if this is the first ack or a rewind.
    pub(super) fn acknowledged(&mut self, durable: Offsets, rewind: bool) {
        if rewind || self.cursor.is_none() {
            self.cursor = Some(self.spool.cursor(durable));
            self.ready.clear();
            self.end_sent = false;
        }
    }

    /// Nothing more is to be sent.
    pub(super) fn close(&mut self) {
        self.delivered = true;
        self.cursor = None;
        self.ready.clear();
    }

    /// Whether its end is durable, or nobody wants it.
    pub(super) fn is_delivered(&self) -> bool {
        self.delivered
    }

    /// The next entry to send, if there is one now. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>, Error> {
        let Some(cursor) = &mut self.cursor else { return Ok(None) };
        if self.end_sent {
            return Ok(None);
        }
        if self.ready.is_empty() {
            self.ready.extend(cursor.read().await?);
        }
        let entry = self.ready.pop_front();
        self.end_sent = matches!(entry, Some(Entry::End(_)));
        Ok(entry)
    }

    /// Waits until there may be something to send. Cancel safe.
    pub(super) async fn wait(&mut self) {
        match &mut self.cursor {
            Some(cursor) if !self.end_sent => cursor.wait().await,
            Some(_) | None => std::future::pending().await,
        }
    }

    /// Whether [`Sending::wait`] can ever return.
    pub(super) fn can_have_more(&self) -> bool {
        self.cursor.is_some() && !self.end_sent
    }
}
