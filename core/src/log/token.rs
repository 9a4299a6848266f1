//! The text a reader hands back to go on where it stopped.
//!
//! Printed `JOB;DONE;AT`, for example `42;0-17,19;18.2:1024:77,20.1:5:0e`: of job 42 the tasks 0 to 17 and 19 are
//! finished, attempt 2 of task 18 was sent up to those offsets of stdout and stderr, and of task 20 attempt 1 the end was
//! sent as well. Clients treat it as opaque; it is parsed strictly because anyone can send one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Offsets;
use crate::ids::{AttemptNumber, JobId, TaskIndex};

/// How far a reader of a whole job has come. Everything before it has been delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeToken {
    /// The job it reads.
    pub job: JobId,
    /// Tasks of which nothing more is to be sent.
    pub done: TaskSet,
    /// Tasks of which something was sent and more may come.
    pub at: BTreeMap<TaskIndex, TaskPosition>,
}

/// How far a reader has come in one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskPosition {
    /// The attempt it reads.
    pub attempt: AttemptNumber,
    /// Next offset of each stream.
    pub offsets: Offsets,
    /// Whether the end of this attempt was sent too.
    pub ended: bool,
}

/// Why a text is not a resume token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a resume token of this job")]
pub struct TokenError;

/// A set of tasks, kept as ranges because tasks mostly finish in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskSet {
    /// First to last of each range; ranges neither touch nor overlap.
    ranges: BTreeMap<u32, u32>,
}

impl TaskSet {
    /// Whether `task` is in the set.
    pub fn contains(&self, task: TaskIndex) -> bool {
        self.ranges.range(..=task.0).next_back().is_some_and(|(_, last)| task.0 <= *last)
    }

    /// Adds a task.
    pub fn insert(&mut self, task: TaskIndex) {
        if self.contains(task) {
            return;
        }
        let (mut first, mut last) = (task.0, task.0);
        if let Some((start, end)) = self.ranges.range(..task.0).next_back().map(|(start, end)| (*start, *end))
            && end + 1 == task.0
        {
            first = start;
        }
        if let Some(end) = task.0.checked_add(1).and_then(|next| self.ranges.remove(&next)) {
            last = end;
        }
        self.ranges.insert(first, last);
    }

    /// The lowest task that is not in the set; `None` if every index is.
    pub fn first_missing(&self) -> Option<TaskIndex> {
        match self.ranges.first_key_value() {
            Some((0, last)) => last.checked_add(1).map(TaskIndex),
            Some(_) | None => Some(TaskIndex(0)),
        }
    }
}

impl ResumeToken {
    /// The position before any output of `job`.
    pub fn start_of(job: JobId) -> Self {
        Self { job, done: TaskSet::default(), at: BTreeMap::new() }
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};", self.job)?;
        for (n, (first, last)) in self.done.ranges.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        f.write_str(";")?;
        for (n, (task, position)) in self.at.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let Offsets { stdout, stderr } = position.offsets;
            let ended = if position.ended { "e" } else { "" };
            write!(f, "{comma}{task}.{}:{stdout}:{stderr}{ended}", position.attempt)?;
        }
        Ok(())
    }
}

impl FromStr for ResumeToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.split(';');
        let (Some(job), Some(done), Some(at), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError);
        };
        let mut token = Self::start_of(job.parse().map_err(|_| TokenError)?);
        // Ranges must come in the one order they are printed in, so they can neither touch nor overlap.
        let mut free_from = Some(0);
        for range in items(done) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u32, u32) = (number(first)?, number(last)?);
            if last < first || free_from.is_none_or(|free| first < free) {
                return Err(TokenError);
            }
            free_from = last.checked_add(2);
            token.done.ranges.insert(first, last);
        }
        for item in items(at) {
            let (task, position) = task_position(item)?;
            if token.done.contains(task) || token.at.insert(task, position).is_some() {
                return Err(TokenError);
            }
        }
        Ok(token)
    }
}

fn task_position(item: &str) -> Result<(TaskIndex, TaskPosition), TokenError> {
    let (item, ended) = item.strip_suffix('e').map_or((item, false), |rest| (rest, true));
    let mut parts = item.split(':');
    let (Some(id), Some(stdout), Some(stderr), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError);
    };
    let (task, attempt) = id.split_once('.').ok_or(TokenError)?;
    let attempt = AttemptNumber(number(attempt)?);
    if attempt.0 == 0 {
        return Err(TokenError);
    }
    let offsets = Offsets { stdout: number(stdout)?, stderr: number(stderr)? };
    Ok((TaskIndex(number(task)?), TaskPosition { attempt, offsets, ended }))
}

/// The parts of a list; none for an empty text.
fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(move |_| !list.is_empty())
}

/// A plain decimal number, without sign or spaces.
fn number<N: FromStr>(text: &str) -> Result<N, TokenError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TokenError);
    }
    text.parse().map_err(|_| TokenError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_parses_as_it_prints_and_nothing_else_does() {
        for good in ["42;;", "42;0-17,19;18.2:1024:18446744073709551615,20.1:5:0e", "1;0-4294967295;"] {
            let token: ResumeToken = good.parse().expect(good);
            assert_eq!(token.to_string(), good);
        }
        for bad in [
            "",
            "42",
            "42;",
            "0;;",
            "42;;;",
            "42;1-0;",
            "42;3,1;",
            "42;1,2;",
            "42;,;",
            "42;;1.0:1:1",
            "42;;1.1:1",
            "42;;1.1:+1:2",
            "42;1;1.1:1:2",
            "42;;1.1:1:2,1.2:1:2",
            "42;;1.1:18446744073709551616:0",
            "42;4294967296;",
        ] {
            assert_eq!(bad.parse::<ResumeToken>(), Err(TokenError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_task_set_holds_what_was_put_in(tasks in proptest::collection::vec(0u32..40, 0..40)) {
            let mut set = TaskSet::default();
            for task in &tasks {
                set.insert(TaskIndex(*task));
            }
            for task in 0..42 {
                prop_assert_eq!(set.contains(TaskIndex(task)), tasks.contains(&task));
            }
            let first = (0..42).find(|task| !tasks.contains(task)).map(TaskIndex);
            prop_assert_eq!(set.first_missing(), first);
            let token = ResumeToken { done: set, ..ResumeToken::start_of(JobId::new(7).expect("not 0")) };
            prop_assert_eq!(token.to_string().parse::<ResumeToken>(), Ok(token));
        }

        #[test]
        fn any_text_parses_without_panic(text in ".{0,40}") {
            let _token = text.parse::<ResumeToken>();
        }
    }
}
