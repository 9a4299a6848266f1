//! Following a job: its output to our streams, its progress to a person, its end to an exit code.
//!
//! Owns the loop that `run`, `submit --follow` and `logs` share. What is shown how is [`printer`]'s, what a person sees
//! meanwhile [`progress`]'s.

mod interrupts;
mod marks;
mod printer;
mod progress;
mod sink;

pub(crate) use interrupts::Interrupts;
pub(crate) use marks::{explain_end, note};
pub(crate) use printer::{Piece, Printer, Style, To};
pub(crate) use progress::Progress;

use dockmgr_client::{Client, LogFollow};
use dockmgr_proto::v1::tail_logs_response::Event;
use dockmgr_proto::v1::{Job, KillJobRequest, StopJobRequest, TailLogsRequest};

use crate::failure::{Failure, Kind};
use crate::output;

/// What a signal to us means for the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// First stops the job, second kills it, third leaves.
    End,
    /// Leaves; the job goes on.
    Leave,
}

/// Writes bytes to our streams, in order. Dropping the future may leave a piece half written.
pub(crate) async fn write_pieces(pieces: &[Piece]) -> Result<(), Failure> {
    sink::write(pieces, &mut Progress::none()).await.map_err(Failure::from)
}

/// A tail that is being shown.
pub(crate) struct Shown<'a> {
    pub(crate) client: &'a Client,
    pub(crate) request: TailLogsRequest,
    pub(crate) printer: Printer,
    pub(crate) progress: Progress,
    pub(crate) on_interrupt: OnInterrupt,
}

impl Shown<'_> {
    /// Shows everything until the end; gives the job where the coordinator said how it ended.
    pub(crate) async fn until_the_end(mut self) -> Result<Option<Job>, Failure> {
        let mut interrupts = Interrupts::listen()?;
        let mut tail = self.client.tail_logs(self.request.clone());
        let shown = self.show(&mut tail, &mut interrupts).await;
        self.progress.clear();
        let rest = self.printer.finish();
        let flushed = sink::write(&rest, &mut self.progress).await;
        let job = shown?;
        flushed.map_err(|error| self.unwritable(error))?;
        Ok(job)
    }

    async fn show(
        &mut self,
        tail: &mut LogFollow,
        interrupts: &mut Interrupts,
    ) -> Result<Option<Job>, Failure> {
        let mut asked = 0;
        loop {
            tokio::select! {
                // Output, or the end of it.
                step = tail.next() => match step? {
                    None => return Ok(None),
                    Some(Event::JobEnd(end)) => return Ok(end.job),
                    Some(event) => self.write(&event, interrupts, &mut asked).await?,
                },
                // Something changed that a person may want to see.
                job = self.progress.changed() => self.progress.show(&job?),
                // A person or a supervisor wants it to end.
                () = interrupts.next() => self.interrupted(&mut asked).await?,
            }
        }
    }

    /// Writes an event; a reader of ours that stands still does not keep a person from leaving.
    async fn write(
        &mut self,
        event: &Event,
        interrupts: &mut Interrupts,
        asked: &mut u8,
    ) -> Result<(), Failure> {
        marks::note(event, self.request.follow);
        let pieces = self.printer.print(event)?;
        let mut asked_meanwhile = *asked;
        let mut progress = std::mem::take(&mut self.progress);
        let written = {
            let writing = sink::write(&pieces, &mut progress);
            tokio::pin!(writing);
            loop {
                tokio::select! {
                    // The bytes are out.
                    written = &mut writing => break written,
                    // A person or a supervisor wants it to end, though nobody reads.
                    () = interrupts.next() => self.interrupted(&mut asked_meanwhile).await?,
                }
            }
        };
        self.progress = progress;
        *asked = asked_meanwhile;
        written.map_err(|error| self.unwritable(error))
    }

    /// Our reader went away or has no room: the job is not ours to end for that.
    fn unwritable(&self, error: std::io::Error) -> Failure {
        let failure = Failure::from(error);
        if self.on_interrupt == OnInterrupt::End {
            output::say(&format!(
                "cluster-cli: the output is closed; job {0} goes on: cluster-cli stop {0}",
                self.request.job
            ));
        }
        failure
    }

    async fn interrupted(&self, asked: &mut u8) -> Result<(), Failure> {
        let job = &self.request.job;
        *asked = asked.saturating_add(1);
        match (self.on_interrupt, *asked) {
            (OnInterrupt::End, 1) => {
                if self.progress.is_seen() {
                    output::say(&format!(
                        "\nstopping job {job} (again to kill it, a third time to leave it)"
                    ));
                }
                self.client
                    .stop_job(StopJobRequest { job: job.clone(), ..StopJobRequest::default() })
                    .await?;
                Ok(())
            }
            (OnInterrupt::End, 2) => {
                self.client
                    .kill_job(KillJobRequest { job: job.clone(), ..KillJobRequest::default() })
                    .await?;
                Ok(())
            }
            (OnInterrupt::End | OnInterrupt::Leave, _) => Err(left(job, true)),
        }
    }
}

/// Leaving while the job goes on.
pub(crate) fn left(job: &str, was_followed: bool) -> Failure {
    let back =
        if was_followed { format!("cluster-cli logs -f {job}") } else { format!("cluster-cli wait {job}") };
    Failure::new(Kind::Interrupted, "").hint(format!("job {job} goes on; come back with: {back}"))
}
