//! The bytes: what is kept and what was followed against what the job wrote.

use dockmgr_client::Client;
use dockmgr_proto::v1;
use dockmgr_proto::v1::EndReason;
use sha2::{Digest as _, Sha256};

use super::Verdict;
use crate::job::Job;
use crate::load::Sight;

/// The streams in the order of [`Job::output`].
const STREAMS: [v1::LogStream; 2] = [v1::LogStream::Stdout, v1::LogStream::Stderr];

impl Verdict {
    /// Judges the output of all attempts of a job.
    pub(super) async fn logs(
        &mut self,
        client: &Client,
        job: &Job,
        sight: &Sight,
        found: &v1::Job,
    ) -> anyhow::Result<()> {
        for attempt in found.task.iter().flat_map(|task| &task.attempts) {
            // The output of one that was given up may still be on its way, or nowhere.
            let given_up = attempt.end_reason() == EndReason::Lost;
            for (stream, name) in STREAMS.iter().enumerate() {
                let what =
                    format!("job {} (id {}) attempt {} {name:?}", job.number, found.id, attempt.number);
                let (kept, end) = match kept(client, found.id, attempt.number, *name).await {
                    Ok(kept) => kept,
                    Err(error) if given_up || attempt.start_time.is_none() => {
                        let _nothing_was_written = error;
                        continue;
                    }
                    Err(error) => {
                        self.blame("wrong log bytes", format!("{what}: {error}"));
                        continue;
                    }
                };
                self.streams += 1;
                self.bytes += kept.len() as u64;
                let marks = end.as_ref().map_or(&[][..], |end| &end.marks);
                if stream == 0 {
                    for mark in marks {
                        *self.marks.entry(format!("{:?}: {}", mark.kind(), mark.reason)).or_default() += 1;
                    }
                }
                let whole = attempt.end_reason() == EndReason::Exited;
                let right = if whole {
                    hash(&kept) == hash(&job.output[stream])
                } else {
                    job.is_beginning(stream, &kept)
                };
                if !right && marks.is_empty() {
                    let (due, reason) = (job.output[stream].len(), attempt.end_reason());
                    self.blame(
                        "wrong log bytes",
                        format!("{what}: {} bytes kept, {due} due, {reason:?}", kept.len()),
                    );
                }
                if whole && end.is_none() {
                    self.blame("wrong log bytes", format!("{what}: the end of the output is unknown"));
                }
                self.followed(&what, sight, attempt.number, stream, &kept, job);
            }
        }
        Ok(())
    }

    /// What a follower got is what is kept; of the last attempt all of it.
    fn followed(&mut self, what: &str, sight: &Sight, attempt: u32, stream: usize, kept: &[u8], job: &Job) {
        let got = sight.followed.get(&(attempt, stream)).map_or(&[][..], Vec::as_slice);
        if !kept.starts_with(got) {
            self.blame(
                "wrong log bytes",
                format!("{what}: a follower got {} bytes that are not kept so", got.len()),
            );
        }
        let last = sight.end.as_ref().is_some_and(|end| end.attempts == attempt as usize);
        if job.followed && last && sight.follow_ended && got.len() != kept.len() {
            let (got, kept) = (got.len(), kept.len());
            self.blame("wrong log bytes", format!("{what}: a follower got {got} bytes of {kept}"));
        }
    }
}

/// The kept bytes of one stream, and the end of the attempt's output if it is known.
async fn kept(
    client: &Client,
    job: u64,
    attempt: u32,
    stream: v1::LogStream,
) -> Result<(Vec<u8>, Option<v1::LogEnd>), dockmgr_client::Error> {
    let mut bytes = Vec::new();
    loop {
        let request = v1::GetLogsRequest {
            attempt: Some(v1::AttemptRef { job_id: job, task_index: 0, attempt }),
            stream: stream.into(),
            offset: bytes.len() as u64,
            max_bytes: 0,
        };
        let answer = client.get_logs(request).await?;
        let more = !answer.data.is_empty();
        bytes.extend_from_slice(&answer.data);
        if !more || bytes.len() as u64 >= answer.available_bytes {
            return Ok((bytes, answer.end));
        }
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
