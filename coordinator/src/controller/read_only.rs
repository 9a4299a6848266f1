//! Leading while the store takes no writes: etcd without room, or with more requests than it queues.
//!
//! ```text
//! at work --commit refused for want of room--> load anew -> still --a commit succeeds--> load anew -> at work
//! ```
//!
//! The lease needs no room, so this coordinator goes on to lead: it answers questions and heartbeats, takes output in, and
//! says why nothing changes. What was decided and could not be stored is dropped, as after a change of leaders: nobody was
//! told of it. Reports of workers are not acknowledged: they keep them, and tell them again in the sessions that begin
//! when there is room. Nobody is given up meanwhile, and everybody has the full time afterwards.

use std::sync::Arc;
use std::time::Duration;

use dockmgr_core::cluster::{Cluster, Command, Note, NoteKind, WorkerNews};
use dockmgr_core::ids::{Epoch, JobId};
use dockmgr_support::error_chain::Chain;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::group::Group;
use super::input::Input;
use super::{Controller, Error, commands, loading, now};
use crate::store::{self, Guard, Store};

/// Pause between two tries to write: a person who has made room sees soon that it helped.
const PROBE_PAUSE: Duration = Duration::from_secs(2);
/// Pause before another try to load while the store does not answer.
const LOAD_PAUSE: Duration = Duration::from_millis(250);

impl Controller<'_> {
    /// Changes nothing until the store takes writes again or `stop` is cancelled. What was decided and not stored is gone.
    ///
    /// # Errors
    /// The store's, and [`store::Error::Fenced`] when leadership is lost.
    pub(super) async fn keep_still(
        &mut self,
        notice: &Arc<str>,
        inbox: &mut mpsc::Receiver<Input>,
        stop: &CancellationToken,
    ) -> Result<(), store::Error> {
        tracing::error!(epoch = %self.epoch, %notice, "the store takes no writes: nothing is changed until it does");
        self.say(Some(notice), NoteKind::StoreFull, notice);
        self.start_afresh(stop).await?;
        let lease = self.lease.clone();
        let mut writable = Box::pin(writable(self.terms.store.clone(), self.epoch));
        loop {
            tokio::select! {
                biased;
                // Somebody else leads, or may.
                () = lease.lost() => return Err(store::Error::Fenced { epoch: self.epoch }),
                // The program ends.
                () = stop.cancelled() => return Ok(()),
                // A try to write went well, or failed for another reason.
                tried = &mut writable => {
                    tried?;
                    break;
                }
                // Clients or workers want something.
                Some(input) = inbox.recv() => self.look(input, notice),
            }
        }
        // The windows of all workers begin anew, and each tells again what was not acknowledged.
        self.start_afresh(stop).await?;
        tracing::info!(epoch = %self.epoch, "the store takes writes again");
        self.say(None, NoteKind::StoreWritable, "the store takes writes again");
        Ok(())
    }

    /// Tells everybody whether anything can be changed.
    fn say(&self, notice: Option<&Arc<str>>, kind: NoteKind, message: &str) {
        self.publisher.0.send_modify(|term| {
            if let Some(term) = term {
                term.read_only = notice.cloned();
            }
        });
        let note = Note { kind, job: None, attempt: None, node: None, message: message.to_owned() };
        self.terms.metrics.jobs.event(kind);
        self.feed.log(now().wall, vec![(note, String::new())]);
    }

    /// Drops what is in memory, loads what is stored and ends the sessions, whose workers dial again.
    async fn start_afresh(&mut self, stop: &CancellationToken) -> Result<(), store::Error> {
        self.group = Group::default();
        self.waiting.clear();
        self.wake_at = None;
        let (lease, floor) = (self.lease.clone(), self.cluster.revision());
        let load = async {
            loop {
                let (store, config) = (&self.terms.store, self.terms.config.clone());
                match loading::load(store, config, now(), lease.since(), floor).await {
                    Err(error) if error.is_retryable() => {
                        tracing::warn!(error = %Chain(&error), "cannot load yet");
                        tokio::time::sleep(LOAD_PAUSE).await;
                    }
                    loaded => return loaded,
                }
            }
        };
        self.cluster = tokio::select! {
            loaded = load => loaded?,
            // Somebody else leads, or may.
            () = lease.lost() => return Err(store::Error::Fenced { epoch: self.epoch }),
            // The program ends.
            () = stop.cancelled() => return Ok(()),
        };
        self.feed.catch_up(self.cluster.revision(), revisions(&self.cluster));
        self.sessions.cut_all();
        Ok(())
    }

    /// Answers what can be answered without a change.
    fn look(&mut self, input: Input, notice: &Arc<str>) {
        match input {
            Input::Request { request: _, answer } => {
                // An error means that the client has gone away.
                let _gone = answer.send(Err(Error::ReadOnly(Arc::clone(notice))));
            }
            // Everything in memory is stored.
            Input::Read(look) if self.lease.is_current() => look(&self.cluster, now())(),
            Input::SessionOpened { speaker, hello: _, outgoing } => {
                if self.sessions.open(speaker, outgoing) && self.lease.is_current() {
                    let (id, config) = (self.cluster_id, &self.terms.config);
                    let welcome = commands::message(self.epoch, id, config, &Command::Welcome);
                    self.sessions.send(speaker.node, speaker.incarnation, welcome);
                }
            }
            Input::Worker { speaker, news: WorkerNews::Disconnected } => self.sessions.close(speaker),
            // Leadership is over, and the loop is about to see it; or a worker tells what it will tell again.
            Input::Read(_) | Input::Worker { .. } => {}
        }
    }
}

/// All jobs of a cluster and their revisions.
pub(super) fn revisions(cluster: &Cluster) -> impl Iterator<Item = (JobId, u64)> + '_ {
    cluster.jobs_newest_first(None).map(|job| (job.id, job.revision))
}

/// Tries an empty commit, which writes its own number, until one succeeds.
async fn writable(store: Store, epoch: Epoch) -> Result<(), store::Error> {
    loop {
        tokio::time::sleep(PROBE_PAUSE).await;
        match store.commit(Vec::new(), Guard::leader(epoch)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error),
        }
    }
}
