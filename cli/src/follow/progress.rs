//! What a person sees while a job has no output yet, on a terminal only: where it stands, and for an array a bar.

use std::future::pending;
use std::io::IsTerminal as _;
use std::time::Duration;

use dockmgr_client::{Client, JobWatch};
use dockmgr_proto::v1::watch_jobs_response::Event;
use dockmgr_proto::v1::{Job, TaskState, WatchJobsRequest};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::Failure;
use crate::output;
use crate::terminal::escape_line;

/// How often the spinner turns: smooth, and nothing for the machine to do.
const TICK: Duration = Duration::from_millis(120);

/// A line on standard error that follows a job. Without a terminal it does nothing at all.
#[derive(Default)]
pub(crate) struct Progress {
    drawn: Option<Drawn>,
    /// Standard error is a terminal: a person reads it.
    seen: bool,
}

struct Drawn {
    bar: ProgressBar,
    watch: JobWatch,
    is_array: bool,
}

impl Progress {
    /// Follows `job`.
    pub(crate) fn of(client: &Client, job: &Job) -> Self {
        let seen = std::io::stderr().is_terminal();
        if !seen {
            return Self::default();
        }
        let is_array = job.spec.as_ref().is_some_and(|spec| spec.array.is_some());
        let request = WatchJobsRequest { job: job.id.to_string(), ..WatchJobsRequest::default() };
        let total = job.tasks.as_ref().map_or(1, |tasks| tasks.total);
        let bar = ProgressBar::with_draw_target(Some(u64::from(total)), ProgressDrawTarget::stderr());
        let template = if is_array { "{spinner} [{bar:30}] {pos}/{len} {msg}" } else { "{spinner} {msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("##."));
        }
        bar.enable_steady_tick(TICK);
        Self { drawn: Some(Drawn { bar, watch: client.watch_jobs(request), is_array }), seen }
    }

    /// Shows nothing.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Whether a person reads standard error.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen
    }

    /// Whether a bar is on the screen.
    pub(super) fn is_drawn(&self) -> bool {
        self.drawn.is_some()
    }

    /// The next state of the job; never, where nobody looks. Cancel safe.
    pub(crate) async fn changed(&mut self) -> Result<Job, Failure> {
        let Some(drawn) = &mut self.drawn else { return pending().await };
        loop {
            match drawn.watch.next().await {
                Ok(Event::Changed(job)) => return Ok(job),
                Ok(Event::DeletedId(_) | Event::Bookmark(_)) => {}
                // Only decoration: the job's own stream says what is wrong.
                Err(_unseen) => return pending().await,
            }
        }
    }

    /// Draws where the job stands; a plain job that runs needs no line any more.
    pub(crate) fn show(&mut self, job: &Job) {
        let Some(drawn) = &self.drawn else { return };
        let runs = job.task.as_ref().is_some_and(|task| task.state() == TaskState::Running);
        if runs && !drawn.is_array {
            self.clear();
            return;
        }
        if let Some(tasks) = &job.tasks {
            drawn.bar.set_position(u64::from(tasks.succeeded + tasks.failed + tasks.cancelled));
        }
        drawn.bar.set_message(words(job));
    }

    /// Writes something else while the bar makes room; a plain job that has output needs no line any more.
    pub(super) fn aside<T>(&mut self, write: impl FnOnce() -> T) -> T {
        match &self.drawn {
            Some(drawn) if drawn.is_array => drawn.bar.suspend(write),
            Some(_) => {
                self.clear();
                write()
            }
            None => write(),
        }
    }

    /// Takes the line off the screen for good.
    pub(crate) fn clear(&mut self) {
        if let Some(drawn) = self.drawn.take() {
            drawn.bar.finish_and_clear();
        }
    }
}

fn words(job: &Job) -> String {
    let state = output::state_word(job);
    let attempt = job.task.as_ref().and_then(|task| task.attempts.last());
    let more = match (state, attempt) {
        ("queued", _) if job.queue_position > 0 => format!(", {} before it", job.queue_position - 1),
        ("pulling", Some(attempt)) => match &attempt.pull {
            Some(pull) if pull.total_bytes > 0 => format!(
                " {} of {}",
                output::bytes(i64::try_from(pull.current_bytes).unwrap_or(i64::MAX)),
                output::bytes(i64::try_from(pull.total_bytes).unwrap_or(i64::MAX))
            ),
            Some(pull) => format!(" {}", escape_line(&pull.status)),
            None => String::new(),
        },
        _ => String::new(),
    };
    let waits = if job.message.is_empty() || state != "queued" {
        String::new()
    } else {
        format!(": {}", escape_line(&job.message))
    };
    format!("job {} is {state}{more}{waits}", job.id)
}
