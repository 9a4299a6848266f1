//! `EventService`: the event log as a stream.

use std::pin::Pin;

use dockmgr_core::ids::{JobId, NodeId};
use dockmgr_proto::convert;
use dockmgr_proto::v1::{self, event_service_server::EventService};
use futures_util::Stream;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{references, status};
use crate::controller::{Feed, Handle, LoggedNote};

/// Lines fetched from the window at a time.
const BATCH: usize = 256;

/// Serves the event log.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    handle: Handle,
}

impl Events {
    /// Serves what the controller behind `handle` logs.
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

#[tonic::async_trait]
impl EventService for Events {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        let job = match request.job.as_str() {
            "" => None,
            text => Some(references::job(&self.handle, text).await?),
        };
        let node = match request.node.as_str() {
            "" => None,
            text => Some(references::node(&self.handle, text).await?),
        };
        let feed = self.handle.feed().map_err(|error| status::no_answer(&error))?;
        if request.newest > 0 && request.after_sequence > 0 {
            return Err(status::invalid_field(
                "newest",
                "goes on from nowhere: give it without after_sequence",
            ));
        }
        feed.events_after(request.after_sequence, 1).map_err(|error| status::out_of_range(&error))?;
        let newest = feed.newest_event();
        let mut cursor =
            Cursor { feed, newest, after: request.after_sequence, follow: request.follow, job, node };
        if request.newest > 0 {
            let count = usize::try_from(request.newest).unwrap_or(usize::MAX);
            cursor.after = cursor.feed.before_newest(count, |line| cursor.wants(line));
        }
        let stream = futures_util::stream::try_unfold((cursor, Vec::new()), next);
        Ok(Response::new(Box::pin(stream)))
    }
}

/// A watcher's place in the log.
struct Cursor {
    feed: Feed,
    newest: watch::Receiver<u64>,
    after: u64,
    follow: bool,
    job: Option<JobId>,
    node: Option<NodeId>,
}

type Step = Option<(v1::WatchEventsResponse, (Cursor, Vec<LoggedNote>))>;

/// The next line that the watcher asked for; the batch is kept newest first so that the next one is popped.
async fn next((mut cursor, mut batch): (Cursor, Vec<LoggedNote>)) -> Result<Step, Status> {
    loop {
        while let Some(line) = batch.pop() {
            cursor.after = line.sequence;
            if cursor.wants(&line) {
                return Ok(Some((v1::WatchEventsResponse { event: Some(event(&line)) }, (cursor, batch))));
            }
        }
        cursor.newest.mark_unchanged();
        batch =
            cursor.feed.events_after(cursor.after, BATCH).map_err(|error| status::out_of_range(&error))?;
        batch.reverse();
        if !batch.is_empty() {
            continue;
        }
        if !cursor.follow {
            return Ok(None);
        }
        if cursor.newest.changed().await.is_err() {
            return Err(status::no_answer(&crate::controller::Error::NotLeader));
        }
    }
}

impl Cursor {
    fn wants(&self, line: &LoggedNote) -> bool {
        let note = &line.note;
        self.job.is_none_or(|job| {
            note.job == Some(job) || note.attempt.is_some_and(|attempt| attempt.job() == job)
        }) && self.node.is_none_or(|node| note.node == Some(node))
    }
}

fn event(line: &LoggedNote) -> v1::Event {
    let note = &line.note;
    v1::Event {
        sequence: line.sequence,
        time: Some(convert::time::wall_to_wire(line.time)),
        r#type: note.kind.as_str().to_owned(),
        job_id: note.job.or(note.attempt.map(dockmgr_core::ids::AttemptId::job)).map_or(0, JobId::get),
        attempt: note.attempt.map(convert::ids::attempt_to_wire),
        node_id: note.node.map(|node| node.to_string()).unwrap_or_default(),
        node_name: line.node_name.clone(),
        message: note.message.clone(),
    }
}
