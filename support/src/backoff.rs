//! How long to wait before trying again.
//!
//! Owns the growing, jittered delay; the owner of a loop sleeps it and decides when to give up.

use std::time::Duration;

/// Delays that double up to a limit, each with a random quarter more or less so that many callers spread out.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `first` and never exceeds `most` by more than the jitter.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// The delay before the next try.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.most);
        delay.mul_f64(0.75 + fastrand::f64() / 2.0)
    }

    /// Tells that a try succeeded: the next delay is the first again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        for middle in [100u64, 200, 350, 350] {
            let delay = backoff.next_delay();
            let (least, most) =
                (Duration::from_millis(middle * 3 / 4), Duration::from_millis(middle * 5 / 4 + 1));
            assert!((least..=most).contains(&delay), "{delay:?} is not around {middle} ms");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(126));
    }
}
