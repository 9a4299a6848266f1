//! What a search looks through next.
//!
//! ```text
//!   candidates --a window of them, by where they are--> plain files: one by one
//!                                                   \-> a segment: all of it together, frame by frame
//! ```
//!
//! In a window attempts of an array lie side by side, as in their segment: a frame of thousands of tiny attempts is read
//! once for all of them.

use std::collections::VecDeque;
use std::sync::Arc;

use tonic::Status;

use super::candidates::Candidates;
use super::shared::Shared;
use super::work::{Work, sort};

/// Attempts of a window: about a kilobyte each.
const WINDOW: usize = 4096;

/// Gives out work until there is none left.
#[derive(Debug)]
pub(super) struct Feed {
    candidates: Candidates,
    shared: Arc<Shared>,
    ready: VecDeque<Work>,
    /// All candidates were seen.
    over: bool,
}

impl Feed {
    pub(super) fn new(candidates: Candidates, shared: Arc<Shared>) -> Self {
        Self { candidates, shared, ready: VecDeque::new(), over: false }
    }

    /// What is to be done next; `None` if nothing is left. Not cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Work>, Status> {
        loop {
            if let Some(work) = self.ready.pop_front() {
                return Ok(Some(work));
            }
            if self.over {
                return Ok(None);
            }
            let mut window = Vec::new();
            while window.len() < WINDOW && !self.over {
                match self.candidates.next().await? {
                    Some(candidate) => window.push(Arc::new(candidate)),
                    None => self.over = true,
                }
            }
            let work = sort(&self.shared, window).await;
            self.ready = work.map_err(|error| super::super::logs::unreadable(&error))?.into();
        }
    }
}
