//! What clients ask for: dispatch, and idempotency keys.

use std::sync::Arc;

use crate::ids::JobId;
use crate::mutants::{self, Mutant};
use crate::time::WallTime;

use super::effect::{Record, Reply};
use super::event::{Key, Request, Token};
use super::refusal::Refusal;
use super::state::Cluster;
use super::stop::Target;
use super::task::StopWish;
use super::timers::Timer;

/// An idempotency key and what it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    /// Jobs it made.
    pub jobs: Vec<JobId>,
    /// Hash of the request.
    pub fingerprint: [u8; 32],
    /// When it was stored.
    pub created: WallTime,
}

impl Cluster {
    pub(super) fn on_request(&mut self, token: Token, request: Request) {
        let answer = match request {
            Request::Submit(submissions) => self.submit(submissions),
            Request::Stop { job, task, signal, grace } => {
                self.stop(Target { job, task }, StopWish { kill: false, signal, grace })
            }
            Request::Kill { job, task, signal } => self.kill(Target { job, task }, signal),
            Request::Retry { job, uid, key } => self.retry(job, uid, key),
            Request::Delete { job, force } => self.delete_job(job, force),
            Request::Pin { job, pinned } => self.pin(job, pinned),
            Request::GiveUpOutput { job, reason } => self.give_up_output(job, reason),
            Request::Drain { node, deadline } => self.drain(node, deadline),
            Request::Resume { node } => self.resume(node),
            Request::DeleteNode { node, declare_lost } => self.delete_node(node, declare_lost),
        };
        self.out.answers.push((token, answer));
    }

    /// The job a key has made, or the refusal if it made it from another request.
    pub(super) fn known_request(&self, key: Option<&Key>) -> Result<Option<JobId>, Refusal> {
        let Some(key) = key else { return Ok(None) };
        let Some(stored) = self.requests.get(key.text.as_str()) else { return Ok(None) };
        let Some(job) = stored.jobs.first().copied() else { return Ok(None) };
        if stored.fingerprint == key.fingerprint {
            return Ok(Some(job));
        }
        Err(reused(key, job, &stored.fingerprint))
    }

    /// Remembers that a key made a job, for at least `request_keep` of this process's time.
    pub(super) fn keep_request(&mut self, key: Key, job: JobId) {
        let created = self.now.wall;
        let stored = StoredRequest { jobs: vec![job], fingerprint: key.fingerprint, created };
        self.out.dirty.insert(Record::Request(key.text.clone()));
        let keep = if mutants::active(Mutant::KeyExpiresEarly) {
            std::time::Duration::from_secs(3)
        } else {
            self.config.request_keep
        };
        let text: Arc<str> = key.text.into();
        self.timers.set(self.now.boot + keep, Timer::ForgetRequest(Arc::clone(&text)));
        self.requests.insert(text, stored);
    }

    pub(super) fn forget_request(&mut self, key: &str) {
        if self.requests.remove(key).is_some() {
            self.out.dirty.insert(Record::Request(key.to_owned()));
        }
    }

    /// An idempotency key and what it made.
    pub fn request(&self, key: &str) -> Option<&StoredRequest> {
        self.requests.get(key)
    }
}

/// The refusal of a key that made `job` from another request.
pub(super) fn reused(key: &Key, job: JobId, stored: &[u8; 32]) -> Refusal {
    Refusal::KeyReused { key: key.text.clone(), job, stored: hex(stored), given: hex(&key.fingerprint) }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is a hexadecimal digit"));
        }
    }
    text
}

/// The answer to everything that has been done.
pub(super) const DONE: Result<Reply, Refusal> = Ok(Reply::Done);
