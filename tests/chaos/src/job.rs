//! The jobs of a run: what each does follows from the seed and its number alone, so that the oracle knows every byte.

use std::fmt::Write as _;
use std::time::Duration;

use dockmgr_proto::v1;

/// Label that carries a job's number in the run.
pub(crate) const LABEL: &str = "chaos";

/// Exit code of a job that catches the stop signal.
pub(crate) const CAUGHT: i32 = 33;

/// A job and everything that will be true of it.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Its number in the run.
    pub(crate) number: u64,
    /// The script, in the words a shell and the fake have in common.
    pub(crate) script: String,
    /// What it writes to stdout and to stderr; of an endless job the beginning.
    pub(crate) output: [Vec<u8>; 2],
    /// What it exits with if nobody stops it.
    pub(crate) code: i32,
    /// Whether it goes on until it is stopped, writing [`Job::tick`] again and again.
    pub(crate) endless: bool,
    /// When somebody stops it, counted from its submit, and whether by a kill.
    pub(crate) stop: Option<(Duration, bool)>,
    /// What happens when its worker is lost.
    pub(crate) on_lost: v1::OnLost,
    /// Whether somebody follows its output live.
    pub(crate) followed: bool,
}

/// How the programs of a run are sized.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Most lines of `seq` output at once.
    pub(crate) numbers: u64,
    /// Longest pause between two pieces of output.
    pub(crate) pause: f64,
}

impl Job {
    /// Job `number` of the run with this seed.
    pub(crate) fn new(seed: u64, number: u64, size: Size) -> Self {
        // A generator of its own, so that the job does not depend on the order in which they are made.
        let mut random = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let endless = random.u8(..100) < 8;
        let long = !endless && random.u8(..100) < 5;
        let catches = endless && random.bool();
        let mut text = Text::default();
        if catches {
            let _infallible = write!(text.script, "trap 'exit {CAUGHT}' TERM; ");
        }
        let steps = if long { random.u32(15..35) } else { random.u32(0..6) };
        for step in 0..steps {
            text.step(&mut random, number, step, size, long);
        }
        let code = if random.u8(..100) < 60 { 0 } else { i32::from(random.u8(1..120)) };
        if endless {
            let _infallible = write!(text.script, "while true; do echo tick {number}; sleep 0.3; done");
        } else {
            let _infallible = write!(text.script, "exit {code}");
        }
        let stop = (endless || random.u8(..100) < 3)
            .then(|| (Duration::from_millis(random.u64(200..12_000)), random.u8(..4) == 0));
        let on_lost = match random.u8(..10) {
            0..=4 => v1::OnLost::Retry,
            5..=8 => v1::OnLost::Wait,
            _ => v1::OnLost::Fail,
        };
        let followed = random.u8(..100) < 30;
        Self { number, script: text.script, output: text.output, code, endless, stop, on_lost, followed }
    }

    /// What an endless job repeats on stdout.
    pub(crate) fn tick(&self) -> Vec<u8> {
        format!("tick {}\n", self.number).into_bytes()
    }

    /// The wish as it is submitted. `shell_prefix` comes before the script, `mounts` go along.
    pub(crate) fn spec(&self, image: &str, shell_prefix: &str, mounts: &[v1::Mount]) -> v1::JobSpec {
        let script = v1::Script { text: format!("{shell_prefix}{}", self.script), shell: String::new() };
        let form = Some(v1::command::Form::Script(script));
        v1::JobSpec {
            labels: [(LABEL.to_owned(), self.number.to_string())].into(),
            image: image.to_owned(),
            command: Some(v1::Command { form, entrypoint: None }),
            resources: Some(v1::Resources { cpu_millis: 100, memory_bytes: 32 << 20, gpus: 0 }),
            grace_period: Some(Duration::from_secs(2).into()),
            network: v1::NetworkMode::None.into(),
            mounts: mounts.to_vec(),
            on_lost: self.on_lost.into(),
            ..v1::JobSpec::default()
        }
    }

    /// Whether `bytes` are what an attempt may have written to a stream before it was cut short.
    pub(crate) fn is_beginning(&self, stream: usize, bytes: &[u8]) -> bool {
        // A shell says so when the command it waits for dies of the signal.
        let bytes = if stream == 1 { bytes.strip_suffix(b"Terminated\n").unwrap_or(bytes) } else { bytes };
        let known = &self.output[stream];
        if bytes.len() <= known.len() || stream == 1 || !self.endless {
            return known.starts_with(bytes);
        }
        let tick = self.tick();
        bytes.starts_with(known)
            && bytes[known.len()..].iter().eq(tick.iter().cycle().take(bytes.len() - known.len()))
    }
}

/// A script and what it writes.
#[derive(Debug, Default)]
struct Text {
    script: String,
    output: [Vec<u8>; 2],
}

impl Text {
    fn step(&mut self, random: &mut fastrand::Rng, number: u64, step: u32, size: Size, long: bool) {
        let stream = usize::from(random.u8(..4) == 0);
        let to = ["", " >&2"][stream];
        if random.u8(..5) == 0 {
            let first = random.u64(1..100_000);
            let last = first + random.u64(1..size.numbers);
            let _infallible = write!(self.script, "seq {first} {last}{to}; ");
            for n in first..=last {
                self.output[stream].extend_from_slice(format!("{n}\n").as_bytes());
            }
        } else {
            let line = format!("job {number} step {step} {:016x}", random.u64(..));
            // Now and then a line without an end.
            let (flag, end) = if random.u8(..6) == 0 { ("-n ", "") } else { ("", "\n") };
            let _infallible = write!(self.script, "echo {flag}{line}{to}; ");
            self.output[stream].extend_from_slice(format!("{line}{end}").as_bytes());
        }
        if long {
            self.script.push_str("sleep 1; ");
        } else if random.bool() {
            let _infallible = write!(self.script, "sleep {:.2}; ", 0.02 + random.f64() * size.pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { numbers: 100, pause: 1.0 };

    #[test]
    fn a_job_follows_from_seed_and_number() {
        let (one, again) = (Job::new(7, 3, SIZE), Job::new(7, 3, SIZE));
        assert_eq!((one.script, one.output), (again.script, again.output));
        assert_ne!(Job::new(8, 3, SIZE).script, Job::new(7, 3, SIZE).script);
    }

    #[test]
    fn a_beginning_of_an_endless_job_may_end_anywhere() {
        let job = (0..1000).map(|n| Job::new(1, n, SIZE)).find(|job| job.endless).expect("one in twelve");
        let mut bytes = job.output[0].clone();
        bytes.extend(job.tick().repeat(3));
        for end in 0..bytes.len() {
            assert!(job.is_beginning(0, &bytes[..end]), "{end}");
        }
        bytes.push(b'!');
        assert!(!job.is_beginning(0, &bytes));
    }
}
