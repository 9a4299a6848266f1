//! What running attempts use, as heartbeats carry it.

use std::time::Duration;

use dockmgr_core::ids::AttemptId;
use dockmgr_core::samples::{MOST_AT_ONCE, Sample};
use dockmgr_core::time::{BootTime, Now};

use super::super::{Error, at_most, ids, time};
use crate::v1;

/// Reads the samples of one heartbeat.
pub fn samples_from_wire(wire: Vec<v1::UsageSample>) -> Result<Vec<(AttemptId, Sample)>, Error> {
    at_most("heartbeat.samples", &wire, MOST_AT_ONCE)?;
    wire.into_iter().map(sample_from_wire).collect()
}

fn sample_from_wire(wire: v1::UsageSample) -> Result<(AttemptId, Sample), Error> {
    let clock = time::duration_from_wire("heartbeat.samples.host_clock", wire.host_clock)?;
    let at = Now {
        boot: BootTime(u64::try_from(clock.as_nanos()).unwrap_or(u64::MAX)),
        wall: time::wall_from_wire("heartbeat.samples.time", wire.time)?,
    };
    let cpu = time::duration_from_wire("heartbeat.samples.cpu", wire.cpu)?;
    let attempt = ids::attempt_from_wire("heartbeat.samples.attempt", wire.attempt)?;
    Ok((attempt, Sample { at, cpu, memory: wire.memory_bytes }))
}

/// Writes one sample.
pub fn sample_to_wire(attempt: AttemptId, sample: Sample) -> v1::UsageSample {
    v1::UsageSample {
        attempt: Some(ids::attempt_to_wire(attempt)),
        time: Some(time::wall_to_wire(sample.at.wall)),
        host_clock: Some(time::duration_to_wire(Duration::from_nanos(sample.at.boot.0))),
        cpu: Some(time::duration_to_wire(sample.cpu)),
        memory_bytes: sample.memory,
    }
}

#[cfg(test)]
mod tests {
    use dockmgr_core::time::WallTime;

    use super::*;

    #[test]
    fn samples_come_back_as_they_were_and_wrong_ones_are_named() {
        let attempt = AttemptId::from_parts(42, 7, 2).expect("numbers from 1");
        let at = Now { boot: BootTime(u64::MAX), wall: WallTime(1_700_000_000_123) };
        let sample = Sample { at, cpu: Duration::new(3, 5), memory: u64::MAX };
        let wire = sample_to_wire(attempt, sample);
        assert_eq!(samples_from_wire(vec![wire]), Ok(vec![(attempt, sample)]));
        assert_eq!(samples_from_wire(Vec::new()), Ok(Vec::new()), "what older workers say");
        let field = |samples| samples_from_wire(samples).expect_err("it is wrong").field;
        assert_eq!(field(vec![wire; MOST_AT_ONCE + 1]), "heartbeat.samples");
        assert_eq!(field(vec![v1::UsageSample { cpu: None, ..wire }]), "heartbeat.samples.cpu");
    }
}
