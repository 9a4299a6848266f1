//! Notices a peer that sends nothing but HTTP/2 frames that cost us and carry nothing: pings, settings, empty data.
//!
//! Follows the frames' headers as they pass and keeps an account: what carries nothing costs, what we write to the peer
//! earns. Honest clients of every library stay far on the right side: they ping and open windows because we sent
//! something. The HTTP/2 library bounds the memory such frames take, but answers them for ever. HTTP/1.1 has no such frames.

use std::time::Duration;

use tokio::time::Instant;

/// What a connection may overdraw: two thousand pings.
const BUDGET: u64 = 2000 * PING;
/// Earned by time alone: two hundred pings a second.
const PER_SECOND: u64 = 200 * PING;
/// A ping or a change of settings: dearer than the bytes of our answer earn.
const PING: u64 = 64;
/// Resets, priorities, continuations, empty data, frames of unknown kinds.
const OTHER: u64 = 32;
/// A window is opened after data came; some libraries do so for every message.
const WINDOW: u64 = 16;
/// What an HTTP/2 connection begins with before its first frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's header.
const HEADER: usize = 9;

/// Follows what one peer sends.
#[derive(Debug)]
pub(super) struct FrameWatch {
    /// What of the preface has come; `None` once the connection began with something else.
    preface: Option<usize>,
    /// Bytes that are not looked at: the rest of a frame's payload.
    skip: usize,
    header: [u8; HEADER],
    filled: usize,
    left: u64,
    earned_at: Instant,
}

/// The peer sends more of such frames than any honest one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flood;

impl FrameWatch {
    pub(super) fn new() -> Self {
        Self {
            preface: Some(0),
            skip: 0,
            header: [0; HEADER],
            filled: 0,
            left: BUDGET,
            earned_at: Instant::now(),
        }
    }

    /// Notes bytes that came.
    pub(super) fn received(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        bytes = self.after_preface(bytes);
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEADER - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEADER {
                self.filled = 0;
                self.frame()?;
            }
        }
        Ok(())
    }

    /// The bytes that belong to frames.
    fn after_preface<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(came) = self.preface else { return &[] };
        let (begin, rest) = bytes.split_at(bytes.len().min(PREFACE.len() - came));
        self.preface = PREFACE[came..].starts_with(begin).then_some(came + begin.len());
        if self.preface.is_some() { rest } else { &[] }
    }

    /// Notes bytes that were sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.left = BUDGET.min(self.left.saturating_add(bytes as u64));
    }

    fn frame(&mut self) -> Result<(), Flood> {
        let [l0, l1, l2, kind, flags, ..] = self.header;
        self.skip = (usize::from(l0) << 16) | (usize::from(l1) << 8) | usize::from(l2);
        let ends_stream = flags & 1 == 1;
        let cost = match kind {
            // DATA with content or an end; HEADERS.
            0 if self.skip > 0 || ends_stream => 0,
            1 => 0,
            // SETTINGS, PING.
            4 | 6 => PING,
            // WINDOW_UPDATE.
            8 => WINDOW,
            _ => OTHER,
        };
        if cost > self.left {
            self.earn(Instant::now());
        }
        self.left = self.left.checked_sub(cost).ok_or(Flood)?;
        Ok(())
    }

    fn earn(&mut self, now: Instant) {
        let passed = now.duration_since(self.earned_at).min(Duration::from_secs(BUDGET / PER_SECOND + 1));
        self.earned_at = now;
        let earned = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).saturating_mul(PER_SECOND) / 1000;
        self.left = BUDGET.min(self.left + earned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("short").to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(HEADER + payload, 7);
        bytes
    }

    fn watch() -> FrameWatch {
        let mut watch = FrameWatch::new();
        watch.received(&PREFACE[..7]).expect("the preface is free");
        watch.received(&PREFACE[7..]).expect("the preface is free");
        watch
    }

    #[test]
    fn floods_of_every_kind_are_noticed_however_they_are_cut() {
        for (kind, payload) in [(6, 8), (4, 0), (2, 5), (3, 4), (8, 4), (9, 3), (0, 0), (200, 1)] {
            for cut in [1, 7, 4096] {
                let mut watch = watch();
                let flood = frame(kind, 0, payload).repeat(10_000);
                let noticed = flood.chunks(cut).any(|bytes| watch.received(bytes) == Err(Flood));
                assert!(noticed, "kind {kind} in pieces of {cut}");
            }
        }
    }

    #[test]
    fn whoever_sends_content_or_takes_ours_may_go_on() {
        let mut watch = watch();
        for _ in 0..100_000 {
            watch.received(&frame(1, 4, 30)).expect("calls");
            watch.received(&frame(0, 0, 1)).expect("content");
            watch.received(&frame(0, 1, 0)).expect("the end of a stream");
            watch.sent(100);
            watch.received(&frame(8, 0, 4)).expect("a window for what was sent");
            watch.received(&frame(6, 1, 8)).expect("a ping after data");
        }
        let begun = Instant::now();
        for n in 0..10_000 {
            watch.earn(begun + Duration::from_millis(10) * n);
            watch.received(&frame(6, 0, 8)).expect("a hundred pings a second");
        }
    }
}
