//! Runs a compiled program as far as the time allows.
//!
//! ```text
//! Ready --step--> Ready ... --Sleep--> Asleep --(time reached)--> Ready ... --Exit, end, signal--> Ended
//! ```
//! Owns the position, the traps and the time inside the program. It has no thread and no timer: whoever looks at a container
//! advances it to the present first. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::program::{Action, Guard, Step};
use super::signals;
use dockmgr_core::log::Stream;

/// Steps run in one go before a loop without sleep has to let time pass.
const STEPS_AT_ONCE: usize = 10_000;
/// How long such a loop pauses.
const BREATH: Duration = Duration::from_millis(10);
/// Largest piece of generated output.
const PIECE: usize = 64 * 1024;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: u8,
    pub(crate) out_of_memory: bool,
    pub(crate) at: Duration,
}

/// A program under way.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    steps: Vec<Step>,
    next: usize,
    status: u8,
    /// Time inside the program.
    time: Duration,
    wake: Option<Duration>,
    traps: BTreeMap<u8, Option<Vec<Step>>>,
}

impl Machine {
    /// A program that starts at `now`.
    pub(crate) fn new(steps: Vec<Step>, now: Duration) -> Self {
        Self { steps, next: 0, status: 0, time: now, wake: None, traps: BTreeMap::new() }
    }

    /// When it goes on by itself; `None` if it can go on now.
    pub(crate) fn wake(&self) -> Option<Duration> {
        self.wake
    }

    /// Runs until the program sleeps beyond `now` or ends. Output is appended to `output`.
    pub(crate) fn advance(&mut self, now: Duration, output: &mut Vec<(Stream, Bytes)>) -> Option<Ended> {
        for _ in 0..STEPS_AT_ONCE {
            if let Some(wake) = self.wake {
                if wake > now {
                    return None;
                }
                self.time = wake;
                self.wake = None;
            }
            let Some(step) = self.steps.get(self.next).cloned() else { return Some(self.ended(self.status)) };
            self.next += 1;
            let runs = match step.guard {
                Guard::Always => true,
                Guard::IfOk => self.status == 0,
                Guard::IfFailed => self.status != 0,
            };
            if runs && let Some(ended) = self.run(step.action, output) {
                return Some(ended);
            }
        }
        self.wake = Some(now + BREATH);
        None
    }

    /// Delivers a signal at `now`, after the program was advanced to it.
    pub(crate) fn signal(&mut self, signal: u8, now: Duration) -> Option<Ended> {
        self.time = now.max(self.time);
        let handler = if signal == signals::KILL { None } else { self.traps.get(&signal).cloned() };
        match handler {
            // Ignored, like `trap '' TERM`.
            Some(Some(steps)) if steps.is_empty() => None,
            Some(Some(steps)) => {
                // What it waited for dies with the signal to the group; the handler comes next.
                self.wake = None;
                self.steps.splice(self.next..self.next, steps);
                None
            }
            Some(None) | None => signals::is_deadly(signal).then(|| self.ended(128 + signal)),
        }
    }

    fn run(&mut self, action: Action, output: &mut Vec<(Stream, Bytes)>) -> Option<Ended> {
        self.status = 0;
        match action {
            Action::Print(stream, mut bytes) => {
                while !bytes.is_empty() {
                    output.push((stream, bytes.split_to(PIECE.min(bytes.len()))));
                }
            }
            Action::Bytes(stream, count, seed) => generate(count, seed, |piece| output.push((stream, piece))),
            Action::Sleep(time) => self.wake = Some(self.time + time),
            Action::Status(status) => self.status = status,
            Action::Exit(code) => return Some(self.ended(code)),
            Action::Raise(signal) => return self.signal(signal, self.time),
            Action::Trap(signal, handler) => {
                self.traps.insert(signal, handler);
            }
            Action::OutOfMemory => {
                return Some(Ended { out_of_memory: true, ..self.ended(128 + signals::KILL) });
            }
            Action::Jump(to) => self.next = to,
        }
        None
    }

    fn ended(&self, code: u8) -> Ended {
        Ended { code, out_of_memory: false, at: self.time }
    }
}

/// Gives `count` pseudo-random bytes in pieces; the same seed gives the same bytes.
pub fn generate(count: u64, seed: u64, mut give: impl FnMut(Bytes)) {
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    let mut state = seed;
    while left > 0 {
        let size = left.min(PIECE);
        let mut piece = Vec::with_capacity(size + 8);
        while piece.len() < size {
            // The SplitMix64 step: every state gives well mixed bits.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            piece.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
        }
        piece.truncate(size);
        give(Bytes::from(piece));
        left -= size;
    }
}
