//! Output line by line: of several jobs in the order of time, or only the lines that match a query.
//!
//! ```text
//!   jobs (listed, or watched) -> a source each -> order: the oldest line first -> our streams
//! ```
//!
//! Owns the loop of `logs -l` and `logs --grep`; whole streams, byte for byte, are `follow`'s.
//!
//! Invariant: a source is asked for more only when its lines were shown: memory is bounded by the number of sources.

mod order;
mod source;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use dockmgr_client::{Client, JobWatch};
use dockmgr_core::log::Stream;
use dockmgr_core::search::Query;
use dockmgr_core::time::WallTime;
use dockmgr_proto::convert;
use dockmgr_proto::v1::watch_jobs_response::Event;
use dockmgr_proto::v1::{Job, TailLogsRequest};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::failure::{Failure, Kind};
use crate::follow::{Interrupts, Piece, To, write_pieces};
use crate::{hits, output, terminal};

use order::Order;
use source::Source;

/// Most jobs whose output is open at a time.
pub(crate) const MOST_SOURCES: usize = 100;
/// How long a follower waits for a job that says nothing before it shows the lines of others: what is kept comes sooner.
const SETTLE: Duration = Duration::from_millis(200);
/// Colours of prefixes, by number of the job.
const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];

/// A line to show.
#[derive(Debug)]
pub(crate) struct Shown {
    job: u64,
    task: u32,
    stream: Stream,
    time: WallTime,
    /// Without the newline.
    bytes: Vec<u8>,
    /// Where in it the query stands.
    marked: Vec<Range<usize>>,
}

/// What is shown of which jobs.
pub(crate) struct Lines<'a> {
    pub(crate) client: &'a Client,
    /// What is asked for of each job.
    pub(crate) request: TailLogsRequest,
    pub(crate) query: Query,
    /// Lines begin with `JOB.TASK| `.
    pub(crate) prefixed: bool,
    /// Lines begin with their time.
    pub(crate) timestamps: bool,
    /// Control bytes are made harmless on standard output and standard error.
    pub(crate) guard: [bool; 2],
}

type Asked = BoxFuture<'static, (Source, Result<Option<Vec<Shown>>, Failure>)>;

impl Lines<'_> {
    /// Shows the lines of these jobs until the last has ended; where new ones are watched for, until a person leaves.
    /// Whether there were any.
    pub(crate) async fn show(&self, jobs: Vec<Job>, mut watch: Option<JobWatch>) -> Result<bool, Failure> {
        let mut interrupts = Interrupts::listen()?;
        let mut order = Order::default();
        let mut asked: FuturesUnordered<Asked> = FuturesUnordered::new();
        let mut resting: BTreeMap<u64, Source> = BTreeMap::new();
        let jobs_floor = jobs.iter().map(|job| job.id).max().unwrap_or(0);
        let mut waiting: VecDeque<Job> = jobs.into();
        let mut known = Known { floor: jobs_floor, recent: BTreeSet::new() };
        let mut any = false;
        loop {
            let mut pieces = Vec::new();
            while let Some(line) = order.next() {
                self.paint(&line, &mut pieces);
            }
            any |= !pieces.is_empty();
            tokio::select! {
                // The lines are out.
                written = write_pieces(&pieces) => written?,
                // A person wants to go, though nobody reads.
                () = interrupts.next() => return Err(Failure::new(Kind::Interrupted, "")),
            }
            while let Some(job) =
                (asked.len() + resting.len() < MOST_SOURCES).then(|| waiting.pop_front()).flatten()
            {
                if let Some(deletion) = output::deletion(&job) {
                    output::say(&format!("cluster-cli: the output of job {} was {deletion}", job.id));
                    continue;
                }
                order.add(job.id);
                resting.insert(job.id, self.source(&job));
            }
            let dry: Vec<u64> = resting.keys().copied().filter(|job| order.is_dry(*job)).collect();
            asked.extend(dry.iter().filter_map(|job| resting.remove(job)).map(ask));
            if asked.is_empty() && watch.is_none() {
                return Ok(any);
            }
            tokio::select! {
                // A job has lines, or none any more.
                Some((source, lines)) = asked.next() => match lines? {
                    Some(lines) => {
                        order.give(source.job, lines);
                        resting.insert(source.job, source);
                    }
                    None => order.end(source.job),
                },
                // There may be another job.
                job = changed(&mut watch) => waiting.extend(job?.filter(|job| known.is_new(job.id))),
                // Those who have said nothing have nothing.
                () = tokio::time::sleep(SETTLE), if self.request.follow && order.is_waiting() => order.settle(),
                // A person wants to go.
                () = interrupts.next() => return Err(Failure::new(Kind::Interrupted, "")),
            }
        }
    }

    fn source(&self, job: &Job) -> Source {
        let request = TailLogsRequest { job: job.id.to_string(), ..self.request.clone() };
        Source::new(job, self.query.clone(), self.client.tail_logs(request), self.request.follow)
    }

    /// The bytes of a line.
    fn paint(&self, line: &Shown, pieces: &mut Vec<Piece>) {
        let (to, guard) = match line.stream {
            Stream::Stdout => (To::Stdout, self.guard[0]),
            Stream::Stderr => (To::Stderr, self.guard[1]),
        };
        let mut text = Vec::with_capacity(line.bytes.len() + 32);
        let colours = guard && terminal::has_colours();
        if self.prefixed {
            let prefix = format!("{}.{}| ", line.job, line.task);
            let colour = usize::try_from(line.job).ok().and_then(|job| COLOURS.get(job % COLOURS.len()));
            match colour.filter(|_| colours) {
                Some(colour) => text.extend_from_slice(format!("\x1b[{colour}m{prefix}\x1b[0m").as_bytes()),
                None => text.extend_from_slice(prefix.as_bytes()),
            }
        }
        if self.timestamps {
            let time = output::rfc3339(&convert::time::wall_to_wire(line.time));
            text.extend_from_slice(format!("{time} ").as_bytes());
        }
        hits::marked(&line.bytes, &line.marked, guard, &mut text);
        text.push(b'\n');
        match pieces.last_mut() {
            Some(last) if last.to == to => last.bytes.append(&mut text),
            Some(_) | None => pieces.push(Piece { to, bytes: text }),
        }
    }
}

/// Which jobs were seen: all up to a number, and some of those behind it.
struct Known {
    floor: u64,
    recent: BTreeSet<u64>,
}

impl Known {
    /// Whether a job was not seen before. Jobs come nearly in the order of their numbers.
    fn is_new(&mut self, job: u64) -> bool {
        let is_new = job > self.floor && self.recent.insert(job);
        if self.recent.len() > MOST_SOURCES {
            self.floor = self.recent.pop_first().unwrap_or(self.floor);
        }
        is_new
    }
}

fn ask(mut source: Source) -> Asked {
    Box::pin(async move {
        let lines = source.next().await;
        (source, lines)
    })
}

/// A job that is new or has changed; never where nobody watches.
async fn changed(watch: &mut Option<JobWatch>) -> Result<Option<Job>, Failure> {
    let Some(watch) = watch else { return std::future::pending().await };
    match watch.next().await? {
        Event::Changed(job) => Ok(Some(job)),
        Event::DeletedId(_) | Event::Bookmark(_) => Ok(None),
    }
}
