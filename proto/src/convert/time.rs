//! Times on the wire.

use std::time::Duration;

use dockmgr_core::spec::draft::RawDuration;
use dockmgr_core::time::WallTime;

use super::{Error, Problem, required};
use crate::wkt;

/// First second of a protobuf timestamp: 0001-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_135_596_800;
/// Last second of a protobuf timestamp: 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;
/// Longest protobuf duration in seconds, about 10,000 years.
const LONGEST_SECONDS: u64 = 315_576_000_000;

/// Reads a point in time, cut to milliseconds; the years 1 to 9999.
pub fn wall_from_wire(field: &str, wire: impl Into<Option<wkt::Timestamp>>) -> Result<WallTime, Error> {
    let wkt::Timestamp { seconds, nanos } = required(field, wire.into())?;
    if !(FIRST_SECOND..=LAST_SECOND).contains(&seconds) {
        return Err(Error::new(field, Problem::Rule("it must lie in the years 1 to 9999")));
    }
    if !(0..1_000_000_000).contains(&nanos) {
        return Err(Error::new(field, Problem::Rule("nanos must be 0 to 999999999")));
    }
    Ok(WallTime(seconds * 1000 + i64::from(nanos / 1_000_000)))
}

/// Reads a point in time that may be absent.
pub fn optional_wall_from_wire(field: &str, wire: Option<wkt::Timestamp>) -> Result<Option<WallTime>, Error> {
    wire.map(|time| wall_from_wire(field, time)).transpose()
}

/// Writes a point in time; one outside the years 1 to 9999 becomes the nearest that fits.
pub fn wall_to_wire(time: WallTime) -> wkt::Timestamp {
    let millis = time.0.clamp(FIRST_SECOND * 1000, LAST_SECOND * 1000 + 999);
    let nanos =
        i32::try_from(millis.rem_euclid(1000) * 1_000_000).expect("less than a second of nanoseconds");
    wkt::Timestamp { seconds: millis.div_euclid(1000), nanos }
}

/// Reads a length of time; not negative and at most 10,000 years.
pub fn duration_from_wire(field: &str, wire: impl Into<Option<wkt::Duration>>) -> Result<Duration, Error> {
    let raw = raw_duration(required(field, wire.into())?);
    raw.get()
        .filter(|length| length.as_secs() <= LONGEST_SECONDS)
        .ok_or_else(|| Error::new(field, Problem::Rule("it must be 0 s to 315576000000 s")))
}

/// Reads a length of time that may be absent.
pub fn optional_duration_from_wire(
    field: &str,
    wire: Option<wkt::Duration>,
) -> Result<Option<Duration>, Error> {
    wire.map(|length| duration_from_wire(field, length)).transpose()
}

/// Reads the grace of a stop that may be absent: 0 s to 1 h.
pub fn optional_grace_from_wire(field: &str, wire: Option<wkt::Duration>) -> Result<Option<Duration>, Error> {
    let grace = wire.map(|length| raw_duration(length).grace()).transpose();
    grace.map_err(|rule| Error::new(field, Problem::Rule(rule)))
}

/// Writes a length of time; one beyond 10,000 years becomes that.
pub fn duration_to_wire(length: Duration) -> wkt::Duration {
    let length = length.min(Duration::from_secs(LONGEST_SECONDS));
    let seconds = i64::try_from(length.as_secs()).expect("held at the longest");
    let nanos = i32::try_from(length.subsec_nanos()).expect("less than a second of nanoseconds");
    wkt::Duration { seconds, nanos }
}

/// A length of time as it arrived, for a check elsewhere.
pub(super) fn raw_duration(wire: wkt::Duration) -> RawDuration {
    RawDuration { seconds: wire.seconds, nanos: wire.nanos }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_outside_the_calendar_are_refused() {
        for (seconds, nanos) in [
            (FIRST_SECOND - 1, 0),
            (LAST_SECOND + 1, 0),
            (i64::MIN, 0),
            (i64::MAX, 0),
            (0, -1),
            (0, 1_000_000_000),
            (0, i32::MIN),
        ] {
            let error = wall_from_wire("t", wkt::Timestamp { seconds, nanos }).unwrap_err();
            assert_eq!(error.field, "t");
        }
        assert_eq!(wall_from_wire("t", None).unwrap_err().problem, Problem::Missing);
    }

    #[test]
    fn lengths_below_zero_or_beyond_the_type_are_refused() {
        for (seconds, nanos) in
            [(-1, 0), (0, -1), (i64::MIN, i32::MIN), (1, 1_000_000_000), (315_576_000_001, 0), (i64::MAX, 0)]
        {
            assert!(duration_from_wire("d", wkt::Duration { seconds, nanos }).is_err(), "{seconds} {nanos}");
        }
        assert!(optional_grace_from_wire("g", Some(wkt::Duration { seconds: 3600, nanos: 1 })).is_err());
        assert_eq!(optional_grace_from_wire("g", None), Ok(None));
    }

    #[test]
    fn what_the_wire_cannot_hold_becomes_the_nearest_that_fits() {
        assert_eq!(wall_to_wire(WallTime(i64::MAX)).seconds, LAST_SECOND);
        assert_eq!(wall_to_wire(WallTime(i64::MIN)), wkt::Timestamp { seconds: FIRST_SECOND, nanos: 0 });
        assert_eq!(duration_to_wire(Duration::MAX).seconds, 315_576_000_000);
    }

    proptest! {
        #[test]
        fn times_and_lengths_come_back_as_they_were(
            millis in FIRST_SECOND * 1000..=LAST_SECOND * 1000 + 999,
            seconds in 0..LONGEST_SECONDS,
            nanos in 0..1_000_000_000_u32,
        ) {
            prop_assert_eq!(wall_from_wire("t", wall_to_wire(WallTime(millis))), Ok(WallTime(millis)));
            let length = Duration::new(seconds, nanos);
            prop_assert_eq!(duration_from_wire("d", duration_to_wire(length)), Ok(length));
        }
    }
}
