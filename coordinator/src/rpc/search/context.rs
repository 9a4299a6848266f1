//! A hit as the client gets it, with the lines around it, which are read only for the hits that are given.

use std::collections::VecDeque;

use dockmgr_core::search::{Line, LineSplitter, severity};
use dockmgr_proto::convert;
use dockmgr_proto::v1;

use super::found::Hit;
use super::place::{self, Place};
use super::source::Records;
use super::wanted::Wanted;
use crate::logs::{self, LogStore};

/// How far back and on lines around a hit are looked for, in bytes of its stream: bounds what one hit costs.
const REACH: u64 = 256 * 1024;
/// Most places of the query in a line.
const MOST_RANGES: usize = 64;

/// Makes the message of a hit.
pub(super) async fn message(
    store: &LogStore,
    wanted: &Wanted,
    place: Place,
    hit: Hit,
) -> Result<v1::SearchHit, logs::Error> {
    let around = if wanted.before_lines + wanted.after_lines == 0 {
        Around::default()
    } else {
        let from = place.offset.saturating_sub(REACH);
        let records = Records::of_stream(store, place.attempt, place.stream, from).await?;
        let mut around = Around { from, ..Around::new(place, wanted) };
        logs::run(move || around.read(records).map(|()| around)).await?
    };
    let range = |range: std::ops::Range<usize>| {
        let number = |at| u32::try_from(at).unwrap_or(u32::MAX);
        v1::SearchRange { start: number(range.start), end: number(range.end) }
    };
    Ok(v1::SearchHit {
        attempt: Some(convert::ids::attempt_to_wire(place.attempt)),
        node_name: hit.candidate.node_name.clone(),
        job_name: hit.candidate.job_name.clone(),
        ranges: wanted.query.ranges(&hit.bytes, MOST_RANGES).into_iter().map(range).collect(),
        severity: convert::log::severity_to_wire(severity(&hit.bytes)).into(),
        line: Some(v1::SearchLine {
            stream: convert::log::stream_to_wire(place.stream).into(),
            number: hit.number,
            offset: place.offset,
            time: Some(convert::time::wall_to_wire(place.time)),
            data: hit.bytes,
            clipped: hit.clipped,
        }),
        before: around.before.into(),
        after: around.after,
        page_token: place::to_token(&wanted.question, place),
    })
}

/// The lines around a hit.
#[derive(Debug, Default)]
struct Around {
    /// Where reading began: a line that begins there may be the later part of one.
    from: u64,
    /// Where the hit is.
    offset: u64,
    most_before: usize,
    most_after: usize,
    line_bytes: usize,
    before: VecDeque<v1::SearchLine>,
    after: Vec<v1::SearchLine>,
}

impl Around {
    fn new(place: Place, wanted: &Wanted) -> Self {
        Self {
            offset: place.offset,
            most_before: wanted.before_lines,
            most_after: wanted.after_lines,
            line_bytes: wanted.line_bytes,
            ..Self::default()
        }
    }

    /// Reads until all lines are there or the reach is over. Blocks.
    fn read(&mut self, mut records: Records) -> Result<(), logs::Error> {
        let mut splitter = LineSplitter::default();
        loop {
            let batch = records.next()?;
            for record in &batch {
                splitter.push(record, |line| self.see(line));
                let is_far = record.offset > self.offset.saturating_add(REACH);
                if is_far || self.is_full() {
                    return Ok(());
                }
            }
            if batch.is_empty() {
                splitter.finish(|line| self.see(line));
                return Ok(());
            }
        }
    }

    fn is_full(&self) -> bool {
        self.most_after > 0 && self.after.len() >= self.most_after
    }

    fn see(&mut self, line: Line<'_>) {
        let is_part = line.offset == self.from && self.from > 0;
        if line.offset < self.offset && self.most_before > 0 && !is_part {
            if self.before.len() == self.most_before {
                self.before.pop_front();
            }
            self.before.push_back(self.shown(line));
        } else if line.offset > self.offset && self.after.len() < self.most_after {
            self.after.push(self.shown(line));
        }
    }

    fn shown(&self, line: Line<'_>) -> v1::SearchLine {
        let shown = line.bytes.len().min(self.line_bytes);
        v1::SearchLine {
            stream: convert::log::stream_to_wire(line.stream).into(),
            number: 0,
            offset: line.offset,
            time: Some(convert::time::wall_to_wire(line.time)),
            data: bytes::Bytes::copy_from_slice(&line.bytes[..shown]),
            clipped: shown < line.bytes.len(),
        }
    }
}
